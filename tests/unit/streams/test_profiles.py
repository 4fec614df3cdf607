from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.profiles_lmdb import LmdbProfileStore
from common.clock import SteppedClock
from common.errors import InvalidInput
from streams.ports import Profile
from streams.profiles import Profiles


@pytest.fixture
def profiles(tmp_path: Path) -> Iterator[Profiles]:
    store = LmdbProfileStore(tmp_path)
    yield Profiles(store, SteppedClock(1_000))
    store.close()


def known(profiles: Profiles, visitor_id: str) -> Profile:
    profile = profiles.look_up([visitor_id])[0]
    assert profile is not None
    return profile


def test_strangers_are_none(profiles: Profiles) -> None:
    profiles.add_affinities("ann", {"shoe": 1.0})

    assert [profile is None for profile in profiles.look_up(["bob", "ann"])] == [True, False]


def test_the_newest_64_impressions_are_kept_in_order(profiles: Profiles) -> None:
    profiles.remember_impressions([("ann", number, 100 + number, number + 1000) for number in range(60)])
    profiles.remember_impressions([("ann", number, 100 + number, number + 1000) for number in range(60, 70)])

    ann = known(profiles, "ann")
    assert ann.seen_line_items == list(range(6, 70))
    assert ann.seen_at_ms == [100 + number for number in range(6, 70)]
    assert ann.seen_creatives == [1000 + number for number in range(6, 70)]


def test_impressions_of_many_visitors_are_remembered_together(profiles: Profiles) -> None:
    profiles.remember_impressions([("ann", 1, 10, 7), ("bob", 2, 11, 8), ("ann", 3, 12, 9)])
    profiles.remember_impressions([])

    assert (known(profiles, "ann").seen_line_items, known(profiles, "bob").seen_line_items) == ([1, 3], [2])


def test_one_bad_visitor_id_remembers_nothing(profiles: Profiles) -> None:
    with pytest.raises(InvalidInput) as refused:
        profiles.remember_impressions([("ann", 1, 10, 7), ("", 2, 11, 8), ("x" * 65, 2, 11, 8)])

    assert [error.field for error in refused.value.errors] == ["impressions[1].visitor_id", "impressions[2].visitor_id"]
    assert "xxx" not in str(refused.value)
    assert profiles.look_up(["ann"]) == [None]


def test_putting_segments_keeps_the_impressions(profiles: Profiles) -> None:
    profiles.remember_impressions([("ann", 1, 10, 7)])
    profiles.put("ann", ["age=30", "gender=f", "age=30"], {"shoe": 2.0})
    profiles.put("ann", ["age=31"], {"hat": 1.0})

    assert known(profiles, "ann") == Profile(["age=31"], {"hat": 1.0}, [1], [10], 1_000, [7])


def test_the_weakest_affinities_leave(profiles: Profiles) -> None:
    profiles.put("ann", [], {f"p{number}": float(number) for number in range(1, 81)})
    profiles.add_affinities("ann", {"disliked": -100.0})

    affinities = known(profiles, "ann").affinities
    assert len(affinities) == 64
    assert affinities["disliked"] == -100.0
    assert set(affinities) == {f"p{number}" for number in range(18, 81)} | {"disliked"}


def test_affinity_adds_up_within_bounds(profiles: Profiles) -> None:
    for weight in (0.5, 0.25, 1_000_000.0):
        profiles.add_affinities("ann", {"shoe": weight})
    profiles.add_affinities("ann", {"hat": 0.5})

    assert known(profiles, "ann").affinities == {"shoe": 1_000_000.0, "hat": 0.5}


def test_every_field_that_cannot_be_taken_is_named_at_once(profiles: Profiles) -> None:
    with pytest.raises(InvalidInput) as refused:
        profiles.put(
            "", ["age=30", "age", "=x", "a=\n", "x=" + "y" * 64], {"shoe": float("nan"), "hat": 1e9, "": 1.0, "ok": 1.0}
        )

    assert [error.field for error in refused.value.errors] == [
        "visitor_id",
        "segments[1]",
        "segments[2]",
        "segments[3]",
        "segments[4]",
        "affinities['shoe'].weight",
        "affinities['hat'].weight",
        "affinities['']",
    ]


def test_more_than_32_segments_are_refused(profiles: Profiles) -> None:
    profiles.put("ann", [f"s={number}" for number in range(32)], {})

    with pytest.raises(InvalidInput, match="33 segments — give at most 32"):
        profiles.put("ann", [f"s={number}" for number in range(33)], {})


def test_an_affinity_that_is_no_number_is_refused(profiles: Profiles) -> None:
    with pytest.raises(InvalidInput, match=r"product_id\.weight: inf"):
        profiles.add_affinities("ann", {"shoe": float("inf")})

    assert profiles.look_up(["ann"]) == [None]


def test_an_erased_visitor_is_a_stranger(profiles: Profiles) -> None:
    profiles.add_affinities("ann", {"shoe": 1.0})

    assert profiles.erase("ann") is True
    assert profiles.erase("ann") is False
    assert profiles.look_up(["ann"]) == [None]
