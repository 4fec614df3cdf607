"""What reports weigh together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from feed.moderation.report_values import Report, ReportReason, Track
from feed.moderation.report_weight import UNPROVEN_TOGETHER, accuracy, limits, makes_case, weigh
from feed.moderation.subjects import Subject, SubjectKind

POST = Subject(SubjectKind.POST, "post")


def reports(*reporters: str, remembered: bool = True) -> list[Report]:
    return [Report("t", name, POST, 1, name, remembered, ReportReason.SPAM, "", 1) for name in reporters]


def others(*names: str) -> frozenset[Subject]:
    return frozenset(Subject(SubjectKind.POST, name) for name in names)


def test_a_record_of_being_right_counts_and_one_of_being_wrong_counts_against() -> None:
    assert accuracy(Track(10, 0), remembered=True) > 0.8 > accuracy(Track(), remembered=True)
    assert accuracy(Track(0, 10), remembered=True) < 0.1
    assert accuracy(Track(), remembered=False) < accuracy(Track(), remembered=True)


@given(st.integers(1, 400), st.booleans())
def test_however_many_are_unproven_they_weigh_no_more_than_one_who_is_never_wrong(count: int, remembered: bool) -> None:
    weighed = weigh(reports(*(f"r{at}" for at in range(count)), remembered=remembered), {}, {})

    assert weighed.weight <= UNPROVEN_TOGETHER
    assert weighed.proven_voices == 0
    assert not limits(weighed, 0.0)


def test_those_who_reported_the_same_before_without_being_right_are_one_voice() -> None:
    names = [f"r{at}" for at in range(30)]
    tracks = dict.fromkeys(names, Track(6, 0))
    alone = weigh(reports(*names), tracks, {})
    together = weigh(reports(*names), tracks, dict.fromkeys(names, others("a", "b")))

    assert (alone.voices, together.voices) == (30, 1)
    assert together.weight < 1.5 < alone.weight
    assert not limits(together, 0.0)


def test_one_thing_in_common_joins_nobody() -> None:
    names = ["r1", "r2", "r3"]
    before = {"r1": others("a", "b"), "r2": others("b", "c"), "r3": others("c", "d")}

    assert weigh(reports(*names), {}, before).voices == 3


def test_who_is_joined_to_one_of_a_chain_is_joined_to_all() -> None:
    before = {"r1": others("a", "b"), "r2": others("a", "b", "c", "d"), "r3": others("c", "d")}

    assert weigh(reports("r1", "r2", "r3", "r4"), {}, before).voices == 2


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=12), st.randoms())
def test_the_order_of_reports_makes_no_difference_and_one_more_never_weighs_less(
    tracks: list[tuple[float, float]], chance: object
) -> None:
    import random

    assert isinstance(chance, random.Random)
    given_tracks = {f"r{at}": Track(*track) for at, track in enumerate(tracks)}
    made = reports(*given_tracks)
    shuffled = made.copy()
    chance.shuffle(shuffled)

    weight = weigh(made, given_tracks, {}).weight

    assert abs(weigh(shuffled, given_tracks, {}).weight - weight) < 1e-9
    assert weigh(made[:-1], given_tracks, {}).weight <= weight + 1e-9


def test_no_report_makes_no_case() -> None:
    weighed = weigh([], {}, {})

    assert weighed.risk == 0.0
    assert not makes_case(weighed)
