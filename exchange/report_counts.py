"""What does the log add up to, by hour, publisher, placement, line item, creative and bidder? Pure.

Both topics are counted: `auctions` gives bids, wins and why the others did not win, `notices` the rest. A test counts
nowhere. A correction takes back from the hour in which it was counted. A line item's reasons are those of the bids that
the log records by name; what it counts by reason alone stands under line item 0, so that the sum is exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

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


# Hour, publisher, placement, bidder and advertiser's domain: what bids are counted under, without their numbers.
Word = tuple[int, str, str, str, str]

# Word's number, line item, creative, outcome, how many; each of shape (n,). A word stands for what is text and for the
# hour.
_Columns = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


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

    def add_auctions(self, payloads: Iterable[bytes], placements_of: Callable[[bytes], Sequence[str]]) -> int:
        """Count records of topic `auctions`, which are read together so that equal bids are added up at once; how many
        could not be read, of which nothing is counted.
        """
        words: dict[Word, int] = {}
        parts: list[_Columns] = []
        unreadable = 0
        for payload in payloads:
            try:
                parts += self._bids_of(AuctionReader(payload), placements_of, words)
            except (ValueError, IndexError):
                unreadable += 1
        if parts:
            self._add_up(parts, list(words))
        return unreadable

    def _add_up(self, parts: Sequence[_Columns], spoken: Sequence[Word]) -> None:
        # Here and not above: who asks for a report compiles nothing.
        from exchange.packed_bids import dense

        columns = [np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True)]
        counted = columns[0] >= 0
        word, item, creative, outcome, count = (column[counted] for column in columns)
        # Each number has 32 bits, so two are one key, and so are the numbers of two keys.
        ad, _ = dense(item << 32 | creative)
        end, _ = dense(word << 32 | outcome)
        row_of, first = dense(end.astype(np.int64) << 32 | ad)
        counts = np.zeros(len(first), np.int64)
        np.add.at(counts, row_of, count)
        distinct = (column[first].tolist() for column in (word, item, creative, outcome))
        for said, line_item, shown, reason, times in zip(*distinct, counts.tolist(), strict=True):
            hour, publisher, placement, bidder, domain = spoken[said]
            place = Place(hour, publisher, placement, line_item, shown, bidder, domain)
            self.metrics[place][_AT["bids"]] += times
            if reason:
                self.reasons[place, reason] += times
            else:
                self.metrics[place][_AT["wins"]] += times

    def _bids_of(
        self, reader: AuctionReader, placements_of: Callable[[bytes], Sequence[str]], words: dict[Word, int]
    ) -> tuple[_Columns, _Columns]:
        """Columns of what is named and of what is counted by reason alone; a test's word is negative."""
        hour = reader.held_at_ms // HOUR_MS
        self.as_of_ms = max(self.as_of_ms, reader.held_at_ms)
        counts = reader.column("placement_count").astype(np.int64)
        tested = np.zeros(len(counts), np.bool_)
        tested[reader.column("test_page_view").astype(np.int64)] = True
        names, publishers, placements = _where(reader, counts, placements_of)
        width = max(len(names), 1)

        def words_of(keys: NDArray[np.int64], tested: NDArray[np.bool_]) -> NDArray[np.int64]:
            """A word for each key of a publisher's and a placement's name; -1 for what is a test."""
            # A record has few of them, for which sorting by numpy takes three times as long.
            rows = keys.tolist()
            numbers = {
                key: words.setdefault((hour, names[key // width], names[key % width], "", ""), len(words))
                for key in dict.fromkeys(rows)
            }
            found = np.array([numbers[key] for key in rows], np.int64)
            found[tested] = -1
            return found

        place_word = words_of(np.repeat(publishers, counts) * width + placements, np.repeat(tested, counts))
        bid_place = reader.column("bid_placement").astype(np.int64)
        word = place_word[bid_place]
        bidder_of, bidders = reader.column("bid_bidder"), reader.bidders()
        for bid in reader.outside_bids():
            if word[bid.row] >= 0:
                place = int(bid_place[bid.row])
                page = int(np.searchsorted(np.cumsum(counts), place, side="right"))
                said = (
                    *(hour, names[int(publishers[page])], names[int(placements[place])]),
                    *(bidders[int(bidder_of[bid.row])], bid.advertiser_domain),
                )
                word[bid.row] = words.setdefault(said, len(words))
        item, creative, outcome = (reader.column(name) for name in ("bid_line_item", "bid_creative", "bid_outcome"))
        # What the record counts by reason alone stands at its publisher, with no line item and no placement.
        pages = reader.column("more_page_view").astype(np.int64)
        apart = words_of(publishers[pages] * width + names.index(""), tested[pages])
        none = np.zeros(len(pages), np.int64)
        return (
            (word, item, creative, outcome, np.ones(len(word), np.int64)),
            (apart, none, none, reader.column("more_outcome"), reader.column("more_count")),
        )


def _where(
    reader: AuctionReader, counts: NDArray[np.int64], placements_of: Callable[[bytes], Sequence[str]]
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """(names, by page view its publisher's name, by placement its own); "" is always one of the names."""
    names = [*reader.names(), ""]
    nothing = len(names) - 1
    publishers = reader.column("publisher_name").astype(np.int64)
    if not len(publishers):
        publishers = np.full(len(counts), nothing, np.int64)
    placements = reader.column("placement_name").astype(np.int64)
    if not len(placements) and counts.sum():
        # Records of before do not name their placements, so their page views are read.
        found = [
            ids[index] if index < len(ids) else ""
            for ids, count in zip(map(placements_of, reader.page_views()), counts.tolist(), strict=True)
            for index in range(count)
        ]
        spelled = {name: at for at, name in enumerate(dict.fromkeys((*names, *found)))}
        placements = np.array([spelled[name] for name in found], np.int64)
        publishers = np.array([spelled[names[row]] for row in publishers.tolist()], np.int64)
        names = list(spelled)
    return names, publishers, placements
