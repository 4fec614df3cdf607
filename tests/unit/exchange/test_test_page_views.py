"""A test is decided like any other page view, and costs nobody anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace

from exchange.bidding import OutsideBid
from exchange.billing import Known, Notice, Verdict, decide
from exchange.holds import Hold, Holds, Terms
from exchange.recovery import Facts, won_batch
from exchange.report_counts import Counts
from exchange.request import PageView, PricingModel
from exchange.statistics import settled
from streams.auction_block import AuctionColumns, encode_auctions
from streams.ports import Record
from streams.schemas import NoticesTaken, decode
from tests.builders import Market, a_line_item, a_page_view, an_outside_bid


class Teller:
    """An outside bidder whose bid brings URLs and a price macro."""

    name = "teller"
    timeout_ms = 50

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        return [
            replace(
                an_outside_bid(auction_id, placement_id=view.placements[0].placement_id),
                markup="<i>${AUCTION_PRICE}</i>",
                win_url="https://t.example/w?p=${AUCTION_PRICE}",
                billing_url="https://t.example/b?p=${AUCTION_PRICE}&t=${AUCTION_IMP_TS}",
                loss_url="https://t.example/l?c=${AUCTION_LOSS}",
            )
            for auction_id, view in zip(auction_ids, views, strict=True)
        ]


def take(hold: Hold, *kinds: int) -> NoticesTaken:
    known = Known(lambda _: hold, Terms(), {}, lambda _: 0)
    holds = {hold.impression_id: hold}
    known = replace(known, find=holds.get)
    decision = decide(
        [Notice(kind, hold.impression_id, "1" if kind == 3 else "") for kind in kinds],
        known, now_ms=hold.held_at_ms, taken_at_ms=hold.held_at_ms,
    )  # fmt: skip
    assert {outcome.verdict for outcome in decision.outcomes} == {Verdict.ACCEPTED}
    assert decision.spent == decision.freed == decision.carried == {}
    assert decision.impressions == []
    return NoticesTaken(hold.held_at_ms, tuple(decision.taken))


def held(market: Market) -> list[Hold]:
    holds = Holds()
    holds.add(market.held[-1])
    batch = market.held[-1]
    ids = [
        f"{batch.auction_ids[p]}.{i}"
        for p, i in zip(batch.page_row.tolist(), batch.placement_index.tolist(), strict=True)
    ]
    return [hold for impression_id in ids if (hold := holds.find(impression_id)) is not None]


@pytest.mark.parametrize("pricing", PricingModel)
async def test_a_test_reserves_nothing_bills_nothing_and_counts_nowhere(pricing: PricingModel) -> None:
    market = Market([a_line_item(1, pricing_model=int(pricing), bid_micros=900_000_000)])
    before = market.purse.available.copy()

    answer = await market.ask_one(test=True)

    assert answer.placements[0].ad is not None
    np.testing.assert_array_equal(market.purse.available, before)
    (hold,) = held(market)
    assert (hold.test, hold.line_item_row, hold.campaign_row, hold.left_micros) == (True, -1, -1, 0)
    assert market.published[0].test_page_view.tolist() == [0]
    assert market.published[0].bid_reserved_micros.sum() == 0
    event = take(hold, 1, 4, 2, 3)
    assert [notice.billed_micros for notice in event.notices] == [0, 0, 0, 0]
    counts = Counts()
    counts.add_notices(event)
    counts.add_auctions([encode_auctions(market.published[0])], lambda _: ["top"])
    assert (dict(counts.metrics), dict(counts.reasons)) == ({}, {})
    assert settled(event, 0) == []


async def test_a_test_takes_no_budget_from_a_page_view_that_pays() -> None:
    market = Market([a_line_item(1, bid_micros=2_000_000)])
    # Enough for one impression, whichever comes first.
    market.purse.available[:] = 2_000

    answers = await market.ask(a_page_view(request_id="t", test=True), a_page_view(request_id="r", session_id="other"))

    assert [answer.request_id for answer in answers] == ["t", "r"]
    assert answers[1].placements[0].ad is not None


async def test_a_test_is_never_a_sessions_answer() -> None:
    market = Market([a_line_item(1, bid_micros=2_000_000)])

    tested = await market.ask_one(test=True, session_id="s")
    real = await market.ask_one(session_id="s")
    again = await market.ask_one(test=True, session_id="s")

    assert (tested.kept, real.kept, again.kept) == (False, False, False)


async def test_an_outside_bidder_is_told_audit_instead_of_money() -> None:
    market = Market([a_line_item(1, bid_micros=2_000_000)], outside=[Teller()])

    tested, real = [(await market.ask_one(test=test, session_id=str(test))).placements[0].ad for test in (True, False)]

    assert tested is not None
    assert real is not None
    assert tested.markup == "<i>AUDIT</i>"
    assert real.markup == "<i>2.01</i>"
    urls = [
        [(bid.win_url, bid.billing_url, bid.loss_url) for bid in columns.outside_bids] for columns in market.published
    ]
    assert urls == [
        [("https://t.example/w?p=AUDIT", "https://t.example/b?p=AUDIT&t=${AUCTION_IMP_TS}", "")],
        [("https://t.example/w?p=2.01", "https://t.example/b?p=2.01&t=${AUCTION_IMP_TS}", "")],
    ]
    holds = Holds()
    holds.add(market.held[0])
    hold = holds.find(tested.impression_id)
    assert hold is not None
    (notice,) = take(hold, 1).notices
    assert notice.billing_url == f"https://t.example/b?p=AUDIT&t={hold.held_at_ms}"


async def test_a_test_is_a_test_after_a_restart() -> None:
    market = Market([a_line_item(1, bid_micros=2_000_000)])
    await market.ask_one(test=True)
    read = decode("auctions", Record(0, 0, encode_auctions(market.published[0])))
    assert isinstance(read, AuctionColumns)
    facts = Facts(lambda _: 1, lambda _: 1, lambda _: "", lambda _: "", lambda _: ["top"])
    batch = won_batch(read, market.purse, facts)  # type: ignore[arg-type]

    assert batch.test_pages == frozenset({0})
    assert batch.line_item_account_row.tolist() == [-1]
    assert batch.creative_number.tolist() == market.held[0].creative_number.tolist()
