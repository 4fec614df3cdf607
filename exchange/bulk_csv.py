"""How do campaigns look in a CSV file? One row for each line item, with its campaign beside it.

Money is in units of the currency ("1.25"), lists are parted by | (a bar or a backslash in a value stands behind a
backslash). A cell that a spreadsheet would take for a formula stands behind an apostrophe, which is taken off again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from common.errors import FieldError, InvalidInput
from exchange import bulk_cells as form
from exchange.campaign_values import (
    Budget,
    Campaign,
    FrequencyCap,
    LineItem,
    Schedule,
    State,
    Strategy,
    Targeting,
)
from exchange.pacing_ports import Pacing
from exchange.request import PricingModel

MAX_BYTES: Final = 2 << 20
MAX_ROWS: Final = 5_000
MAX_CELL_CHARS: Final = 50_000
# Beyond so many complaints nobody reads on.
MAX_ERRORS: Final = 100
# What our own ids look like where a thing has no name of its tenant's.
OWN_ID: Final = "id:"
_RISKY: Final = tuple("'=+-@\t\r")
_PACINGS: Final = {pacing.name.lower(): int(pacing) for pacing in Pacing}
_STATES: Final = {"active": int(State.ACTIVE), "paused": int(State.PAUSED)}
_STRATEGIES: Final = {strategy.name.lower(): int(strategy) for strategy in Strategy}
_PRICING: Final = {model.name.lower(): int(model) for model in PricingModel}

Errors = list[FieldError]


class Column(msgspec.Struct, frozen=True):
    """One column: what it means, for the template, and an example."""

    name: str
    meaning: str
    example: str
    required: bool = False


COLUMNS: Final = (
    Column("campaign_external_id", "your name of the campaign, on each of its rows", "autumn", True),
    Column("advertiser_id", "the advertiser's id", "", True),
    Column("campaign_name", "the campaign's name", "Autumn sale", True),
    Column("campaign_total_budget", "in units of the currency; empty: no limit (one of the two is needed)", "500"),
    Column("campaign_daily_budget", "of a day in the time zone", "25"),
    Column("campaign_time_zone", "IANA name; empty: UTC. It never changes", "Europe/Berlin"),
    Column("campaign_state", "active or paused; empty: active", "active"),
    Column("campaign_pacing", "even or asap; empty: even", "even"),
    Column("external_id", "your name of the line item", "autumn-coats", True),
    Column("name", "the line item's name", "Coats", True),
    Column("strategy", "brand_campaign, contextual, retarget or look_alike", "brand_campaign", True),
    Column("pricing_model", "cpm, cpc, cpa or vcpm. It never changes", "cpm", True),
    Column("bid", "per thousand impressions, click or conversion", "1.80", True),
    Column("total_budget", "of the line item; empty: no limit of its own", ""),
    Column("daily_budget", "of the line item in a day", "5"),
    Column("creative_ids", "ids of 1 to 20 creatives of the advertiser", "", True),
    Column("countries", "ISO 3166-1, as DE|AT; empty lists match everything", "DE|AT"),
    Column("devices", "phone, tablet, desktop, tv", "phone|tablet"),
    Column("categories", "of the page", "fashion"),
    Column("keywords", "of the page", ""),
    Column("segments", "of the visitor, as name=value", ""),
    Column("seen_products", "products that the visitor looked at", ""),
    Column("placement_ids", "placements of the page", ""),
    Column("languages", "BCP 47, as bn or en-gb", ""),
    Column("near_products", "products that are like one that the visitor looked at", ""),
    Column("cap_impressions", "most impressions for a visitor; empty: no cap", "3"),
    Column("cap_window_s", "within so many seconds", "86400"),
    Column("caps", "more caps, as campaign 5/86400|creative 2/3600 by session", "campaign 9/604800"),
    Column("starts_at", "ISO 8601 in UTC, as 2026-09-01T00:00:00Z; empty: at once", ""),
    Column("ends_at", "empty: without end", ""),
    Column("hours_of_week", "0 is Monday 00:00 in the time zone; empty: always", ""),
    Column("deal_ids", "deals that it may bid under", ""),
    Column("deals_only", "yes: it bids under nothing else; empty: no", ""),
    Column("seat", "whom publishers allow or block as the buyer; empty: the advertiser's id", ""),
    Column("state", "active or paused; empty: active", "active"),
)  # fmt: skip
NAMES: Final = tuple(column.name for column in COLUMNS)
_CAMPAIGN_COLUMNS: Final = NAMES[1:8]


class CsvRow(msgspec.Struct, frozen=True):
    """One row that was read: drafts without ids, under the tenant's names; `told` are the columns that the file has."""

    line: int
    campaign_external_id: str
    campaign: Campaign
    external_id: str
    line_item: LineItem
    told: frozenset[str] = frozenset(NAMES)


def read(data: bytes, currency: str) -> list[CsvRow]:
    """The rows of a file. InvalidInput names line, column, value and remedy of everything that cannot be read."""
    if len(data) > MAX_BYTES:
        raise InvalidInput([FieldError("csv", f"has {len(data)} bytes", f"give at most {MAX_BYTES}")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        value = f"byte {error.start} is not UTF-8"
        raise InvalidInput([FieldError("csv", value, "save the file as UTF-8")]) from None
    if "\0" in text:
        raise InvalidInput([FieldError("csv", "holds a zero byte", "save the file as UTF-8 text")])
    errors: Errors = []
    told, rows = _cells(text, errors)
    read_rows = [_row(line, cells, currency, errors, told) for line, cells in rows]
    _check_names(rows, errors)
    if not rows and not errors:
        errors.append(FieldError("csv", "has no rows", "put one row for each line item below the heading"))
    raise_all(errors)
    return read_rows


def raise_all(errors: Errors) -> None:
    """InvalidInput with the first hundred errors, when there are any."""
    if len(errors) > MAX_ERRORS:
        more = FieldError("csv", f"{len(errors) - MAX_ERRORS} more cells cannot be taken", "mend these first")
        raise InvalidInput([*errors[:MAX_ERRORS], more])
    if errors:
        raise InvalidInput(errors)


def write(rows: Sequence[tuple[str, Campaign, str, LineItem]]) -> bytes:
    """The file of these (campaign's name, campaign, line item's name, line item), which `read` reads back."""
    return _file([_written(*row) for row in rows])


def template() -> bytes:
    """A file with every column and one row of examples; ids are to be filled in."""
    return _file([{column.name: column.example for column in COLUMNS}])


def at(line: int, column: str) -> str:
    """How a cell is called in messages."""
    return f"line {line}, {column}"


def _file(rows: Sequence[Mapping[str, str]]) -> bytes:
    return lines_of([NAMES, *([row[name] for name in NAMES] for row in rows)]).encode()


def lines_of(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV (RFC 4180), with no cell that a spreadsheet would take for a formula."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([_safe(str(cell)) for cell in row] for row in rows)
    return out.getvalue()


def _safe(cell: str) -> str:
    return "'" + cell if cell.startswith(_RISKY) else cell


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_RISKY) else cell


def _cells(text: str, errors: Errors) -> tuple[frozenset[str], list[tuple[int, dict[str, str]]]]:
    """(the columns, (line, cells by column) of each row that is not blank); complaints about the heading end it."""
    limit = csv.field_size_limit(MAX_CELL_CHARS)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        heading = [cell.strip().lower() for cell in next(reader, [])]
        _check_heading(heading, errors)
        if errors:
            return frozenset(), []
        rows: list[tuple[int, dict[str, str]]] = []
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heading):
                value = f"has {len(cells)} cells, the heading {len(heading)}"
                errors.append(FieldError(f"line {line}", value, "put commas and line breaks of a text into quotes"))
                continue
            if len(rows) == MAX_ROWS:
                errors.append(FieldError("csv", f"has more than {MAX_ROWS} rows", "split the file"))
                break
            plain = {name: _plain(cell.strip()) for name, cell in zip(heading, cells, strict=True)}
            rows.append((line, {name: plain.get(name, "") for name in NAMES}))
        return frozenset(heading), rows
    except csv.Error as error:
        errors.append(FieldError(f"line {reader.line_num}", str(error), "write the file as CSV (RFC 4180)"))
        return frozenset(), []
    finally:
        csv.field_size_limit(limit)


def _check_heading(heading: Sequence[str], errors: Errors) -> None:
    for name in heading:
        if name not in NAMES:
            remedy = "leave it out, or see `haat campaigns template`"
            errors.append(FieldError("line 1", f"{name[:40]!r} is no column", remedy))
    for name in {name for name in heading if heading.count(name) > 1}:
        errors.append(FieldError("line 1", f"column {name[:40]!r} stands there twice", "keep one of them"))
    for column in COLUMNS:
        if column.required and column.name not in heading:
            errors.append(FieldError("line 1", f"column {column.name!r} is missing", column.meaning))


def _check_names(rows: Sequence[tuple[int, dict[str, str]]], errors: Errors) -> None:
    """Line items stand there once, and rows of a campaign say the same of it."""
    lines: dict[str, int] = {}
    campaigns: dict[str, tuple[int, dict[str, str]]] = {}
    for line, cells in rows:
        name = cells["external_id"]
        if name in lines:
            errors.append(
                FieldError(at(line, "external_id"), f"{name[:64]!r} is on line {lines[name]} too", "once each")
            )
        lines.setdefault(name, line)
        first_line, first = campaigns.setdefault(cells["campaign_external_id"], (line, cells))
        for column in _CAMPAIGN_COLUMNS:
            if cells[column] != first[column]:
                value = f"is {cells[column][:40]!r}, and {first[column][:40]!r} on line {first_line}"
                errors.append(FieldError(at(line, column), value, "say the same of a campaign in all of its rows"))


def _row(line: int, cells: dict[str, str], currency: str, errors: Errors, told: frozenset[str]) -> CsvRow:
    def cell(name: str, read_cell: Callable[[str], Any]) -> Any:
        try:
            return read_cell(cells[name])
        except ValueError as error:
            errors.append(FieldError(at(line, name), f"{cells[name][:40]!r}", str(error)))
            return None

    campaign = Campaign(
        advertiser_id=cells["advertiser_id"],
        name=cells["campaign_name"],
        currency=currency,
        budget=Budget(cell("campaign_total_budget", form.micros) or 0, cell("campaign_daily_budget", form.micros) or 0),
        time_zone=cells["campaign_time_zone"] or "UTC",
        state=cell("campaign_state", form.one_of(_STATES, int(State.ACTIVE))) or 0,
        pacing=cell("campaign_pacing", form.one_of(_PACINGS, int(Pacing.EVEN))) or 0,
    )
    lists = {name: cell(name, form.words) or () for name in Targeting.__struct_fields__ if name != "devices"}
    line_item = LineItem(
        campaign_id="",
        name=cells["name"],
        strategy=cell("strategy", form.one_of(_STRATEGIES)) or 0,
        pricing_model=cell("pricing_model", form.one_of(_PRICING)) or 0,
        bid_micros=cell("bid", form.micros) or 0,
        creative_ids=cell("creative_ids", form.words) or (),
        budget=Budget(cell("total_budget", form.micros) or 0, cell("daily_budget", form.micros) or 0),
        targeting=Targeting(devices=cell("devices", form.devices) or (), **lists),
        frequency_cap=FrequencyCap(cell("cap_impressions", form.whole) or 0, cell("cap_window_s", form.whole) or 0),
        schedule=Schedule(
            cell("starts_at", form.time) or 0, cell("ends_at", form.time) or 0, cell("hours_of_week", form.hours) or ()
        ),
        deal_ids=cell("deal_ids", form.words) or (),
        deals_only=cell("deals_only", form.yes_or_no) or False,
        seat=cells["seat"],
        caps=cell("caps", form.caps) or (),
        state=cell("state", form.one_of(_STATES, int(State.ACTIVE))) or 0,
    )
    name = cell("campaign_external_id", form.external_id) or ""
    return CsvRow(line, name, campaign, cell("external_id", form.external_id) or "", line_item, told)


def _written(campaign_name: str, campaign: Campaign, name: str, item: LineItem) -> dict[str, str]:
    states = {number: word for word, number in _STATES.items()}
    devices = {number: word for word, number in form.DEVICES.items()}
    lists = {
        field: form.joined(getattr(item.targeting, field))
        for field in Targeting.__struct_fields__
        if field != "devices"
    }
    return {
        "campaign_external_id": campaign_name,
        "advertiser_id": campaign.advertiser_id,
        "campaign_name": campaign.name,
        "campaign_total_budget": form.units(campaign.budget.total_micros),
        "campaign_daily_budget": form.units(campaign.budget.daily_micros),
        "campaign_time_zone": campaign.time_zone,
        "campaign_state": states[campaign.state],
        "campaign_pacing": Pacing(campaign.pacing).name.lower(),
        "external_id": name,
        "name": item.name,
        "strategy": Strategy(item.strategy).name.lower(),
        "pricing_model": PricingModel(item.pricing_model).name.lower(),
        "bid": form.units(item.bid_micros),
        "total_budget": form.units(item.budget.total_micros),
        "daily_budget": form.units(item.budget.daily_micros),
        "creative_ids": "|".join(item.creative_ids),
        "devices": "|".join(devices[device] for device in item.targeting.devices),
        **lists,
        "cap_impressions": str(item.frequency_cap.impressions or ""),
        "cap_window_s": str(item.frequency_cap.window_s or ""),
        "caps": form.caps_text(item.caps),
        "starts_at": form.time_text(item.schedule.starts_at_ms),
        "ends_at": form.time_text(item.schedule.ends_at_ms),
        "hours_of_week": "|".join(map(str, item.schedule.hours_of_week)),
        "deal_ids": form.joined(item.deal_ids),
        "deals_only": "yes" if item.deals_only else "",
        "seat": item.seat,
        "state": states[item.state],
    }
