from __future__ import annotations

from feed.companions import HALF_LIFE_MS, LOOK_BACK, MAX_COMPANIONS, Companions
from tests.feed_builders import NOW_MS


def test_what_is_engaged_with_together_are_companions_of_one_another() -> None:
    companions = Companions()
    companions.note(1, [], NOW_MS)
    companions.note(2, [1], NOW_MS)

    assert companions.of([1]) == {2: 1.0}
    assert companions.of([2]) == {1: 1.0}
    assert companions.of([1, 2]) == {}
    assert companions.of([3]) == {}


def test_what_everybody_engages_with_is_a_weak_companion() -> None:
    companions = Companions()
    for _ in range(20):
        companions.note(9, [], NOW_MS)
    for other in (9, 2):
        companions.note(1, [other], NOW_MS)

    found = companions.of([1])

    assert found[2] > 3 * found[9]


def test_a_pair_of_a_week_ago_counts_half() -> None:
    companions = Companions()
    companions.note(1, [2], NOW_MS)
    companions.note(1, [3], NOW_MS + HALF_LIFE_MS)

    together = companions._together[1]

    assert together[3] == 2 * together[2]


def test_a_session_counts_its_last_actions_and_a_post_keeps_so_many_companions() -> None:
    companions = Companions()
    companions.note(1, list(range(100, 120)), NOW_MS)
    assert set(companions.of([1])) == set(range(120 - LOOK_BACK, 120))

    for other in range(1_000):
        companions.note(1, [other + 500], NOW_MS + other * 60_000)

    assert len(companions.of([1])) <= MAX_COMPANIONS
    assert 1_499 in companions.of([1])
