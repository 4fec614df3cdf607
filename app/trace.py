"""What became of this ad? From any of its ids to the auction, the bids, the notices, the money, and what was told."""

from __future__ import annotations

from typing import Any

from app.databases import open_database
from app.explain import find_auction, log_of, tell, time_of
from app.settings import Settings
from app.signing_keys import TOKEN_KEYS, SigningKeys
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.outgoing_sql import SqlOutgoingStore
from backends.reports_sql import SqlReportStore
from backends.sold_facts_sql import SqlNames
from common.errors import FieldError, InvalidInput, NotFound
from common.ids import number_of
from common.money import exactly
from exchange.billing import Kind, Verdict
from exchange.invalid_traffic import MEANINGS, Validity
from exchange.tokens import MOST_TOKEN_CHARS, Token, Tokens
from streams.ports import EventLog
from streams.schemas import NoticesTaken, NoticeTaken, decode
from streams.topics import NOTICES


def trace(settings: Settings, text: str) -> dict[str, Any]:
    """The story of an impression id, an auction id or a click id (or any other token of ours).

    NotFound when the log under `settings.data_dir` does not hold it, InvalidInput when it is no id.
    """
    impression_id = _impression_of(settings, text.strip())
    auction_id, _, index = impression_id.partition(".")
    with log_of(settings) as log:
        columns, page = find_auction(log, auction_id)
        engine = open_database(settings)
        try:
            story = tell(columns, page, SqlNames(engine))
            placements = story.pop("placements")
            if index:
                if int(index) >= len(placements):
                    raise NotFound(f"auction {auction_id} has no placement {index}")
                placements = [placements[int(index)]]
            ledger = SqlBudgetLedger(engine, node=settings.node)
            counted, reported = ledger.counted_upto(), SqlReportStore(engine, settings.node).read_upto(NOTICES.name)
            notices, billed = _notices(log, impression_id, columns.held_at_ms, counted, reported)
            told = SqlOutgoingStore(engine).of_auction(auction_id)
        finally:
            engine.dispose()
    return {
        "auction_id": auction_id,
        **({"impression_id": impression_id} if index else {}),
        "test": page in set(columns.test_page_view.tolist()),
        **story,
        "placements": placements,
        "notices": notices,
        "billed": {currency or columns.currency: exactly(micros, currency or columns.currency)
                   for currency, micros in billed.items()},
        "told_to_bidders": [
            {
                "kind": entry.kind.name.lower(),
                "impression_id": entry.impression_id,
                "bidder": entry.bidder,
                "state": entry.state.name.lower().replace("_", " "),
                "tries": entry.attempts,
                "since": time_of(entry.enqueued_at_ms),
                "last_try": time_of(entry.at_ms) if entry.at_ms else "",
                "answer": entry.said,
            }
            for entry in told
            if not index or entry.impression_id == impression_id
        ],
    }  # fmt: skip


def _impression_of(settings: Settings, text: str) -> str:
    """The impression id, or the auction id where that was given."""
    plain = text.lower().replace("-", "")
    auction_id, dot, index = plain.partition(".")
    try:
        number_of(auction_id)
    except ValueError:
        pass
    else:
        if not dot or (index.isascii() and index.isdigit() and len(index) <= 4):
            return plain
    if 40 <= len(text) <= MOST_TOKEN_CHARS and (settings.keys_dir / TOKEN_KEYS).exists():
        # A token that ran out still names its impression; the landing page of a click is not at hand, so its signature
        # cannot be looked at, and clicks are found by their impression id or their click id.
        token = Tokens(SigningKeys(settings.keys_dir / TOKEN_KEYS)).read(text, 0)
        if isinstance(token, Token):
            return token.impression_id
    remedy = "give an impression_id, an auction_id or a click id of this exchange"
    raise InvalidInput([FieldError("ID", text[:100], remedy)])


def _notices(
    log: EventLog, prefix: str, held_at_ms: int, counted: int, reported: int
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Each notice with what it did to the ledger, and the sums billed by currency."""
    story: list[dict[str, Any]] = []
    billed: dict[str, int] = {}
    offset = log.first_offset_at(NOTICES.name, held_at_ms)
    while records := log.read(NOTICES.name, offset, 256):
        offset = records[-1].offset + 1
        for record in records:
            event = decode(NOTICES.name, record)
            if not isinstance(event, NoticesTaken):
                continue
            for notice in event.notices:
                if notice.impression_id == prefix or notice.impression_id.partition(".")[0] == prefix:
                    story.append(_notice(notice, event.taken_at_ms, record.offset, counted, reported))
                    billed[notice.currency] = billed.get(notice.currency, 0) + notice.billed_micros
    return story, billed


def _notice(notice: NoticeTaken, taken_at_ms: int, offset: int, counted: int, reported: int) -> dict[str, Any]:
    story: dict[str, Any] = {
        "at": time_of(taken_at_ms),
        "kind": _kind(notice.kind),
        "impression_id": notice.impression_id,
        "verdict": _verdict(notice.verdict),
        "billed": exactly(notice.billed_micros, notice.currency),
    }
    if notice.order_id:
        story["order_id"] = notice.order_id
    if notice.kind == Kind.CORRECTION:
        story["takes_back"] = f"{_kind(notice.corrects_kind)} of {time_of(notice.corrects_taken_at_ms)}"
    if notice.validity:
        known = notice.validity in Validity._value2member_map_
        story["why_not_counted"] = MEANINGS[Validity(notice.validity)] if known else str(notice.validity)
    if notice.test:
        story["test"] = True
    if notice.billed_micros:
        payer = f"line item number {notice.line_item_number}, campaign number {notice.campaign_number}"
        where = payer if notice.line_item_number else f"bidder {notice.bidder}"
        story["ledger"] = f"{where}; {'counted' if offset < counted else 'not counted yet'}"
    story["in_reports"] = offset < reported
    story["offset"] = offset
    return story


def _kind(kind: int) -> str:
    return Kind(kind).name.lower().replace("_", " ") if kind in Kind._value2member_map_ else str(kind)


def _verdict(verdict: int) -> str:
    return Verdict(verdict).name.lower().replace("_", " ") if verdict in Verdict._value2member_map_ else str(verdict)
