"""What do the commands of those who pay and earn do? One call each, its answer for people or as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from uuid import uuid4

from app.call import call
from app.printing import print_json, print_table, print_tree
from app.settings import Settings
from common.errors import FieldError, InvalidInput
from common.money import MICROS, exactly
from exchange import bulk_csv


class Asking:
    """Calls of one command, for one tenant, with the key of the settings."""

    def __init__(self, settings: Settings, target: str, tenant: str = "") -> None:
        self._target = target or f"{settings.grpc_host}:{settings.grpc_port}"
        self._key = settings.api_key
        self._tenant = {"tenant_id": tenant} if tenant else {}

    def ask(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer as JSON's dictionary; the tenant is added."""
        return call(self._target, self._key, method, json.dumps({**self._tenant, **request}))

    def all_of(self, method: str, request: Mapping[str, Any], items: str) -> list[dict[str, Any]]:
        """All pages of a list, one after the other."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self.ask(method, {**request, "page_size": 500, "page_token": token})
            found += page.get(items, [])
            token = page.get("next_page_token", "")
            if not token:
                return found


def key_or_new(key: str) -> str:
    """The idempotency key that was given, or a fresh one."""
    return key or uuid4().hex


def micros_of(field: str, text: str) -> int:
    """An amount in units of the currency, as 25 or 0.5, in micros; InvalidInput names the option."""
    try:
        amount = Decimal(text) * MICROS
        if amount.is_finite() and amount == int(amount) and abs(amount) < 1 << 60:
            return int(amount)
    except InvalidOperation:
        pass
    raise InvalidInput(
        [FieldError(field, text[:40], "give an amount as 25 or 0.5, at most six digits behind the point")]
    )


def show_balance(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """How an advertiser stands."""
    if as_json:
        print_json(answer)
        return
    currency = answer["currency"]

    def money(name: str) -> str:
        return exactly(int(answer.get(name, 0)), currency)

    free = int(answer.get("available_micros", 0))
    print_tree(
        {
            "advertiser": answer["advertiser_id"],
            "pays": answer["terms"].removeprefix("TERMS_").lower(),
            "credit limit": money("credit_limit_micros") if int(answer.get("credit_limit_micros", 0)) else "",
            "balance": money("balance_micros"),
            "owed": money("owed_micros"),
            "leased to campaigns": money("leased_micros"),
            "still to lease": "without limit" if free < 0 else money("available_micros"),
        }
    )


def show_postings(postings: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """The lines of an account."""
    if as_json:
        print_json(postings)
        return
    rows = [
        (
            at_text(line["at_ms"]),
            line["kind"],
            line["account"],
            exactly(int(line["amount_micros"]), line["currency"]),
            exactly(int(line.get("balance_after_micros", 0)), line["currency"]),
            line.get("reference", ""),
        )
        for line in postings
    ]
    print_table(("when", "what", "account", "amount", "after it", "reference"), rows)


def show_trial_balance(sums: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """All accounts by kind, and what they come to."""
    totals: dict[str, int] = {}
    for line in sums:
        totals[line["currency"]] = totals.get(line["currency"], 0) + int(line.get("balance_micros", 0))
    if as_json:
        print_json({"accounts": sums, "totals_micros": totals})
        return
    rows = [(line["account"], exactly(int(line.get("balance_micros", 0)), line["currency"])) for line in sums]
    print_table(("account", "balance"), [*rows, *(("sum", exactly(total, code)) for code, total in totals.items())])


def show_invoices(invoices: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Invoices and credit notes, a line each."""
    if as_json:
        print_json(invoices)
        return
    rows = [
        (
            one["invoice_number"],
            one["month"],
            one["advertiser_name"],
            exactly(int(one.get("net_micros", 0)), one["currency"]),
            exactly(int(one.get("total_micros", 0)), one["currency"]),
            one.get("of_invoice_number", ""),
            one["invoice_id"],
        )
        for one in invoices
    ]
    print_table(("number", "month", "advertiser", "net", "total", "credit for", "id"), rows)


def write_pdf(answer: Mapping[str, Any], out: Path | None, *, as_json: bool) -> None:
    """Save the document; its own name unless another is given."""
    file = out or Path(answer["file_name"])
    data = base64.b64decode(answer["pdf"])
    file.write_bytes(data)
    if as_json:
        print_json({"file": str(file), "bytes": len(data)})
    else:
        print(f"{file}: {len(data)} bytes")


def show_alerts(alerts: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """What ran out, or is about to."""
    if as_json:
        print_json(alerts)
        return
    rows = [
        (
            at_text(one["alerted_at_ms"]),
            f"{one['threshold_percent']} % of {one['measure']}",
            one["kind"],
            one["id"],
            exactly(int(one["used_micros"]), one["currency"]),
            exactly(int(one["limit_micros"]), one["currency"]),
        )
        for one in alerts
    ]
    print_table(("when", "what", "of", "id", "used", "limit"), rows)


def show_changes(changes: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """The history, a line each; `haat campaigns undo` takes its number."""
    if as_json:
        print_json(changes)
        return
    rows = [
        (
            one["change_number"],
            at_text(one["at_ms"]),
            one["action"],
            f"{one['kind']} {one['id']}",
            one["revision"],
            _difference(one),
            f"{one['actor_role']} {one['actor_tenant_id']}",
        )
        for one in changes
    ]
    print_table(("change", "when", "action", "of", "revision", "what", "by"), rows)


def show_import(report: Mapping[str, Any], *, as_json: bool) -> None:
    """What a file did, or would do."""
    if as_json:
        print_json(report)
        return
    rows = [
        (row["line"], row["kind"], row["external_id"], row["action"], ", ".join(row.get("changed_fields", [])))
        for row in report.get("rows", [])
        if row["action"] != "unchanged"
    ]
    print_table(("line", "kind", "external_id", "action", "fields"), rows)
    would = "would be " if report.get("dry_run") else ""
    counts = [f"{report.get(name, 0)} {would}{name}" for name in ("created", "changed", "unchanged")]
    print(", ".join(counts) + (". Nothing was written: this was a dry run." if would else "."))


def show_revenue(rows: Sequence[Mapping[str, Any]], currency: str, *, as_json: bool, as_csv: bool) -> None:
    """What placements brought."""
    columns = ("placement", "day", "offered", "sold", "fill", "impressions", "clicks", "revenue", "eCPM")
    if as_json:
        print_json(rows)
        return
    lines = [
        (
            row.get("placement_id", ""),
            row.get("day", ""),
            int(row.get("offered", 0)),
            int(row.get("sold", 0)),
            f"{row.get('fill', 0.0):.3f}",
            int(row.get("impressions", 0)),
            int(row.get("clicks", 0)),
            exactly(int(row.get("revenue_micros", 0)), currency).split(" ")[0].replace(",", ""),
            exactly(int(row.get("ecpm_micros", 0)), currency).split(" ")[0].replace(",", ""),
        )
        for row in rows
    ]
    if as_csv:
        print(bulk_csv.lines_of([(*columns[:-2], f"revenue {currency}", f"eCPM {currency}"), *lines]), end="")
    else:
        print_table((*columns[:-2], f"revenue ({currency})", f"eCPM ({currency})"), lines)


def at_text(at_ms: str | int) -> str:
    """A time for people, UTC."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(at_ms) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _difference(change: Mapping[str, Any]) -> str:
    if not change.get("before_json"):
        return "made"
    before, after = json.loads(change["before_json"]), json.loads(change["after_json"])
    # A write that said what was so already is in the history too, and JSON has no empty lists.
    fields = change.get("changed_fields", ())
    parts = [f"{name}: {_short(before.get(name))} → {_short(after.get(name))}" for name in fields]
    return "; ".join(parts) or "nothing"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
