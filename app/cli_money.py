"""What can those do who pay and earn? Commands about balances, invoices, alerts, revenue, and the switch of it all.

They call a running server with the key of the settings (HAAT_API_KEY); operators name the tenant they act for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli_asking import Server, of_server
from app.cli_options import ConfigFile, Json, Key, Set, Target, settings_of

balance = typer.Typer(help="Look at and fund the balances of advertisers.")
invoice = typer.Typer(help="Issue and read invoices and credit notes.")
# Commands of the first level.
run_exchange = typer.Typer()

AdvertiserId = Annotated[str, typer.Argument(metavar="ADVERTISER", help="advertiser_id.")]


@balance.command("show")
@of_server
def balance_show(
    server: Server,
    advertiser: AdvertiserId,
    as_json: Json = False,
) -> None:
    """Tell what an advertiser has paid, has spent, owes and may still lease."""
    from app.money_commands import show_balance

    answer = server.ask("GetBalance", {"advertiser_id": advertiser})
    show_balance(answer, as_json=as_json)


@balance.command("top-up")
@of_server
def balance_top_up(
    server: Server,
    advertiser: AdvertiserId,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In units of the currency, as 250 or 99.50.")],
    reference: Annotated[str, typer.Option(metavar="TEXT", help="What the bank says.")] = "",
    owed: Annotated[bool, typer.Option("--owed", help="Off what is owed, also of one who pays before.")] = False,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Book a payment, for operators; an advertiser without terms pays before from then on."""
    from app.money_commands import key_or_new, micros_of, show_balance

    asked = {
        "advertiser_id": advertiser,
        "amount_micros": micros_of("AMOUNT", amount),
        "reference": reference,
        "towards": "TOWARDS_OWED" if owed else "TOWARDS_UNSPECIFIED",
        "idempotency_key": key_or_new(key),
    }
    show_balance(server.ask("TopUp", asked), as_json=as_json)


@balance.command("terms")
@of_server
def balance_terms(
    server: Server,
    advertiser: AdvertiserId,
    terms: Annotated[str, typer.Argument(metavar="TERMS", help="prepaid or postpaid.")],
    credit_limit: Annotated[str, typer.Option(metavar="AMOUNT", help="Of postpaid; 0 is none.")] = "0",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Say whether an advertiser pays before or later, for operators."""
    from app.money_commands import key_or_new, micros_of, show_balance

    asked = {
        "advertiser_id": advertiser,
        "terms": f"TERMS_{terms.upper()}",
        "credit_limit_micros": micros_of("--credit-limit", credit_limit),
        "idempotency_key": key_or_new(key),
    }
    show_balance(server.ask("SetTerms", asked), as_json=as_json)


@balance.command("postings")
@of_server
def balance_postings(
    server: Server,
    advertiser: AdvertiserId,
    as_json: Json = False,
) -> None:
    """List every payment and every spend of an advertiser, oldest first."""
    from app.money_commands import show_postings

    lines = server.all_of("ListPostings", {"advertiser_id": advertiser}, "postings")
    show_postings(lines, as_json=as_json)


@balance.command("trial")
def balance_trial(target: Target = "", config_file: ConfigFile = None, set_: Set = None, as_json: Json = False) -> None:
    """Add up all accounts, for operators: each currency comes to nothing."""
    settings = settings_of(config_file, set_)
    from app.money_commands import Asking, show_trial_balance

    show_trial_balance(Asking(settings, target).ask("GetTrialBalance", {}).get("accounts", []), as_json=as_json)


@invoice.command("issue")
@of_server
def invoice_issue(
    server: Server,
    advertiser: AdvertiserId,
    month: Annotated[str, typer.Argument(metavar="MONTH", help="As 2026-03, in UTC.")],
    interim: Annotated[bool, typer.Option("--interim", help="Bill the running month up to now.")] = False,
    vat: Annotated[str, typer.Option(metavar="PERCENT", help="VAT in per cent, as 19 or 7.7; else none.")] = "",
    issuer: Annotated[
        str, typer.Option(metavar="LINES", help="Name and address of who bills, lines parted by |.")
    ] = "",
    recipient: Annotated[str, typer.Option(metavar="LINES", help="The same of who is billed.")] = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Bill what an advertiser spent in a month and is on no invoice yet, for operators."""
    from app.money_commands import key_or_new, show_invoices

    def party(lines: str) -> dict[str, object]:
        name, *address = [line.strip() for line in lines.split("|")]
        return {"name": name, "address": address}

    asked = {
        "advertiser_id": advertiser,
        "month": month,
        "interim": interim,
        "vat_percent": vat,
        "issuer": party(issuer),
        "recipient": party(recipient),
        "idempotency_key": key_or_new(key),
    }
    issued = server.ask("IssueInvoice", asked)
    show_invoices([issued], as_json=as_json)


@invoice.command("credit")
@of_server
def invoice_credit(
    server: Server,
    invoice_id: Annotated[str, typer.Argument(metavar="INVOICE", help="invoice_id.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, as it stands on the credit note.")],
    amount: Annotated[str, typer.Option(metavar="AMOUNT", help="Without VAT; 0 is all that is left.")] = "0",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Give back a part of an invoice, or all of it, for operators."""
    from app.money_commands import key_or_new, micros_of, show_invoices

    asked = {
        "invoice_id": invoice_id,
        "net_micros": micros_of("--amount", amount),
        "reason": reason,
        "idempotency_key": key_or_new(key),
    }
    show_invoices([server.ask("IssueCreditNote", asked)], as_json=as_json)


@invoice.command("list")
@of_server
def invoice_list(
    server: Server,
    advertiser: Annotated[str, typer.Option(metavar="ID", help="Of one advertiser; else of all.")] = "",
    as_json: Json = False,
) -> None:
    """List invoices and credit notes, oldest first."""
    from app.money_commands import show_invoices

    found = server.all_of("ListInvoices", {"advertiser_id": advertiser}, "invoices")
    show_invoices(found, as_json=as_json)


@invoice.command("pdf")
@of_server
def invoice_pdf(
    server: Server,
    invoice_id: Annotated[str, typer.Argument(metavar="INVOICE", help="invoice_id.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; else its number with .pdf.")] = None,
    as_json: Json = False,
) -> None:
    """Save an invoice or a credit note as PDF."""
    from app.money_commands import write_pdf

    answer = server.ask("GetInvoicePdf", {"invoice_id": invoice_id})
    write_pdf(answer, out, as_json=as_json)


@run_exchange.command("alerts")
@of_server
def alerts(server: Server, as_json: Json = False) -> None:
    """List budgets and balances that were used up to 50, 80 or 100 per cent."""
    from app.money_commands import show_alerts

    show_alerts(server.all_of("ListAlerts", {}, "alerts"), as_json=as_json)


@run_exchange.command("revenue")
@of_server
def revenue(
    server: Server,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day, as 2026-11-01 (UTC).")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Last day, itself within.")],
    by: Annotated[str, typer.Option(metavar="WHAT", help="placement, day, or placement,day.")] = "placement,day",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Tell a publisher what its placements brought: offers, fill, impressions, clicks, revenue, eCPM."""
    from app.money_commands import show_revenue

    asked = {"from": first, "to": last, "by": [f"BY_{word.strip().upper()}" for word in by.split(",")]}
    rows = server.all_of("GetRevenueReport", asked, "rows")
    show_revenue(rows, server.settings.currency, as_json=as_json, as_csv=as_csv)


@run_exchange.command("pause")
def pause(
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "",
    key: Key = "",
    target: Target = "",
    config_file: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Sell nothing any more, within a second, until `haat resume`; for operators. Notices are taken as ever."""
    _turn("PauseExchange", {"reason": reason}, key, target, config_file, set_, as_json=as_json)


@run_exchange.command("resume")
def resume(
    key: Key = "", target: Target = "", config_file: ConfigFile = None, set_: Set = None, as_json: Json = False
) -> None:
    """Sell again after `haat pause`; for operators."""
    _turn("ResumeExchange", {}, key, target, config_file, set_, as_json=as_json)


def _turn(
    method: str,
    asked: dict[str, str],
    key: str,
    target: str,
    config_file: Path | None,
    set_: list[str] | None,
    *,
    as_json: bool,
) -> None:
    settings = settings_of(config_file, set_)
    from app.money_commands import Asking, key_or_new
    from app.printing import print_json

    state = Asking(settings, target).ask(method, {**asked, "idempotency_key": key_or_new(key)})
    if as_json:
        print_json(state)
    else:
        print("The exchange is paused." if state.get("paused") else "The exchange sells.")
