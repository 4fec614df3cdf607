"""Do limits grow with trust, fill again with time, and stay within their memory?"""

from __future__ import annotations

import math

import pytest

from common.rate_limits import MemoryRateLimits
from feed.moderation.velocity import LIMITS, Act, Limit, Velocity

HOUR_MS = 3_600_000


def posts_allowed(velocity: Velocity, person: str, reputation: float, now_ms: int) -> int:
    done = 0
    while not velocity.take("t", person, {Act.POST: 1}, reputation, now_ms):
        done += 1
    return done


@pytest.mark.parametrize(("reputation", "allowed"), [(0.0, 5), (0.5, 17), (1.0, 60), (7.0, 60), (-1.0, 5)])
def test_who_is_trusted_may_do_more(reputation: float, allowed: int) -> None:
    assert posts_allowed(Velocity(), "ann", reputation, 0) == allowed


def test_a_reputation_that_is_no_number_is_none() -> None:
    assert LIMITS[Act.POST].at(math.nan) == LIMITS[Act.POST].at(0.0)


def test_a_bucket_fills_evenly() -> None:
    velocity = Velocity()
    posts_allowed(velocity, "ann", 0.0, 0)

    assert posts_allowed(velocity, "ann", 0.0, HOUR_MS // 5 + 1) == 1
    assert posts_allowed(velocity, "ann", 0.0, 3 * HOUR_MS) == 5


def test_nobody_pays_for_another_person_or_tenant() -> None:
    velocity = Velocity()
    posts_allowed(velocity, "ann", 0.0, 0)

    assert velocity.take("t", "bob", {Act.POST: 1}, 0.0, 0) == ()
    assert velocity.take("other", "ann", {Act.POST: 1}, 0.0, 0) == ()


def test_too_much_says_of_what_and_how_much_is_allowed() -> None:
    (exceeded,) = Velocity().take("t", "ann", {Act.POST: 1, Act.LINK: 50}, 0.0, 0)

    assert (exceeded.act, exceeded.allowed, exceeded.per_s) == (Act.LINK, 3.0, 3_600)
    assert exceeded.fullness > 1.0


def test_a_clock_that_is_set_back_gives_nothing() -> None:
    velocity = Velocity()
    posts_allowed(velocity, "ann", 0.0, HOUR_MS)

    assert velocity.take("t", "ann", {Act.POST: 1}, 0.0, 0) != ()
    assert velocity.take("t", "ann", {Act.POST: 1}, 0.0, HOUR_MS) != ()


def test_memory_is_bounded_and_the_quietest_is_forgotten_first() -> None:
    rates = MemoryRateLimits(most=100)
    velocity = Velocity({**LIMITS, Act.POST: Limit(1, 1, 3_600)}, rates)
    for number in range(1_000):
        velocity.take("t", f"person {number}", {Act.POST: 1}, 0.0, number)

    assert len(rates) == 100
    assert velocity.take("t", "person 999", {Act.POST: 1}, 0.0, 1_000) != ()
    assert velocity.take("t", "person 1", {Act.POST: 1}, 0.0, 1_000) == ()


def test_the_same_text_by_many_people_is_noticed_and_a_short_one_is_not() -> None:
    velocity = Velocity()
    text = "buy this wonderful watch from my cousin"

    assert [bool(velocity.take_text("t", text, 0)) for _ in range(6)] == [False] * 5 + [True]
    assert not any(velocity.take_text("t", "so cute!", 0) for _ in range(50))
