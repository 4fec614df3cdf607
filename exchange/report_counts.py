"""What does the log add up to, by hour, publisher, placement, line item, creative and bidder? Pure.

Both topics are counted: `auctions` gives bids, wins and why the others did not win, `notices` the rest. A test counts
nowhere. A correction takes back from the hour in which it was counted. A line item's reasons are those of the bids that
the log records by name; what it counts by reason alone stands under line item 0, so that the sum is exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exchange.billing import Kind, Verdict
from streams.auction_reader import AuctionReader
from streams.schemas import NoticesTaken

HOUR_MS: Final = 3_600_000
# Codes of exchange.invalid_traffic stand from here on, beside those of exchange.refusals.
INVALID_FROM: Final = 10_000
METRICS: Final = (
    *("bids", "wins", "impressions", "viewable", "clicks", "conversions", "video_starts", "video_completes"),
    *("invalid", "refunded", "spend_micros"),
)
_AT: Final = {name: at for at, name in enumerate(METRICS)}
_METRIC_OF: Final = {
    Kind.IMPRESSION: _AT["impressions"],
    Kind.VIEWABLE: _AT["viewable"],
    Kind.CLICK: _AT["clicks"],
    Kind.CONVERSION: _AT["conversions"],
    Kind.VIDEO_START: _AT["video_starts"],
    Kind.VIDEO_COMPLETE: _AT["video_completes"],
}
_COUNTED: Final = frozenset({Verdict.ACCEPTED, Verdict.BEYOND_BUDGET})


class Place(NamedTuple):
    """What is counted together. Line item 0 with a bidder is an outside bid, without one what has no line item."""

    hour: int
    publisher_id: str = ""
    placement_id: str = ""
    line_item_number: int = 0
    creative_number: int = 0
    bidder: str = ""
    advertiser_domain: str = ""


class Counts:
    """Sums by place: METRICS in their order, and how often each reason was met."""

    def __init__(self) -> None:
        self.metrics: defaultdict[Place, list[int]] = defaultdict(lambda: [0] * len(METRICS))
        self.reasons: defaultdict[tuple[Place, int], int] = defaultdict(int)
        self.as_of_ms = 0

    def add_notices(self, event: NoticesTaken) -> None:
        """Count one record of topic `notices`."""
        self.as_of_ms = max(self.as_of_ms, event.taken_at_ms)
        for notice in event.notices:
            if notice.test:
                continue
            outside = not notice.line_item_number
            place = Place(
                (notice.corrects_taken_at_ms or event.taken_at_ms) // HOUR_MS,
                notice.publisher_id,
                notice.placement_id,
                notice.line_item_number,
                notice.creative_number,
                notice.bidder if outside else "",
                notice.advertiser_domain if outside else "",
            )
            sums = self.metrics[place]
            sums[_AT["spend_micros"]] += notice.billed_micros
            if notice.kind == Kind.CORRECTION:
                sums[_AT["refunded"]] += 1
                if (metric := _METRIC_OF.get(Kind(notice.corrects_kind))) is not None:
                    sums[metric] -= 1
                self.reasons[place, INVALID_FROM + notice.validity] += 1
            elif notice.verdict == Verdict.INVALID:
                sums[_AT["invalid"]] += 1
                self.reasons[place, INVALID_FROM + notice.validity] += 1
            elif notice.verdict in _COUNTED and notice.kind in _METRIC_OF:
                sums[_METRIC_OF[Kind(notice.kind)]] += 1

    def add_auctions(self, payloads: Iterable[bytes], placements_of: Callable[[bytes], Sequence[str]]) -> None:
        """Count records of topic `auctions`, which are read together so that equal bids are added up at once."""
        words: dict[tuple[object, ...], int] = {}
        codes: list[NDArray[np.int64]] = []
        for payload in payloads:
            codes.append(self._bids_of(AuctionReader(payload), placements_of, words))
        table = np.concatenate(codes) if codes else np.zeros((0, 4), np.int64)
        if not len(table):
            return
        spoken = list(words)
        # Four columns of small numbers become one, which sorts a hundred times as fast as rows do.
        columns, inverse = zip(*(np.unique(table[:, at], return_inverse=True) for at in range(4)), strict=True)
        packed = np.zeros(len(table), np.int64)
        for values, rows in zip(columns, inverse, strict=True):
            packed = packed * len(values) + rows
        for code, count in zip(*(a.tolist() for a in np.unique(packed, return_counts=True)), strict=True):
            at = []
            for values in reversed(columns):
                code, row = divmod(code, len(values))
                at.append(int(values[row]))
            outcome, creative, item, word = at
            hour, publisher, placement, bidder, domain = spoken[word]
            place = Place(hour, publisher, placement, item, creative, bidder, domain)  # type: ignore[arg-type]
            self.metrics[place][_AT["bids"]] += count
            if outcome:
                self.reasons[place, outcome] += count
            else:
                self.metrics[place][_AT["wins"]] += count

    def _bids_of(
        self,
        reader: AuctionReader,
        placements_of: Callable[[bytes], Sequence[str]],
        words: dict[tuple[object, ...], int],
    ) -> NDArray[np.int64]:
        """Rows of (word, line item, creative, outcome): a word stands for what is text and for the hour."""
        hour = reader.held_at_ms // HOUR_MS
        self.as_of_ms = max(self.as_of_ms, reader.held_at_ms)
        views, publishers = reader.page_views(), reader.names()
        publisher_rows = reader.column("publisher_name").tolist()
        publisher_of = [publishers[row] for row in publisher_rows] if publisher_rows else [""] * len(views)
        tests = set(reader.column("test_page_view").tolist())
        counts = reader.column("placement_count").tolist()
        where: list[tuple[object, ...] | None] = []
        for page, (view, count) in enumerate(zip(views, counts, strict=True)):
            if page in tests:
                where += [None] * count
                continue
            names = placements_of(view)
            where += [
                (hour, publisher_of[page], names[index] if index < len(names) else "", "", "") for index in range(count)
            ]
        for page, code, count in zip(
            *(reader.column(name).tolist() for name in ("more_page_view", "more_outcome", "more_count")), strict=True
        ):
            if page not in tests:
                place = Place(hour, publisher_of[page])
                self.metrics[place][_AT["bids"]] += count
                self.reasons[place, code] += count
        known = [words.setdefault(word, len(words)) if word else -1 for word in where]
        bid_place = reader.column("bid_placement")
        word = np.array(known, np.int64)[bid_place] if known else np.zeros(0, np.int64)
        item = reader.column("bid_line_item").astype(np.int64)
        bidder_rows, bidders = reader.column("bid_bidder"), reader.bidders()
        for bid in reader.outside_bids():
            base = where[int(bid_place[bid.row])]
            if base is not None:
                said = (*base[:3], bidders[int(bidder_rows[bid.row])], bid.advertiser_domain)
                word[bid.row] = words.setdefault(said, len(words))
        table = np.stack([word, item, reader.column("bid_creative"), reader.column("bid_outcome")], axis=1)
        return table[word >= 0].astype(np.int64)
