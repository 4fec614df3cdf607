from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.ports import Caller
from backends.exchange_switch_sql import SqlExchangeSwitch
from common.errors import Conflict, InvalidInput, PermissionDenied
from exchange.campaigns import Write
from exchange.pause import ExchangePause
from exchange.recovery import Facts, won_batch
from exchange.refusals import Refusal
from streams.auction_block import AuctionColumns, encode_auctions
from streams.ports import Record
from streams.schemas import decode
from tests.builders import Market, a_line_item, a_page_view
from tests.campaign_stores import CampaignWorld, campaign_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CampaignWorld]:
    with campaign_world(tmp_path) as opened:
        yield opened


def an_operator(world: CampaignWorld, key: str) -> Write:
    return Write(Caller(world.tenant_b, "operator"), world.tenant_b, key)


async def test_while_paused_nothing_is_sold_and_the_reason_is_told_and_recorded() -> None:
    market = Market([a_line_item(1)])
    first = await market.ask_one(session_id="s")
    assert first.placements[0].ad is not None
    market.auction._paused = lambda: True

    # Also not what the session was shown before.
    answer = await market.ask_one(session_id="s")

    assert answer.placements[0].ad is None
    assert answer.placements[0].no_ad_reason == int(Refusal.EXCHANGE_PAUSED)
    record = market.published[-1]
    assert record.no_ad_reason.tolist() == [1015]
    assert record.bids_in.tolist() == [0]
    assert isinstance(decode("auctions", Record(0, 0, encode_auctions(record))), AuctionColumns)
    assert len(market.held) == 1


async def test_when_resumed_it_sells_again() -> None:
    market = Market([a_line_item(1)])
    market.auction._paused = lambda: True
    await market.ask_one()
    market.auction._paused = lambda: False

    assert (await market.ask_one()).placements[0].ad is not None


async def test_the_record_says_who_sold_what_and_recovery_knows_it() -> None:
    market = Market([a_line_item(1)])
    view = a_page_view(publisher_id="shop")
    await market.ask(view)

    held, columns = market.held[0], market.published[0]
    recovered = won_batch(columns, market.purse, Facts(lambda _: 1, lambda _: 1, lambda _: "", lambda _: ""))  # type: ignore[arg-type]

    assert held.publisher_ids == recovered.publisher_ids == ["shop"]
    assert held.placement_ids == recovered.placement_ids == [view.placements[0].placement_id]


def test_the_switch_survives_and_other_processes_see_it(world: CampaignWorld) -> None:
    mine = ExchangePause(store=SqlExchangeSwitch(world.engine), clock=world.clock)
    theirs = ExchangePause(store=SqlExchangeSwitch(world.engine), clock=world.clock)
    assert not mine.paused

    state = mine.turn(an_operator(world, "1"), paused=True, reason="fire drill")

    assert mine.paused
    assert not theirs.paused
    theirs.refresh()
    assert theirs.paused
    assert theirs.state == state
    assert ExchangePause(store=SqlExchangeSwitch(world.engine), clock=world.clock).paused
    assert (state.reason, state.changed_by) == ("fire drill", world.tenant_b)


def test_a_pause_said_again_after_it_was_resumed_changes_nothing(world: CampaignWorld) -> None:
    pause = ExchangePause(store=SqlExchangeSwitch(world.engine), clock=world.clock)
    pause.turn(an_operator(world, "1"), paused=True)
    pause.turn(an_operator(world, "2"), paused=False)

    pause.turn(an_operator(world, "1"), paused=True)

    assert not pause.paused
    with pytest.raises(Conflict):
        pause.turn(an_operator(world, "1"), paused=False)


def test_only_operators_pause_and_their_words_are_checked(world: CampaignWorld) -> None:
    pause = ExchangePause(store=SqlExchangeSwitch(world.engine), clock=world.clock)
    with pytest.raises(PermissionDenied):
        pause.turn(world.write(), paused=True)
    with pytest.raises(InvalidInput) as caught:
        pause.turn(an_operator(world, ""), paused=True, reason="x" * 201)
    assert [error.field for error in caught.value.errors] == ["reason", "idempotency_key"]
