"""How often may somebody see it? By visitor, by session, and where nobody can be counted."""

from __future__ import annotations

from typing import Any

import pytest

from common.clock import SteppedClock
from common.consent import Permission
from exchange.frequency import WHOLE, unrecognised_share
from exchange.refusals import Refusal
from exchange.session_impressions import IMPRESSIONS_AT_MOST, SESSION_MS, SessionImpressions
from streams.ports import Profile
from tests.builders import Market, a_creative, a_line_item

NOW_MS = SteppedClock().now_ms()
LINE_ITEM, CAMPAIGN, ADVERTISER, CREATIVE = 1, 2, 3, 4


def a_sibling(**changes: Any) -> Any:
    """Line item 2: of the campaign, the brand and with the creative of line item 1, unless told otherwise."""
    facts = {"campaign_number": 1, "advertiser_domain": "brand-1.example", "creatives": (a_creative(1),)}
    return a_line_item(2, **{**facts, **changes})


def outcome_of_first(market: Market) -> int:
    """What became of line item 1 in the newest auction."""
    record = market.published[-1]
    return int(record.bid_outcome[record.bid_line_item.tolist().index(1)])


@pytest.mark.parametrize(
    ("scope", "stranger"),
    [
        (LINE_ITEM, {}),
        (CAMPAIGN, {"campaign_number": 9}),
        (ADVERTISER, {"advertiser_domain": "other.example"}),
        (CREATIVE, {"creatives": (a_creative(9),)}),
    ],
)
@pytest.mark.parametrize("by_session", [False, True])
async def test_a_cap_counts_what_its_scope_says(scope: int, stranger: dict[str, Any], by_session: bool) -> None:
    item = a_line_item(1, caps=((-scope if by_session else scope, 1, 60),), bid_micros=1_000_000)
    seen_item, seen_creative = (1, 1) if scope == LINE_ITEM else (2, 1)
    own = Market([item, a_sibling(bid_micros=100_000)])
    other = Market([item, a_sibling(bid_micros=100_000, **stranger)])
    for market, creative in ((own, seen_creative), (other, 9 if scope == CREATIVE else seen_creative)):
        if by_session:
            market.sessions.remember(" s", seen_item, creative, NOW_MS - 1_000)
        else:
            market.visitors.profiles["visitor-1"] = Profile(
                seen_line_items=[seen_item], seen_at_ms=[NOW_MS - 1_000], seen_creatives=[creative]
            )

    await own.ask_one(session_id="s")
    await other.ask_one(session_id="s")

    # The line item itself is the one that was seen, also where a stranger stands beside it.
    assert [outcome_of_first(own), outcome_of_first(other)] == [
        Refusal.FREQUENCY_CAPPED,
        Refusal.FREQUENCY_CAPPED if scope == LINE_ITEM else Refusal.WON,
    ]


async def test_impressions_of_a_line_item_that_stopped_still_count_for_its_campaign() -> None:
    profile = Profile(seen_line_items=[2], seen_at_ms=[NOW_MS - 1_000])
    market = Market([a_line_item(1, caps=((CAMPAIGN, 1, 60),)), a_sibling()], profiles={"visitor-1": profile})
    market.compiler.remove(["item-2"])
    market.load([])

    answer = await market.ask_one()

    assert answer.placements[0].no_ad_reason == Refusal.FREQUENCY_CAPPED


async def test_a_line_item_that_nobody_knows_counts_for_nobody() -> None:
    profile = Profile(seen_line_items=[4_000_000_000], seen_at_ms=[NOW_MS - 1_000])
    market = Market([a_line_item(1, caps=((CAMPAIGN, 1, 60), (ADVERTISER, 1, 60)))], profiles={"visitor-1": profile})

    assert (await market.ask_one()).placements[0].ad is not None


async def test_impressions_from_before_creatives_were_remembered_count_for_the_rest() -> None:
    profile = Profile(seen_line_items=[1, 1], seen_at_ms=[NOW_MS - 2_000, NOW_MS - 1_000], seen_creatives=[1])
    by_creative = Market([a_line_item(1, caps=((CREATIVE, 2, 60),))], profiles={"visitor-1": profile})
    by_item = Market([a_line_item(1, caps=((LINE_ITEM, 2, 60),))], profiles={"visitor-1": profile})

    assert (await by_creative.ask_one()).placements[0].ad is not None
    assert (await by_item.ask_one()).placements[0].ad is None


async def test_every_cap_of_a_line_item_holds() -> None:
    profile = Profile(seen_line_items=[1], seen_at_ms=[NOW_MS - 1_000])
    item = a_line_item(1, cap_impressions=5, cap_window_s=60, caps=((CAMPAIGN, 1, 60),))
    market = Market([item], profiles={"visitor-1": profile})

    assert (await market.ask_one()).placements[0].no_ad_reason == Refusal.FREQUENCY_CAPPED


async def test_without_a_visitor_the_session_is_counted() -> None:
    market = Market([a_line_item(1, caps=((LINE_ITEM, 1, 60),))])
    market.sessions.remember(" s", 1, 1, NOW_MS - 1_000)

    seen = await market.ask_one(visitor_id="", session_id="s")
    fresh = await market.ask_one(visitor_id="", session_id="t")
    refused_consent = await market.ask_one(permissions=0, session_id="s", url="https://shop.example/other")

    assert seen.placements[0].ad is None
    assert fresh.placements[0].ad is not None
    assert refused_consent.placements[0].ad is None


async def test_a_session_of_another_publisher_is_another_session() -> None:
    market = Market([a_line_item(1, caps=((-LINE_ITEM, 1, 60),))])
    market.sessions.remember("shop-a s", 1, 1, NOW_MS - 1_000)

    own = await market.ask_one(session_id="s", publisher_id="shop-a")
    other = await market.ask_one(session_id="s", publisher_id="shop-b")

    assert own.placements[0].ad is None
    assert other.placements[0].ad is not None


@pytest.mark.slow
async def test_where_nobody_can_be_counted_a_share_of_page_views_is_taken() -> None:
    market = Market([a_line_item(1, caps=((LINE_ITEM, 3, 86_400),)), a_line_item(2, bid_micros=1_000_000)])
    pages = 1_000

    answers = [await market.ask_one(visitor_id="") for _ in range(pages)]

    capped = sum(answer.placements[0].ad is not None and answer.placements[0].ad.line_item_id == "item-1"
                 for answer in answers)  # fmt: skip
    # 3 of 30 page views a day are expected; within five standard deviations of a thousand draws.
    assert abs(capped - pages / 10) < 5 * (pages * 0.1 * 0.9) ** 0.5
    assert market.tally.outcomes is not None


def test_the_share_keeps_the_expected_frequency_under_the_cap() -> None:
    assert unrecognised_share(3, 86_400) == WHOLE // 10
    assert unrecognised_share(2, 1) < WHOLE
    assert unrecognised_share(64, 86_400) == WHOLE
    assert unrecognised_share(1, 7 * 86_400) < unrecognised_share(1, 86_400) < unrecognised_share(1, 3_600)


async def test_remembering_is_not_needed_to_count_a_new_visitor() -> None:
    market = Market([a_line_item(1, caps=((LINE_ITEM, 1, 60),))])

    assert (await market.ask_one(permissions=int(Permission.REMEMBER))).placements[0].ad is not None


def test_a_session_remembers_its_newest_impressions() -> None:
    sessions = SessionImpressions()
    for number in range(IMPRESSIONS_AT_MOST + 5):
        sessions.remember("s", number, number + 1, 1_000 + number)

    seen = sessions.of("s")
    assert seen is not None
    assert (seen.line_items[0], seen.creatives[0], seen.at_ms[0]) == (5, 6, 1_005)
    assert len(seen.line_items) == len(seen.creatives) == len(seen.at_ms) == IMPRESSIONS_AT_MOST


def test_sessions_are_forgotten_when_they_are_quiet_or_too_many() -> None:
    sessions = SessionImpressions(limit=2)
    for at, name in enumerate("abc"):
        sessions.remember(name, 1, 1, at)
    assert (sessions.of("a"), len(sessions)) == (None, 2)

    sessions.remember("d", 1, 1, SESSION_MS + 2)

    assert (sessions.of("c"), len(sessions)) == (None, 1)
