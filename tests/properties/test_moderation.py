"""Does checking hold for anything that Hypothesis thinks of?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common.clock import SystemClock
from feed.moderation import features, links
from feed.moderation.checker import Author, Checker
from feed.moderation.classifiers import load
from feed.moderation.image_hash import hash_image
from feed.moderation.pictures import KnownPictures
from feed.moderation.text import normalise
from feed.moderation.velocity import Act, Velocity
from feed.reputation.book import NEWCOMER
from feed.verdict import Outcome
from tests.examples import examples

CLASSIFIERS = load(Path(__file__).parents[2] / "models" / "moderation")
LETTERS = st.sampled_from("aeb1$@! .*-_/:\u200b\u202e\u0301\u0430\u0455ａ𝖆🅰😀\0\n‮ß\u0345\ud800") | st.characters()
TEXTS = st.text(LETTERS, max_size=200)


class AllNew:
    def of(self, tenant_id: str, person_id: str) -> float:
        return 0.3

    def posts_a_day(self, tenant_id: str, person_id: str) -> int:
        return NEWCOMER.posts_a_day


def a_checker() -> Checker:
    return Checker(
        classifiers=CLASSIFIERS,
        pictures=KnownPictures(),
        velocity=Velocity(),
        reputations=AllNew(),
        clock=SystemClock(),
    )


CHECKER = a_checker()


@settings(max_examples=examples(300), deadline=None)
@given(TEXTS)
def test_normalisation_maps_every_character_back(text: str) -> None:
    one = normalise(text)

    for view in (one.plain, one.folded):
        assert len(view.text) == len(view.origin)
        assert all(0 <= place < max(1, len(text)) for place in view.origin)
        assert list(view.origin) == sorted(view.origin)
        quoted = one.quote(view, 0, len(view.text))
        assert len(quoted) <= 80
        assert "\u202e" not in quoted


@settings(max_examples=examples(300), deadline=None)
@given(st.dictionaries(st.sampled_from(["caption", "hashtags", "alt", ""]), TEXTS), st.lists(TEXTS, max_size=5))
def test_checking_never_raises_and_its_numbers_are_chances(fields: dict[str, str], given_links: list[str]) -> None:
    verdict = CHECKER.check_text(fields, given_links, author=Author("t", "ann", 0.5), act=Act.COMMENT)

    assert 0.0 <= verdict.risk <= 1.0
    assert verdict.outcome in Outcome
    assert (verdict.outcome == Outcome.CLEAN) == (not verdict.findings)
    for finding in verdict.findings:
        assert 0.0 <= finding.threshold <= finding.probability <= 1.0
        assert len(finding.evidence) <= 80


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.sampled_from("abcx.:/@[]%0123-_?#\\") | st.characters(), max_size=80))
def test_a_link_is_checked_whatever_it_is(link: str) -> None:
    links.check([link, f"http://{link}", f"http://xn--{link}"])


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.sampled_from("abc de\ue000\ue002") | st.characters(codec="utf-8"), max_size=100))
def test_features_lie_in_their_places(text: str) -> None:
    places, times = features.counts(features.shaped(text))

    assert (np.diff(places) > 0).all()
    assert ((places >= 0) & (places < features.PLACES)).all()
    assert (times >= 1).all()


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["RGB", "L", "P", "RGBA", "LA", "CMYK", "1", "I", "F"]))
def test_a_picture_of_any_size_and_mode_has_a_hash(width: int, height: int, mode: str) -> None:
    found = hash_image(Image.new(mode, (width, height)))

    assert len(found.bits) == 32
    assert 0 <= found.quality <= 100
