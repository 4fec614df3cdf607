"""How do `haat auction replay ID` and `--all` run? Recorded auctions are cleared again, and compared byte for byte."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np

from app.exit_codes import ExitCode
from app.explain import find_auction, log_of, outcome_in_words, time_of
from app.printing import print_json
from app.report_commands import moment
from app.settings import Settings
from common.ids import text_of
from exchange.replay import BEFORE_REPLAYS, SAME, Difference, differences, why_not
from streams import schemas
from streams.auction_block import AuctionColumns
from streams.ports import EventLog
from streams.topics import AUCTIONS

# Something came out otherwise: the exit code that scripts know.
DIFFERENT: Final = 1
_READ_AT_ONCE = 64
_MOST_SHOWN = 20
_WHAT: Final = {
    "winner_row_plus_one": "winner",
    "bid_outcome": "outcome",
    "bid_ecpm_micros": "worth per thousand",
    "bid_price_micros": "price",
    "bid_reserved_micros": "reserved",
}


class Replays(msgspec.Struct):
    """What a walk over the log found; `auctions` counts those that were replayed."""

    auctions: int = 0
    batches: int = 0
    different: int = 0
    # Auctions by reason: of before replays were possible, and those whose record is damaged or not complete.
    not_replayed: dict[str, int] = {}
    damaged: dict[str, int] = {}
    unreadable: int = 0
    differences: list[dict[str, Any]] = []


def replay_one(settings: Settings, auction_id: str, *, as_json: bool) -> int:
    """Replay one auction and say how it went; NotFound without it.

    The exit code: DIFFERENT, or ExitCode.DAMAGED for a record that cannot be replayed and should.
    """
    with log_of(settings) as log:
        columns, page = find_auction(log, auction_id)
    if reason := why_not(columns):
        _say({"auction_id": auction_id, "replayed": False, "why_not": reason}, reason, as_json)
        return ExitCode.OK if reason == BEFORE_REPLAYS else ExitCode.DAMAGED
    first = int(columns.placement_count[:page].sum())
    mine = range(first, first + int(columns.placement_count[page]))
    found = [_told(columns, one) for one in differences(columns) if one.placement in mine]
    story = {"auction_id": auction_id, "replayed": True, "same": not found, "differences": found}
    _say(story, SAME if not found else "\n".join(map(_line, found)), as_json)
    return DIFFERENT if found else ExitCode.OK


def replay_all(settings: Settings, from_: str, to: str, *, as_json: bool) -> int:
    """Replay all auctions of a time and count them.

    The exit code: DIFFERENT, or ExitCode.DAMAGED when nothing differs and yet a record is damaged or cannot be read.
    Times as `haat report` takes them; an empty one is the log's own beginning or end. InvalidInput for another.
    """
    now = datetime.now(UTC)
    since_ms = moment("--from", from_, now, datetime.fromtimestamp(0, UTC))
    until_ms = moment("--to", to, now, now + timedelta(days=1))
    with log_of(settings) as log:
        found = walk(log, since_ms, until_ms, _progress if sys.stderr.isatty() else lambda _done, _all: None)
    code: int = ExitCode.OK
    if found.damaged or found.unreadable:
        code = ExitCode.DAMAGED
    if found.different:
        code = DIFFERENT
    if as_json:
        print_json({**msgspec.structs.asdict(found), "same": code == ExitCode.OK})
        return code
    print(f"{found.auctions:,} auctions in {found.batches:,} batches were replayed: ", end="")
    print(SAME if not found.different else f"{found.different:,} are different")
    for reason, count in (found.not_replayed | found.damaged).items():
        print(f"{count:,} auctions were not replayed: {reason}")
    if found.unreadable:
        print(f"{found.unreadable:,} records cannot be read")
    for difference in found.differences:
        print(f"{difference['auction_id']}: {_line(difference)}")
    return code


def walk(log: EventLog, since_ms: int, until_ms: int, progress: Callable[[int, int], None]) -> Replays:
    """Replay every batch that was held from `since_ms` on and before `until_ms`."""
    found = Replays(not_replayed={}, damaged={}, differences=[])
    for event in _batches(log, since_ms, until_ms, progress):
        if isinstance(event, schemas.Unreadable):
            found.unreadable += 1
            continue
        held = len(event.auction_id_high)
        if reason := why_not(event):
            kind = found.not_replayed if reason == BEFORE_REPLAYS else found.damaged
            kind[reason] = kind.get(reason, 0) + held
            continue
        found.batches += 1
        found.auctions += held
        if wrong := differences(event):
            page_of = np.repeat(np.arange(held), event.placement_count)
            found.different += len({int(page_of[one.placement]) for one in wrong})
            left = _MOST_SHOWN - len(found.differences)
            found.differences += [
                {"auction_id": _id_of(event, int(page_of[one.placement])), **_told(event, one)} for one in wrong[:left]
            ]
    return found


def _batches(
    log: EventLog, since_ms: int, until_ms: int, progress: Callable[[int, int], None]
) -> Iterator[AuctionColumns | schemas.Unreadable]:
    first, end = log.first_offset_at(AUCTIONS.name, since_ms), log.end(AUCTIONS.name)
    offset = first
    while offset < end and (records := log.read(AUCTIONS.name, offset, _READ_AT_ONCE)):
        for record in records:
            event = schemas.decode(AUCTIONS.name, record)
            if record.appended_at_ms >= until_ms:
                return
            if isinstance(event, (AuctionColumns, schemas.Unreadable)):
                yield event
        offset = records[-1].offset + 1
        progress(offset - first, end - first)


def _progress(done: int, every: int) -> None:
    print(f"\r{done:,} of {every:,} batches", end="\n" if done >= every else "", file=sys.stderr, flush=True)


def _id_of(columns: AuctionColumns, page: int) -> str:
    return text_of(int(columns.auction_id_high[page]) << 64 | int(columns.auction_id_low[page]))


def _told(columns: AuctionColumns, one: Difference) -> dict[str, Any]:
    """A difference as people look for it: the placement by its place on the page, outcomes in words."""
    page = int(np.searchsorted(np.cumsum(columns.placement_count), one.placement, side="right"))
    values: list[Any] = [one.recorded, one.replayed]
    if one.column == "bid_outcome":
        values = [outcome_in_words(code) for code in values]
    return {
        "what": _WHAT[one.column],
        "held_at": time_of(columns.held_at_ms),
        "placement": one.placement - int(columns.placement_count[:page].sum()) + 1,
        "row": one.row,
        "recorded": values[0],
        "replayed": values[1],
    }


def _line(difference: dict[str, Any]) -> str:
    return (
        f"placement {difference['placement']}, row {difference['row']}, {difference['what']}: "
        f"recorded {difference['recorded']}, replayed {difference['replayed']}"
    )


def _say(story: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        print_json(story)
    else:
        print(sentence)
