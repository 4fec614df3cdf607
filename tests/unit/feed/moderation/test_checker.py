"""Does one verdict come of text, links, pictures and pace, and is nothing shown that nobody could check?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from common.clock import Clock
from feed.moderation.check_ports import ImageBan
from feed.moderation.checker import Author, Checker, NoClassifiers
from feed.moderation.classifiers import load
from feed.moderation.image_hash import ImageHash
from feed.moderation.links import Resolution
from feed.moderation.pictures import KnownPictures, Picture
from feed.moderation.velocity import Act, Velocity
from feed.post import Post
from feed.reputation.book import NEWCOMER
from feed.verdict import Label, Outcome, Verdict

MODEL = Path(__file__).parents[4] / "models" / "moderation"
ANN = Author("t", "ann", 0.5)
HASH = ImageHash(bytes(range(32)), 100)
PLAIN = ImageHash(bytes(range(32)), 10)


class Standing:
    """A clock that stands still."""

    def now_ms(self) -> int:
        return 1_000

    def monotonic_ns(self) -> int:
        return 0


@dataclass(frozen=True)
class Stored:
    where: str
    media_id: str
    picture_hash: bytes | None


class AllNew:
    def of(self, tenant_id: str, person_id: str) -> float:
        return 0.3

    def posts_a_day(self, tenant_id: str, person_id: str) -> int:
        return NEWCOMER.posts_a_day


CLASSIFIERS = load(MODEL)


def a_checker(pictures: KnownPictures | None = None, *, without: str = "") -> Checker:
    clock: Clock = Standing()
    return Checker(
        classifiers=NoClassifiers(without) if without else CLASSIFIERS,
        pictures=pictures or KnownPictures(),
        velocity=Velocity(),
        reputations=AllNew(),
        clock=clock,
    )


def check(text: str, *given: str, **more: Resolution) -> Verdict:
    return a_checker().check_text({"caption": text}, given, author=ANN, act=Act.POST)


def labels(verdict: Verdict) -> set[Label]:
    return {finding.label for finding in verdict.findings}


def test_a_harmless_post_is_clean() -> None:
    verdict = check("Loving this soft blue scarf, perfect for autumn walks. https://shop.example/scarf")

    assert verdict.outcome == Outcome.CLEAN
    assert verdict.findings == ()
    assert 0.0 <= verdict.risk < 0.5
    assert verdict.checked_by.startswith("text ")


def test_a_post_is_checked_in_all_its_fields() -> None:
    post = Post("t", "p", "ann", "hello", (), (), ("bitch", "whore"), 0)

    verdict = a_checker().check(post)

    assert labels(verdict) == {Label.OFFENSIVE}
    assert verdict.outcome == Outcome.LIMITED
    assert verdict.findings[0].where == "hashtags"
    assert "bitch" in verdict.findings[0].evidence


def test_a_disguised_insult_is_found_and_quoted_as_written() -> None:
    verdict = check("you are such a stupid b\u200b1\u0442ch")

    assert Label.OFFENSIVE in labels(verdict)
    assert any("b 1\u0442ch" in finding.evidence for finding in verdict.findings)


def test_a_sentence_cut_over_two_fields_is_read_as_one() -> None:
    fields = {"caption": "you are a f u", "more": "c k i n g stupid bitch whore"}

    assert a_checker().check_text(fields, author=ANN, act=None).outcome >= Outcome.LIMITED


def test_a_bad_link_is_held() -> None:
    verdict = check("look at this", "http://paypa1.com/login")

    assert labels(verdict) == {Label.SCAM_LINK}
    assert verdict.outcome == Outcome.HELD


@pytest.mark.parametrize("link", ["http://p\u0251ypal.com", "http://pa\u0301ypal.com", "p\u0430ypal.com"])
def test_a_name_that_only_looks_like_another_is_not_read_as_it(link: str) -> None:
    assert Label.SCAM_LINK in labels(check(f"My new scarf is so soft, I paid for it at {link}"))


def test_a_short_link_is_held_until_its_end_is_known() -> None:
    checker = a_checker()

    def verdict(resolved: dict[str, Resolution]) -> Verdict:
        return checker.check_text(
            {"caption": "My new scarf is so soft, I found it at bit.ly/a"}, author=ANN, act=None, resolved=resolved
        )

    assert verdict({}).outcome == Outcome.HELD
    assert verdict({"http://bit.ly/a": Resolution(("https://shop.example/",), complete=True)}).outcome == Outcome.CLEAN


def test_a_banned_picture_is_removed_whoever_posts_it() -> None:
    pictures = KnownPictures()
    pictures.set_bans("t", [ImageBan(HASH.hex, "stolen", "mod", 0)])

    verdict = a_checker(pictures).check_text({}, author=ANN, act=None, pictures=[Picture("picture 1", "x", HASH)])

    assert verdict.outcome == Outcome.REMOVED
    assert [finding.where for finding in verdict.findings] == ["picture 1"]


def test_a_ban_holds_for_its_tenant_alone_and_can_be_lifted() -> None:
    pictures = KnownPictures()
    pictures.ban("other", HASH.hex)
    assert pictures.finding("t", "ann", Picture("p", "x", HASH)) is None
    pictures.ban("t", HASH.hex)
    assert pictures.finding("t", "ann", Picture("p", "x", HASH)) is not None
    pictures.lift("t", HASH.hex)
    assert pictures.finding("t", "ann", Picture("p", "x", HASH)) is None


def test_anothers_picture_is_held_and_ones_own_is_not() -> None:
    pictures = KnownPictures()
    pictures.publish("t", "first", "bob", HASH.bits)
    checker = a_checker(pictures)
    copy = [Picture("picture 1", "second", HASH)]

    assert labels(checker.check_text({}, author=ANN, act=None, pictures=copy)) == {Label.COPIED_IMAGE}
    assert checker.check_text({}, author=Author("t", "bob", 0.5), act=None, pictures=copy).outcome == Outcome.CLEAN
    pictures.withdraw("t", "first")
    assert checker.check_text({}, author=ANN, act=None, pictures=copy).outcome == Outcome.CLEAN


def test_a_posts_stored_pictures_are_compared_and_unhashed_ones_are_not() -> None:
    pictures = KnownPictures()
    pictures.ban("t", HASH.hex)
    post = Post("t", "p", "ann", "hello", (), (), (), 0)

    stored = [Stored("media[0]", "m0", None), Stored("media[1]", "m1", HASH.stored)]

    assert [finding.where for finding in a_checker(pictures).check(post, stored).findings] == ["media[1]"]


def test_plain_pictures_are_nobodys() -> None:
    pictures = KnownPictures()
    pictures.publish("t", "first", "bob", PLAIN.bits)

    assert pictures.finding("t", "ann", Picture("p", "x", PLAIN)) is None


def test_too_many_posts_are_held_though_each_is_harmless() -> None:
    checker = a_checker()
    outcomes = [
        checker.check_text({"caption": f"my scarf number {number}"}, author=Author("t", "ann", 0.0), act=Act.POST)
        for number in range(7)
    ]

    assert [verdict.outcome for verdict in outcomes] == [Outcome.CLEAN] * 5 + [Outcome.HELD] * 2
    assert labels(outcomes[-1]) == {Label.VELOCITY}


def test_checking_again_does_not_count_again() -> None:
    checker = a_checker()

    for _ in range(50):
        assert checker.check_text({"caption": "my scarf"}, author=ANN, act=None).outcome == Outcome.CLEAN


def test_without_classifiers_everything_is_held_with_the_reason() -> None:
    checker = a_checker(without="no model; run `haat train moderation`")

    verdict = checker.check_text({"caption": "my scarf"}, author=ANN, act=Act.POST)

    assert verdict.outcome == Outcome.HELD
    assert verdict.checked_by == "no model; run `haat train moderation`"
    assert checker.check_text({"caption": "see http://127.0.0.1"}, author=ANN, act=None).findings != ()


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("", Outcome.CLEAN),
        ("\0\0\0\0\0\0", Outcome.HELD),
        ("\u0301" * 5_000, Outcome.HELD),
        ("a" + "\u0336\u0337\u0338\u0321\u0322" * 200, Outcome.HELD),
        ("\u202ekcufgnp.exe", Outcome.HELD),
        ("word " * 250_000, Outcome.HELD),
        ("http://x.com/a " * 100_000, Outcome.HELD),
        ("\ud800\udfff", Outcome.CLEAN),
        ("👨\u200d👩\u200d👧 my family", Outcome.CLEAN),
    ],
)
def test_odd_texts_have_a_clear_outcome(text: str, outcome: Outcome) -> None:
    assert check(text).outcome == outcome


def test_thousands_of_fields_are_bounded() -> None:
    fields = {f"field {number}": "so nice " * 100 for number in range(5_000)}

    assert a_checker().check_text(fields, author=ANN, act=None).outcome == Outcome.HELD
