"""Why did this auction turn out as it did? Told from the event log, server running or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from numpy.typing import NDArray

from app import explained_prices as prices
from app.databases import open_database
from app.explained_features import FeaturesOf
from app.settings import Settings
from backends.event_log_lmdb import LmdbEventLog
from backends.sold_facts_sql import SqlNames
from common.consent import Permission
from common.errors import NotFound
from common.ids import made_at_ms, number_of
from common.money import exactly
from exchange.billing import Kind, Verdict
from exchange.refusals import MEANINGS, NO_BIDS, Refusal
from exchange.replay import SAME, differences, why_not
from exchange.request import PriceRule
from protos import exchange_pb2
from streams import schemas
from streams.auction_block import AuctionColumns
from streams.ports import EventLog
from streams.topics import AUCTIONS, NOTICES

# Between an id and its record in the log lies less than this, clocks being what they are.
_SLACK_MS = 60_000
_VERDICTS = {verdict.value: verdict.name.lower().replace("_", " ") for verdict in Verdict}
# What each permission is for, in words.
_PERMITTED = {
    Permission.REMEMBER: "keep and read the visitor's id, profile and impressions",
    Permission.PERSONALISE_ADS: "choose ads by profile and segments",
    Permission.PERSONALISE_CONTENT: "choose posts by profile and segments",
    Permission.SHARE: "hand the visitor's id to outside bidders",
    Permission.BUILD_PROFILE: "add what is seen to an ad profile",
    Permission.MEASURE: "measure ads and attribute conversions by the visitor",
    Permission.TRAIN: "train models from what the visitor did",
    Permission.PRECISE_LOCATION: "use a place more exact than two decimals of a degree",
}
_KINDS = {kind.value: kind.name.lower().replace("_", " ") for kind in Kind}


def explain_auction(settings: Settings, auction_id: str) -> dict[str, Any]:
    """The page view, the consent verdict, every recorded bid with its outcome, prices with their rule, and notices.

    NotFound when the log under `settings.data_dir` does not hold this auction.
    """
    with log_of(settings) as log:
        columns, page = find_auction(log, auction_id)
        names = SqlNames(open_database(settings))
        story = tell(columns, page, names, FeaturesOf(settings, log, names)(columns, page))
        story["auction_id"] = auction_id
        story["notices"] = _notices(log, auction_id, columns.held_at_ms)
        return story


def find_auction(log: EventLog, auction_id: str) -> tuple[AuctionColumns, int]:
    """The batch that holds the auction and its row in it; ids carry their time, so little of the log is read."""
    number = number_of(auction_id)
    high, low = np.uint64(number >> 64), np.uint64(number & (1 << 64) - 1)
    for record in _around(log, AUCTIONS.name, made_at_ms(number)):
        event = schemas.decode(AUCTIONS.name, record)
        if isinstance(event, AuctionColumns):
            (rows,) = np.nonzero((event.auction_id_high == high) & (event.auction_id_low == low))
            if len(rows):
                return event, int(rows[0])
    raise NotFound(f"the event log holds no auction {auction_id}: was it held by another exchange, or is it too old?")


def tell(
    columns: AuctionColumns, page: int, names: SqlNames, features: tuple[str, Mapping[int, dict[str, Any]]] = ("", {})
) -> dict[str, Any]:
    """One auction of a batch in words; `features` as FeaturesOf tells them, by row of the finalists."""
    first = int(columns.placement_count[:page].sum())
    count = int(columns.placement_count[page])
    view = exchange_pb2.PageView.FromString(columns.page_view[page])
    mine = np.nonzero((columns.bid_placement >= first) & (columns.bid_placement < first + count))[0]
    known = names.line_items({int(number) for number in columns.bid_line_item[mine] if number})
    rule = PriceRule(int(columns.price_rule[page]))
    more = {
        int(code): int(total)
        for at, code, total in zip(columns.more_page_view, columns.more_outcome, columns.more_count, strict=True)
        if at == page
    }
    return {
        "held_at": time_of(columns.held_at_ms),
        "consent": [permission.name for permission in Permission(int(columns.permissions[page]))] or ["nothing"],
        "consent_verdict": _verdict(int(columns.permissions[page])),
        "page_view": MessageToDict(view, preserving_proto_field_name=True),
        "inventory_snapshot": columns.snapshot_sequence,
        "click_model": columns.model_version,
        **({"features": features[0]} if features[0] else {}),
        "replay": why_not(columns) or _replay(columns, first, count),
        "bids_in": int(columns.bids_in[page]),
        "outcomes": _outcomes(columns, mine, more),
        "price_rule": rule.name.lower(),
        **prices.page_in_words(columns, page),
        "placements": [
            _placement(columns, first + index, view.placements[index], known, rule, features[1])
            for index in range(count)
        ],
        "counted_without_a_row": {outcome_in_words(code): total for code, total in more.items()},
    }


def _verdict(permissions: int) -> list[str]:
    """What could be done with the visitor, and what could not, a sentence each."""
    if permissions & Permission.HOUSE_ADS_ONLY:
        return ["may show ads of the house alone, by nothing but the page, and keep nothing"]
    return [f"{'may' if permission & permissions else 'may not'} {words}" for permission, words in _PERMITTED.items()]


def _replay(columns: AuctionColumns, first: int, count: int) -> str:
    wrong = [one for one in differences(columns) if first <= one.placement < first + count]
    return f"{len(wrong)} values come out otherwise: see `haat auction replay`" if wrong else SAME


def _outcomes(columns: AuctionColumns, mine: NDArray[np.intp], more: dict[int, int]) -> dict[str, int]:
    """All bids of the page view by outcome, recorded by name or not, most first."""
    counts = Counter(columns.bid_outcome[mine].tolist())
    counts.update(more)
    return {outcome_in_words(code): total for code, total in counts.most_common() if total}


def _placement(
    columns: AuctionColumns,
    place: int,
    asked: exchange_pb2.Placement,
    known: dict[int, dict[str, str]],
    rule: PriceRule,
    features: Mapping[int, dict[str, Any]],
) -> dict[str, Any]:
    rows = np.nonzero(columns.bid_placement == place)[0]
    best_first = rows[np.argsort(-columns.bid_ecpm_micros[rows], kind="stable")]
    winner = int(columns.winner_row_plus_one[place]) - 1
    bids = [_bid(columns, row, known, rule) | features.get(row, {}) for row in best_first.tolist()]
    floor_micros, set_by = _floor(columns, place, asked.floor_micros)
    story: dict[str, Any] = {
        "placement_id": asked.placement_id,
        "floor_per_mille": exactly(floor_micros, columns.currency),
    }
    if set_by:
        story["floor_set_by"] = set_by
    if columns.private_auction.size and columns.private_auction[place]:
        story["private_auction"] = "sold under deals alone"
    if winner < 0:
        story["sold"] = outcome_in_words(int(columns.no_ad_reason[place]))
    else:
        story["sold"] = "yes"
        own = prices.own_currency(columns, winner)
        story["price"] = exactly(int(columns.bid_price_micros[winner]), own)
        story["why_this_price"] = prices.why(columns, winner, floor_micros, rule)
        story["reserved"] = exactly(int(columns.bid_reserved_micros[winner]), own)
    story["bids"] = bids
    return story


def _floor(columns: AuctionColumns, place: int, asked_micros: int) -> tuple[int, str]:
    """The floor as it was held to, and the rule that set it; the page view's own where there was none."""
    floor_micros = int(columns.floor_micros[place]) if columns.floor_micros.size else asked_micros
    rule = int(columns.floor_rule[place]) if columns.floor_rule.size else 0
    return floor_micros, columns.floor_rules[rule - 1] if 0 < rule <= len(columns.floor_rules) else ""


def _bid(columns: AuctionColumns, row: int, known: dict[int, dict[str, str]], page_rule: PriceRule) -> dict[str, Any]:
    number = int(columns.bid_line_item[row])
    outside = next((bid for bid in columns.outside_bids if bid.row == row), None)
    story: dict[str, Any] = {"bidder": columns.bidders[int(columns.bid_bidder[row])]}
    if outside is not None:
        story |= {"advertiser": outside.advertiser_domain, "bid_id": outside.bid_id, "currency": outside.currency}
    else:
        story |= known.get(number, {"line_item": f"number {number}, no longer there"})
    story |= {
        "bid": exactly(int(columns.bid_micros[row]), prices.own_currency(columns, row)),
        "worth_per_mille": exactly(int(columns.bid_ecpm_micros[row]), columns.currency),
        "outcome": outcome_in_words(int(columns.bid_outcome[row])),
    }
    if rate := prices.rate(columns, row):
        story["currency_rate"] = rate
    if (floor := prices.own_floor(columns, row)) is not None:
        story["floor_by_length"] = exactly(floor, columns.currency)
    if deal := prices.deal_of(columns, row):
        story["deal"] = prices.deal_in_words(columns, deal)
    if chance := float(columns.bid_click_probability[row]):
        # Bids that fell before ranking, and outside ones, were never scored.
        story["click_probability"] = round(chance, 6)
        story |= prices.score(columns, row, page_rule)
    return story


def outcome_in_words(code: int) -> str:
    """An outcome with its number and its meaning."""
    if code == NO_BIDS:
        return f"{code} no bid came in"
    if code in Refusal._value2member_map_:
        return f"{code} {MEANINGS[Refusal(code)]}"
    return f"{code} (unknown to this version)"


def _notices(log: EventLog, auction_id: str, held_at_ms: int) -> list[dict[str, Any]]:
    story = []
    offset = log.first_offset_at(NOTICES.name, held_at_ms)
    while records := log.read(NOTICES.name, offset, 256):
        offset = records[-1].offset + 1
        for record in records:
            event = schemas.decode(NOTICES.name, record)
            if not isinstance(event, schemas.NoticesTaken):
                continue
            story += [
                {
                    "at": time_of(event.taken_at_ms),
                    "kind": _KINDS.get(notice.kind, str(notice.kind)),
                    "impression_id": notice.impression_id,
                    "verdict": _VERDICTS.get(notice.verdict, str(notice.verdict)),
                    "billed": exactly(notice.billed_micros, notice.currency),
                }
                for notice in event.notices
                if notice.impression_id.startswith(auction_id)
            ]
    return story


def _around(log: EventLog, topic: str, at_ms: int) -> Iterator[Any]:
    offset = log.first_offset_at(topic, at_ms - _SLACK_MS)
    while records := log.read(topic, offset, 64):
        offset = records[-1].offset + 1
        for record in records:
            if record.appended_at_ms > at_ms + _SLACK_MS:
                return
            yield record


@contextmanager
def log_of(settings: Settings) -> Iterator[LmdbEventLog]:
    """The event log of a data folder, to read; NotFound when there is none."""
    if not (settings.data_dir / "log").exists():
        raise NotFound(f"there is no event log in {settings.data_dir}: give the server's folder with --data-dir")
    with closing(LmdbEventLog(settings.data_dir / "log", readonly=True)) as log:
        yield log


def time_of(at_ms: int) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
