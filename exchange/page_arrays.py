"""How does the kernel read a batch of page views? As numbers of the snapshot's vocabulary, in flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from exchange.inventory import Snapshot
from exchange.placement_asks import DealAsks
from exchange.request import PageView
from exchange.standing_bids import CREATIVE
from exchange.traits import Kind, allowed_by
from exchange.visitor import Visitor
from exchange.walk_arrays import PageArrays

_QUARTER_MS = 15 * 60 * 1000
_LOW = (1 << 64) - 1


class HoursOfWeek:
    """The hour of the week in each of the snapshot's time zones; zones change on quarters of an hour at most."""

    def __init__(self, zones: Sequence[str]) -> None:
        self._zones = [ZoneInfo(zone) for zone in zones]
        self._by_quarter: dict[int, list[int]] = {}

    def at(self, at_ms: int) -> list[int]:
        """One hour (0 is Monday 00:00) for each zone."""
        quarter = at_ms // _QUARTER_MS
        hours = self._by_quarter.get(quarter)
        if hours is None:
            if len(self._by_quarter) > 10_000:
                self._by_quarter.clear()
            moment = datetime.fromtimestamp(quarter * _QUARTER_MS / 1000, UTC)
            local = [moment.astimezone(zone) for zone in self._zones]
            hours = self._by_quarter[quarter] = [time.weekday() * 24 + time.hour for time in local]
        return hours


def page_arrays(
    snapshot: Snapshot,
    hours: HoursOfWeek,
    views: Sequence[PageView],
    visitors: Sequence[Visitor],
    auction_numbers: Sequence[int] = (),
) -> PageArrays:
    """The arrays of a batch; a word that no line item uses is left out, as it can match nothing.

    `auction_numbers` are the ids of the auctions: chance comes from them alone.
    """
    words = snapshot.vocabulary
    terms, traits = words.terms, words.traits
    countries, devices, languages = terms["country"], terms["device"], terms["language"]
    categories, keywords = terms["category"], terms["keyword"]
    segments, seen_products, near_products = terms["segment"], terms["seen_product"], terms["near_product"]

    term: list[int] = []
    weight: list[float] = []
    term_start = [0]
    affinity_product: list[int] = []
    affinity_weight: list[float] = []
    affinity_start = [0]
    product_rows = snapshot.product_rows
    seen_number: list[int] = []
    seen_at: list[int] = []
    seen_start = [0]
    seen_split: list[int] = []
    allow: list[int] = []
    allow_start = [0]
    allow_kinds: list[int] = []
    hour_rows: list[list[int]] = []
    placement_count: list[int] = []
    placement_term: list[int] = []
    shape: list[int] = []
    shape_count: list[int] = []
    block: list[int] = []
    block_count: list[int] = []
    private: list[bool] = []
    deals: list[DealAsks] = []
    deal_count: list[int] = []
    same: list[bool] = []

    for view, visitor in zip(views, visitors, strict=True):
        # Where the page view is, then what it is about, then who looks: the weights count the latter two.
        for values, word in ((countries, view.country), (languages, view.language)):
            number = values.get(word)
            if number is not None:
                term.append(number)
                weight.append(0.0)
        number = devices.get(str(view.device_type)) if devices else None
        if number is not None:
            term.append(number)
            weight.append(0.0)
        for values, said in ((categories, view.categories), (keywords, view.keywords)):
            if values:
                for word in said:
                    number = values.get(word)
                    if number is not None:
                        term.append(number)
                        weight.append(1.0)
        if segments:
            for word in visitor.segments:
                number = segments.get(word)
                if number is not None:
                    term.append(number)
                    weight.append(0.0)
        for product, affinity in visitor.affinities.items():
            number = seen_products.get(product)
            if number is not None:
                term.append(number)
                weight.append(affinity)
            row = product_rows.get(product)
            if row is not None:
                affinity_product.append(row)
                affinity_weight.append(affinity)
        if near_products:
            for product, like in visitor.near.items():
                number = near_products.get(product)
                if number is not None:
                    term.append(number)
                    weight.append(like)
        affinity_start.append(len(affinity_product))
        term_start.append(len(term))
        seen_number += visitor.seen_line_items
        seen_at += visitor.seen_at_ms
        seen_split.append(len(seen_number))
        if visitor.session_line_items:
            seen_number += visitor.session_line_items
            seen_at += visitor.session_at_ms
        seen_start.append(len(seen_number))
        hour_rows.append(hours.at(view.viewed_at_ms))
        kinds = 0
        if view.allowed_categories or view.allowed_seats or view.allowed_languages:
            for kind, allowed in allowed_by(view):
                kinds |= 1 << kind
                allow += [traits[kind, word] for word in allowed if (kind, word) in traits]
        allow_kinds.append(kinds)
        allow_start.append(len(allow))

        asks = snapshot.asks.of(view.placements)
        placement_count.append(len(asks.terms))
        placement_term += asks.terms
        same += asks.same
        private += asks.private
        shape += asks.shapes
        shape_count += asks.shape_counts
        deals += asks.deals
        deal_count += asks.deal_counts
        blocked_seats = [traits[Kind.SEAT, s] for s in view.blocked_seats if (Kind.SEAT, s) in traits]
        if blocked_seats:
            at = 0
            for count in asks.block_counts:
                block += (*asks.blocks[at : at + count], *blocked_seats)
                block_count.append(count + len(blocked_seats))
                at += count
        else:
            block += asks.blocks
            block_count += asks.block_counts

    numbers = np.array(seen_number, np.uint32)
    campaign, brand = _whose(snapshot, numbers)
    return PageArrays(
        term_start=np.array(term_start, np.int32),
        term=np.array(term, np.int32),
        term_weight=np.array(weight, np.float32),
        affinity_start=np.array(affinity_start, np.int32),
        affinity_product=np.array(affinity_product, np.int32),
        affinity_weight=np.array(affinity_weight, np.float32),
        seen_start=np.array(seen_start, np.int32),
        seen_split=np.array(seen_split, np.int32),
        seen_number=numbers,
        seen_creative=_creatives(snapshot, visitors),
        seen_campaign=campaign,
        seen_brand=brand,
        seen_at_ms=np.array(seen_at, np.int64),
        known_by=np.array([visitor.known_by for visitor in visitors], np.uint8),
        chance=np.array([number & _LOW for number in auction_numbers] or [0] * len(views), np.uint64),
        hour_of_week=np.array(hour_rows, np.int32).reshape(len(views), -1),
        allow_start=np.array(allow_start, np.int32),
        allow=np.array(allow, np.int32),
        allow_kinds=np.array(allow_kinds, np.uint16),
        placement_start=_starts(placement_count),
        placement_term=np.array(placement_term, np.int32),
        shape_start=_starts(shape_count),
        shape=np.array(shape, np.int32),
        block_start=_starts(block_count),
        block=np.array(block, np.int32),
        private=np.array(private, np.uint8),
        same_as_before=np.array(same, np.uint8),
        deal_start=_starts(deal_count),
        **(_deal_columns(deals) if deals else _NO_DEALS),
    )


def _starts(counts: Sequence[int]) -> NDArray[np.int32]:
    """Where each begins, and behind them where the last one ends."""
    starts = np.zeros(len(counts) + 1, np.int32)
    np.add.accumulate(np.array(counts, np.int32), out=starts[1:])
    return starts


def _deal_columns(deals: Sequence[DealAsks]) -> dict[str, Any]:
    return {
        "deal_term": np.array([deal.term for deal in deals], np.int32),
        "deal_row": np.array([deal.row for deal in deals], np.int32),
        "deal_floor": np.array([deal.floor_micros for deal in deals], np.int64),
        "deal_guaranteed": np.array([deal.guaranteed for deal in deals], np.uint8),
        "deal_needs": np.array([deal.needs for deal in deals], np.uint8),
        "deal_trait_start": np.array([0, *accumulate(len(deal.traits) for deal in deals)], np.int32),
        "deal_trait": np.array([trait for deal in deals for trait in deal.traits], np.int32),
    }


# Nobody writes into the arrays of a batch.
_NO_DEALS: Final = _deal_columns(())


def _whose(snapshot: Snapshot, numbers: NDArray[np.uint32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Campaign and brand of each impression; empty when no cap counts by them."""
    if not snapshot.cap_scopes or not len(numbers):
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    # A number beyond those of this snapshot is of no line item that it knows: row 0 is nobody's.
    rows = np.where(numbers < len(snapshot.known.campaign), numbers, 0)
    return snapshot.known.campaign[rows], snapshot.known.brand[rows]


def _creatives(snapshot: Snapshot, visitors: Sequence[Visitor]) -> NDArray[np.uint32]:
    if CREATIVE not in snapshot.cap_scopes:
        return np.zeros(0, np.uint32)
    seen: list[int] = []
    for visitor in visitors:
        # Impressions that were remembered before creatives were have none.
        seen += [0] * (len(visitor.seen_line_items) - len(visitor.seen_creatives))
        seen += visitor.seen_creatives
        seen += visitor.session_creatives
    return np.array(seen, np.uint32)
