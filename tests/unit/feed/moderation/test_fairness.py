"""Is the fairness set what it promises, is it kept out of training, and does the committed model pass it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from feed.moderation import counter_examples, fairness, ordinary_posts
from feed.moderation import fairness_set as made
from feed.moderation.classifiers import load
from feed.moderation.identity_terms import KNOWN, SIGN, neutralised

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parents[4] / "models" / "moderation"
LISTED = [term for terms in made.KNOWN.values() for term in terms]


@pytest.fixture(scope="module")
def figures() -> fairness.FairnessFigures:
    return fairness.measure(load(MODEL))


def test_there_are_terms_and_templates_enough() -> None:
    assert len(set(LISTED)) >= 30
    assert len(made.UNKNOWN) >= 10
    assert len(set(made.HARMLESS)) == len(set(made.HATEFUL)) == 30
    assert all(template.count("{}") == 1 for template in (*made.HARMLESS, *made.HATEFUL))


def test_no_sentence_and_no_term_of_the_set_is_trained_on() -> None:
    assert not {*made.HARMLESS, *made.HATEFUL} & {*counter_examples.HARMLESS, *counter_examples.HATEFUL}
    assert not set(ordinary_posts.ORDINARY) & set(ordinary_posts.ORDINARY_TEST)
    assert not {term.lower() for term in (*LISTED, *made.UNKNOWN)} & {term.lower() for term in counter_examples.TERMS}


def test_terms_are_listed_or_left_out_as_they_say() -> None:
    assert [term for term in LISTED if term.lower() not in KNOWN] == []
    assert [term for term in made.UNKNOWN if term.lower() in KNOWN] == []


def test_two_groups_become_the_same_sign() -> None:
    assert neutralised("a deaf woman") == neutralised("a turkish man") == f"a {SIGN}"
    assert neutralised("african americans and jews") == f"{SIGN} and {SIGN}"
    assert neutralised("blackberry pie in a womanly shop") == "blackberry pie in a womanly shop"


@pytest.mark.slow
def test_no_listed_group_is_blocked_more_than_another_by_5_points(figures: fairness.FairnessFigures) -> None:
    assert figures.gap < 0.05
    assert figures.group_gap < 0.05
    assert figures.missed_gap < 0.05


def test_fairness_is_not_reached_by_letting_everything_through(figures: fairness.FairnessFigures) -> None:
    assert figures.hateful_missed < 0.5
    assert figures.harmless_blocked < 0.1
    assert figures.ordinary_blocked < 0.05
