"""Does the whole exchange stand still? A switch that every process sees, and what page views are told meanwhile.

Page views are answered and recorded, without an ad and with one reason; nobody is asked for a bid. Notices of ads that
were sold before are taken and billed as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np

from common.clock import Clock
from common.errors import FieldError, InvalidInput, PermissionDenied
from common.ids import text_of
from exchange.answer import Answer, PlacementAnswer
from exchange.campaign_text import check_key, checked_text
from exchange.campaigns import Write
from exchange.record import seller_names
from exchange.refusals import Refusal
from exchange.request import PageView
from exchange.static_worth import CONVERSION_PRIOR
from streams.auction_block import AuctionColumns


class SwitchState(msgspec.Struct, frozen=True):
    """Is it paused, since when, by whom (a tenant), and why."""

    paused: bool
    changed_at_ms: int = 0
    changed_by: str = ""
    reason: str = ""


class SwitchStore(Protocol):
    """Where the switch is kept: it survives a restart."""

    def read(self) -> SwitchState:
        """How it stands; running before it was ever touched."""

    def turn(self, state: SwitchState, idempotency_key: str) -> None:
        """Let it stand so, for every process, unless it does already or this was done before. Conflict when the key
        was used for another write of the tenant.
        """


class ExchangePause:
    """The switch as this process knows it. `paused` is read for each batch, so it is a plain attribute."""

    def __init__(self, *, store: SwitchStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._state = store.read()
        self.paused = self._state.paused

    @property
    def state(self) -> SwitchState:
        """How the switch stands."""
        return self._state

    def refresh(self) -> None:
        """See what other processes did; many times a second. BackendUnavailable leaves it as it was."""
        self._state = self._store.read()
        self.paused = self._state.paused

    def turn(self, write: Write, *, paused: bool, reason: str = "") -> SwitchState:
        """Pause or resume; what is so already stays as it is. PermissionDenied unless an operator does it."""
        if write.caller.role != "operator":
            raise PermissionDenied("the exchange is paused and resumed by operators: use the API key of one")
        errors: list[FieldError] = []
        reason = checked_text("reason", reason, 200, errors)
        check_key("idempotency_key", write.idempotency_key, errors)
        if errors:
            raise InvalidInput(errors)
        wanted = SwitchState(paused, self._clock.now_ms(), write.caller.tenant_id, reason)
        self._store.turn(wanted, write.idempotency_key)
        self.refresh()
        return self._state


def paused_answers(
    views: Sequence[PageView], numbers: Sequence[int], *, held_at_ms: int, currency: str
) -> tuple[list[Answer], AuctionColumns]:
    """(answers without an ad, their record) for page views that came while the exchange stood still."""
    reason = int(Refusal.EXCHANGE_PAUSED)
    answers = [
        Answer(
            text_of(number),
            view.request_id,
            tuple(PlacementAnswer(placement.placement_id, None, reason) for placement in view.placements),
        )
        for view, number in zip(views, numbers, strict=True)
    ]
    counts = np.array([len(view.placements) for view in views], np.uint32)
    placements = int(counts.sum())
    none, no_money = np.zeros(0, np.uint32), np.zeros(0, np.int64)
    publisher_name, placement_name, names = seller_names(views)
    columns = AuctionColumns(
        held_at_ms=held_at_ms,
        snapshot_sequence=0,
        model_version="",
        currency=currency,
        auction_id_high=np.array([number >> 64 for number in numbers], np.uint64),
        auction_id_low=np.array([number & (1 << 64) - 1 for number in numbers], np.uint64),
        permissions=np.array([view.permissions for view in views], np.uint32),
        placement_count=counts,
        bids_in=np.zeros(len(views), np.uint32),
        price_rule=np.array([view.price_rule for view in views], np.uint32),
        page_view=[view.wire for view in views],
        winner_row_plus_one=np.zeros(placements, np.uint32),
        no_ad_reason=np.full(placements, reason, np.uint32),
        bid_placement=none,
        bid_line_item=none,
        bid_creative=none,
        bid_bidder=none,
        bid_micros=no_money,
        bid_outcome=none,
        bid_click_probability=np.zeros(0, np.float32),
        bid_ecpm_micros=no_money,
        bid_price_micros=no_money,
        bid_reserved_micros=no_money,
        test_page_view=np.array([page for page, view in enumerate(views) if view.test], np.uint32),
        publisher_name=publisher_name,
        placement_name=placement_name,
        names=names,
        # Nobody bid, so there is little to replay; it says that this is a record which can be.
        conversion_rate=CONVERSION_PRIOR,
    )
    return answers, columns
