"""How does the kernel read a batch of page views? As numbers of the snapshot's vocabulary, in flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from exchange.eligibility import PageArrays
from exchange.inventory import Snapshot
from exchange.request import PageView
from exchange.visitor import Visitor

_QUARTER_MS = 15 * 60 * 1000


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
    snapshot: Snapshot, hours: HoursOfWeek, views: Sequence[PageView], visitors: Sequence[Visitor]
) -> PageArrays:
    """The arrays of a batch; a word that no line item uses is left out, as it can match nothing."""
    words = snapshot.vocabulary
    terms, shapes, blocks = words.terms, words.shapes, words.blocks
    countries, devices, languages = terms["country"], terms["device"], terms["language"]
    categories, keywords, placements = terms["category"], terms["keyword"], terms["placement"]
    segments, seen_products = terms["segment"], terms["seen_product"]

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
    hour_rows: list[list[int]] = []
    placement_start = [0]
    placement_term: list[int] = []
    shape: list[int] = []
    shape_start = [0]
    block: list[int] = []
    block_start = [0]
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
        affinity_start.append(len(affinity_product))
        term_start.append(len(term))
        seen_number += visitor.seen_line_items
        seen_at += visitor.seen_at_ms
        seen_start.append(len(seen_number))
        hour_rows.append(hours.at(view.viewed_at_ms))

        before = None
        for placement in view.placements:
            number = placements.get(placement.placement_id, -1)
            placement_term.append(number)
            asks = (placement.shapes, placement.blocked_categories, placement.blocked_advertisers, number)
            # A placement that is targeted by name walks for itself; others share when they ask for the same.
            same.append(asks == before)
            before = asks if number < 0 else None
            for wanted in placement.shapes:
                known = shapes.get(wanted)
                if known is not None:
                    shape.append(known)
            shape_start.append(len(shape))
            for blocked in (placement.blocked_categories, placement.blocked_advertisers):
                for word in blocked:
                    known = blocks.get(word)
                    if known is not None:
                        block.append(known)
            block_start.append(len(block))
        placement_start.append(len(placement_term))

    return PageArrays(
        term_start=np.array(term_start, np.int32),
        term=np.array(term, np.int32),
        term_weight=np.array(weight, np.float32),
        affinity_start=np.array(affinity_start, np.int32),
        affinity_product=np.array(affinity_product, np.int32),
        affinity_weight=np.array(affinity_weight, np.float32),
        seen_start=np.array(seen_start, np.int32),
        seen_number=np.array(seen_number, np.uint32),
        seen_at_ms=np.array(seen_at, np.int64),
        hour_of_week=np.array(hour_rows, np.int32).reshape(len(views), -1),
        placement_start=np.array(placement_start, np.int32),
        placement_term=np.array(placement_term, np.int32),
        shape_start=np.array(shape_start, np.int32),
        shape=np.array(shape, np.int32),
        block_start=np.array(block_start, np.int32),
        block=np.array(block, np.int32),
        same_as_before=np.array(same, np.uint8),
    )
