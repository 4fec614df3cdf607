"""What rows does a record of auctions become? Page views, placements and bids, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.consent import Permission
from common.ids import text_of
from streams.auction_reader import AuctionReader
from streams.batch.event_rows import HOUR_MS, Rows
from streams.ports import Record

_Ints = NDArray[np.int64]
_Texts = NDArray[np.object_]


def auction_rows(record: Record, *, personal: bool) -> dict[str, Rows] | None:
    """Rows of `page_views`, `placements` and `bids`; None when the record cannot be read.

    `personal` fills in session and visitor of those page views whose visitor agreed to be remembered.
    """
    try:
        return _Auctions(record, personal).rows()
    except (ValueError, IndexError):
        return None


class _Auctions:
    """One record; arrays are by page view, by placement, by recorded bid or by count of others."""

    def __init__(self, record: Record, personal: bool) -> None:
        self._record = record
        self._personal = personal
        self._reader = reader = AuctionReader(record.payload)
        self._counts = self._column("placement_count")
        self._page_of_place = np.repeat(np.arange(len(self._counts)), self._counts)
        self._index_of_place = np.arange(len(self._page_of_place)) - np.repeat(
            np.cumsum(self._counts) - self._counts, self._counts
        )
        high, low = reader.column("auction_id_high").tolist(), reader.column("auction_id_low").tolist()
        self._ids = _texts([text_of(h << 64 | lo) for h, lo in zip(high, low, strict=True)])
        self._tested = np.zeros(len(self._counts), np.bool_)
        self._tested[self._column("test_page_view")] = True
        names = _texts([*reader.names(), ""])
        publishers = self._column("publisher_name")
        self._publishers = names[publishers] if len(publishers) else _blank(len(self._counts))
        placements = self._column("placement_name")
        self._places = names[placements] if len(placements) else self._read_places()

    def rows(self) -> dict[str, Rows]:
        return {"page_views": self._page_views(), "placements": self._placements(), "bids": self._bids()}

    def _page_views(self) -> Rows:
        pages = len(self._counts)
        permissions = self._column("permissions")
        sessions, visitors = [""] * pages, [""] * pages
        if self._personal:
            for page, visit in enumerate(self._reader.visits()):
                if permissions[page] & Permission.REMEMBER:
                    sessions[page], visitors[page] = visit.session_id, visit.visitor_id
        return {
            **self._of_all(pages),
            "auction_id": self._ids,
            "publisher_id": self._publishers,
            "permissions": permissions,
            "placements": self._counts,
            "sold": np.bincount(self._page_of_place[self._sold()], minlength=pages).astype(np.int64),
            "bids_in": self._column("bids_in"),
            "price_rule": self._column("price_rule"),
            "test": self._tested,
            "session_id": sessions,
            "visitor_id": visitors,
        }

    def _placements(self) -> Rows:
        page = self._page_of_place
        floors = self._reader.column("floor_micros").astype(np.int64)
        return {
            **self._of_all(len(page)),
            "auction_id": self._ids[page],
            "publisher_id": self._publishers[page],
            "placement_id": self._places,
            "placement_index": self._index_of_place,
            "sold": self._sold(),
            "no_ad_reason": self._column("no_ad_reason"),
            "floor_micros": floors if len(floors) else np.zeros(len(page), np.int64),
            "test": self._tested[page],
        }

    def _bids(self) -> Rows:
        """The bids that the record names, then what it counts by reason alone."""
        place, apart = self._column("bid_placement"), self._column("more_page_view")
        page = np.concatenate([self._page_of_place[place], apart])
        rest = len(apart)
        outside, domains = np.zeros(len(place), np.bool_), _blank(len(place))
        for bid in self._reader.outside_bids():
            outside[bid.row], domains[bid.row] = True, bid.advertiser_domain
        bidders = _texts([*self._reader.bidders(), ""])[self._column("bid_bidder")]
        chances = self._reader.column("bid_click_probability").astype(np.float64)
        none = np.zeros(rest, np.int64)

        def numbers(name: str) -> _Ints:
            return np.concatenate([self._column(name), none])

        return {
            **self._of_all(len(page)),
            "auction_id": self._ids[page],
            "publisher_id": self._publishers[page],
            "placement_id": np.concatenate([self._places[place], _blank(rest)]),
            "placement_index": np.concatenate([self._index_of_place[place], none - 1]),
            "line_item_number": numbers("bid_line_item"),
            "creative_number": numbers("bid_creative"),
            "bidder": np.concatenate([bidders, _blank(rest)]),
            "outside": np.concatenate([outside, np.zeros(rest, np.bool_)]),
            "advertiser_domain": np.concatenate([domains, _blank(rest)]),
            "outcome": np.concatenate([self._column("bid_outcome"), self._column("more_outcome")]),
            "bids": np.concatenate([np.ones(len(place), np.int64), self._column("more_count")]),
            "bid_micros": numbers("bid_micros"),
            "price_micros": numbers("bid_price_micros"),
            "reserved_micros": numbers("bid_reserved_micros"),
            "ecpm_micros": numbers("bid_ecpm_micros"),
            "currency": np.concatenate([self._currencies(len(place)), _blank(rest)]),
            "click_probability": np.concatenate([chances, np.zeros(rest)]),
            "test": self._tested[page],
        }

    def _currencies(self, bids: int) -> _Texts:
        """What each bid is in; the auction's own where the record tells no other."""
        of_bid, codes = self._reader.column("bid_currency").astype(np.int64), self._reader.currencies()
        if len(of_bid):
            return _texts(codes)[of_bid]
        return _texts([self._reader.currency()] * bids)

    def _of_all(self, rows: int) -> dict[str, Any]:
        at_ms = self._reader.held_at_ms
        return {
            "record_offset": np.full(rows, self._record.offset, np.int64),
            "at_ms": np.full(rows, at_ms, np.int64),
            "hour": np.full(rows, at_ms // HOUR_MS, np.int64),
        }

    def _sold(self) -> NDArray[np.bool_]:
        return self._column("winner_row_plus_one") > 0

    def _read_places(self) -> _Texts:
        """Records of before do not name their placements, so their page views are read."""
        visits = self._reader.visits()
        return _texts(
            [
                visit.placement_ids[index] if index < len(visit.placement_ids) else ""
                for visit, count in zip(visits, self._counts.tolist(), strict=True)
                for index in range(count)
            ]
        )

    def _column(self, name: str) -> _Ints:
        return self._reader.column(name).astype(np.int64)


def _texts(values: list[str]) -> _Texts:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def _blank(rows: int) -> _Texts:
    return np.full(rows, "", object)
