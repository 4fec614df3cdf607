"""By what were the finalists of an auction ranked? Their features, computed again from the record, and checked by it.

The record holds no features: it would be twice as large. The page view, the places and who stood there are in it; what
the catalogue said then is in the log; what the visitor liked is only in the profile, as it is now. Whether all of that
is what the auction met shows in the rate: it comes out as recorded, to the last bit, or it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.settings import Settings
from backends.profiles_lmdb import LmdbProfileStore
from backends.sold_facts_sql import SqlNames
from common.consent import Permission
from exchange.packed_bids import cleared_bids, trouble, unpacked
from exchange.ports import PageColumns
from exchange.visitor import Visitor, taste
from protos import exchange_pb2
from ranking.model import ClickModel, ModelRefused, load
from ranking.scored_features import Scored, scored
from streams import schemas
from streams.auction_block import AuctionColumns
from streams.ports import EventLog, Profile
from streams.topics import PRODUCTS

_READ_AT_ONCE = 256
_SOURCES = (
    "computed again: the page view and its places as recorded, the products as the catalogue had them then, "
    "what the visitor liked as the profile has it now"
)


class FeaturesOf:
    """Reads what the features of recorded auctions are made of: the model, the catalogue, profiles."""

    def __init__(self, settings: Settings, log: EventLog, names: SqlNames) -> None:
        self._models = settings.models_dir / "click"
        self._profiles = settings.data_dir / "profiles"
        self._log = log
        self._names = names

    def __call__(self, columns: AuctionColumns, page: int) -> tuple[str, dict[int, dict[str, Any]]]:
        """(where they come from and whether they fit the record, in a sentence; what to tell of each finalist by row).

        Never fails: what cannot be had is said.
        """
        rows = finalists(columns, page)
        if not len(rows):
            return "nobody was ranked", {}
        try:
            model = load(self._models)
        except ModelRefused as refused:
            return f"not told: {refused}", {}
        products = self._names.products(columns.bid_creative[rows].tolist())
        product_ids = [products.get(number, "") for number in columns.bid_creative[rows].tolist()]
        attributes = attributes_at(self._log, set(product_ids) - {""}, columns.held_at_ms)
        view = exchange_pb2.PageView.FromString(columns.page_view[page])
        visitor = _visitor(view, int(columns.permissions[page]), self._profiles)
        return told(model, columns, page, rows, product_ids, attributes, view, visitor)


def told(
    model: ClickModel,
    columns: AuctionColumns,
    page: int,
    rows: NDArray[np.intp],
    product_ids: Sequence[str],
    attributes: Mapping[str, Mapping[str, str]],
    view: exchange_pb2.PageView,
    visitor: Visitor,
) -> tuple[str, dict[int, dict[str, Any]]]:
    """As `FeaturesOf` tells it; pure."""
    first = int(columns.placement_count[:page].sum())
    places = columns.bid_placement[rows] - np.uint32(first)
    positions = np.array([view.placements[place].position for place in places.tolist()], np.int32)
    finals = scored(
        model,
        product_ids,
        [attributes.get(product_id) for product_id in product_ids],
        positions,
        np.array([visitor.affinities.get(product_id, 0.0) for product_id in product_ids], np.float32),
        PageColumns(
            np.array([view.viewed_at_ms or columns.held_at_ms], np.int64),
            [visitor.segments],
            np.array([view.device.type], np.int32),
            np.array([sum(visitor.affinities.values())], np.float32),
        ),
    )
    stories = dict(zip(rows.tolist(), map(_story, finals), strict=True))
    serving, _, version = columns.model_version.partition("-")
    if version != model.version or serving not in ("model", "prior"):
        return f"{_SOURCES}; rates cannot be compared: {columns.model_version} ranked, {model.version} is here", stories
    again = np.array([final.model_rate if serving == "model" else final.smoothed_rate for final in finals])
    same = int(np.count_nonzero(again == _recorded(columns, rows)))
    by = "the model's rate" if serving == "model" else "the smoothed rate, which ranked,"
    if same == len(rows):
        return f"{_SOURCES}; {by} comes out as recorded for all {same} finalists", stories
    return (
        f"{_SOURCES}; {by} comes out as recorded for {same} of {len(rows)} finalists: "
        "for the others the catalogue or the profile was another",
        stories,
    )


def finalists(columns: AuctionColumns, page: int) -> NDArray[np.intp]:
    """Rows of the page view's bids that were ranked: those of line items that got as far as clearing."""
    first = int(columns.placement_count[:page].sum())
    cleared = cleared_bids(columns) or len(columns.bid_placement)
    place = columns.bid_placement[:cleared]
    inside = columns.bid_line_item[:cleared] != 0
    scored_ = columns.bid_click_probability[:cleared] > 0.0
    of_page = (place >= first) & (place < first + int(columns.placement_count[page]))
    return np.flatnonzero(of_page & inside & scored_)


def attributes_at(log: EventLog, product_ids: Iterable[str], at_ms: int) -> dict[str, Mapping[str, str]]:
    """What the catalogue said of these products at a time; those it did not know are left out."""
    wanted = set(product_ids)
    found: dict[str, Mapping[str, str]] = {}
    offset = 0
    while wanted and (records := log.read(PRODUCTS.name, offset, _READ_AT_ONCE)):
        for record in records:
            if record.appended_at_ms > at_ms:
                return found
            event = schemas.decode(PRODUCTS.name, record)
            if isinstance(event, schemas.ProductsPut):
                found |= {p.product_id: p.attributes for p in event.products if p.product_id in wanted}
        offset = records[-1].offset + 1
    return found


def _story(final: Scored) -> dict[str, Any]:
    return {
        "log_odds": round(final.log_odds, 6),
        "calibrated_rate": round(final.model_rate, 6),
        "smoothed_rate": round(final.smoothed_rate, 6),
        "features": {name: round(value, 6) if isinstance(value, float) else value
                     for name, value in final.features.items()},
    }  # fmt: skip


def _recorded(columns: AuctionColumns, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    if cleared_bids(columns) and not trouble(columns):
        return unpacked(columns).chance[rows]
    return columns.bid_click_probability[rows].astype(np.float64)


def _visitor(view: exchange_pb2.PageView, permissions: int, profiles: Path) -> Visitor:
    """What the auction was allowed to know of the visitor, as far as it can still be known."""
    allowed = Permission(permissions)
    if Permission.REMEMBER not in allowed or Permission.PERSONALISE_ADS not in allowed:
        return Visitor()
    profile: Profile | None = None
    if profiles.exists() and view.visitor.visitor_id:
        with closing(LmdbProfileStore(profiles, readonly=True)) as store:
            (profile,) = store.read([view.visitor.visitor_id])
    own = [(affinity.product_id, affinity.weight) for affinity in view.visitor.affinities]
    return Visitor(*taste(tuple(view.visitor.segments), own, profile or Profile()))
