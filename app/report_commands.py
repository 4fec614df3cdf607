"""How did it go? `haat report`, `haat trace` and the keys that events are signed with, for the table of commands."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from common.errors import FieldError, InvalidInput, NotFound

if TYPE_CHECKING:
    from app.settings import Settings
    from exchange.reports import Report

_AGO = re.compile(r"(\d{1,5})([hd])")


def run_report(
    settings: Settings,
    *,
    by: str,
    from_: str,
    to: str,
    where: Sequence[str],
    limit: int,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print a report out of the data folder, whether its server runs or not."""
    from app.databases import open_database
    from app.printing import print_json, print_table
    from backends.reports_sql import SqlReportStore
    from common.money import exactly
    from exchange.reports import ReportAsk, Reports, csv_of

    if as_csv and as_json:
        raise InvalidInput([FieldError("--csv", "with --json", "ask for one of them")])
    now = datetime.now(UTC)
    ask = ReportAsk(
        dimensions=tuple(name.strip().replace("-", "_") for name in by.split(",") if name.strip()),
        from_ms=moment("--from", from_, now, now - timedelta(days=1)),
        to_ms=moment("--to", to, now, now + timedelta(hours=1)),
        filters=_filters(where),
        page_size=limit,
    )
    _must_exist(settings)
    engine = open_database(settings)
    try:
        report = Reports(SqlReportStore(engine), lambda _: ()).report(ask)
    finally:
        engine.dispose()
    if as_csv:
        sys.stdout.write(csv_of(report))
        return
    age_s = round(time.time() - report.as_of_ms / 1000, 1) if report.as_of_ms else None
    if as_json:
        print_json(_document(report, settings.currency, age_s))
        return
    heads = [*report.dimensions, *report.metrics, *report.rates]
    money = report.metrics.index("spend_micros") if "spend_micros" in report.metrics else None
    rows = []
    for row in report.rows:
        values: list[object] = list(row.values)
        if money is not None:
            values[money] = exactly(row.values[money], settings.currency)
        keys = [f"{name} ({key})" if name else key for key, name in zip(row.keys, row.names, strict=True)]
        rates = ["" if rate is None else f"{rate:.2%}" for rate in report.rates_of(row)]
        rows.append((*keys, *values, *rates))
    heads = [head.replace("spend_micros", "spend") for head in heads]
    if not sys.stdout.isatty():
        # So many columns say nothing without their names.
        print("\t".join(heads))
    print_table(heads, rows)
    for line in _notes(report, age_s):
        print(line, file=sys.stderr)


def run_trace(settings: Settings, text: str, *, as_json: bool) -> None:
    """Print the story of an impression, an auction or a click."""
    from app.printing import print_result
    from app.trace import trace

    print_result(trace(settings, text), as_json=as_json)


def rotate_keys(settings: Settings, what: str, *, as_json: bool) -> None:
    """Make a fresh key; what the one before signed is believed until the next time."""
    from app.printing import print_json
    from app.signing_keys import POSTBACK_KEYS, TOKEN_KEYS, rotate

    files = {"tokens": TOKEN_KEYS, "postbacks": POSTBACK_KEYS}
    if what not in files:
        raise InvalidInput([FieldError("WHAT", what[:40], "give tokens or postbacks")])
    settings.keys_dir.mkdir(parents=True, exist_ok=True)
    key = rotate(settings.keys_dir / files[what])
    if as_json:
        print_json({"what": what, "key": key.number})
        return
    print(f"key {key.number} signs {what} from now on; the one before is good until the next rotation")


def show_postback_secret(settings: Settings, tenant: str, *, as_json: bool) -> None:
    """Print the secret that a tenant signs its conversions with."""
    from app.databases import open_database
    from app.printing import print_json
    from app.signing_keys import POSTBACK_KEYS, SigningKeys, postback_secret
    from backends.accounts_sql import SqlAccountStore
    from exchange.tokens import tenant_bytes

    _must_exist(settings)
    engine = open_database(settings)
    try:
        found = next((t for t in SqlAccountStore(engine).tenants() if tenant in (t.name, t.tenant_id)), None)
    finally:
        engine.dispose()
    if found is None:
        raise NotFound(f"there is no tenant {tenant[:60]!r}: `haat key tenants` lists them")
    keys = SigningKeys(settings.keys_dir / POSTBACK_KEYS)()
    secrets = [postback_secret(key, tenant_bytes(found.tenant_id)) for key in keys]
    if as_json:
        print_json({"tenant_id": found.tenant_id, "secrets": secrets})
    else:
        for secret in secrets:
            print(secret)


def _document(report: Report, currency: str, age_s: float | None) -> dict[str, Any]:
    return {
        "as_of": _shown(report.as_of_ms) if report.as_of_ms else None,
        "age_s": age_s,
        "currency": currency,
        "counted_apart": report.counted_apart,
        "more_rows": bool(report.next_page_token),
        "rows": [
            dict(zip(report.dimensions, row.keys, strict=True))
            | {f"{d}_name": name for d, name in zip(report.dimensions, row.names, strict=True) if name}
            | dict(zip(report.metrics, row.values, strict=True))
            | dict(zip(report.rates, report.rates_of(row), strict=True))
            for row in report.rows
        ],
    }


def _notes(report: Report, age_s: float | None) -> list[str]:
    lines = [f"as of {_shown(report.as_of_ms)}, {age_s} s ago" if report.as_of_ms else "nothing was counted yet"]
    if report.counted_apart:
        lines.append(
            f"{report.counted_apart} bids of this time are counted by reason and by no line item: the log names only "
            "the best of those that were refused"
        )
    if report.next_page_token:
        lines.append("there are more rows: ask for less, or with a larger --limit")
    return lines


def moment(field: str, text: str, now: datetime, otherwise: datetime) -> int:
    """Milliseconds of `2026-03-05`, `2026-03-05T17`, an ISO 8601 time, or `24h` and `7d` ago; UTC without a zone."""
    moment = otherwise
    if text:
        ago = _AGO.fullmatch(text.strip())
        if ago:
            moment = now - timedelta(**{"h": {"hours": int(ago[1])}, "d": {"days": int(ago[1])}}[ago[2]])
        else:
            try:
                moment = datetime.fromisoformat(text.strip())
            except ValueError:
                remedy = "give a day (2026-03-05), a time (2026-03-05T17:00) or how long ago (24h, 7d)"
                raise InvalidInput([FieldError(field, text[:40], remedy)]) from None
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _filters(where: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in where:
        name, given, values = text.partition("=")
        if not given or not values:
            raise InvalidInput([FieldError("--where", text[:60], "write dimension=value, several values with commas")])
        name = name.strip().replace("-", "_")
        found[name] = (*found.get(name, ()), *values.split(","))
    return found


def _must_exist(settings: Settings) -> None:
    if not settings.database_url and not (settings.data_dir / "haat.sqlite").exists():
        raise NotFound(f"there is no store in {settings.data_dir}: give the server's folder with --data-dir")


def _shown(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
