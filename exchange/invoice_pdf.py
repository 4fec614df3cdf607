"""What does an invoice look like on paper? One A4 document, made of what was issued and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common.money import exactly
from exchange.balances import Terms
from exchange.invoice_ports import CREDIT_NOTE, Invoice, Party, days_of, month_text
from exchange.paper import (
    ACCENT,
    INK,
    LEFT,
    SHADE,
    SOFT,
    WIDTH,
    amount_text,
    digits_of,
    fitted,
    new_paper,
    row,
    rule,
    say,
    sums,
    table_head,
    text_of,
)  # fmt: skip

if TYPE_CHECKING:
    from fpdf import FPDF

# Campaign and line item, impressions, clicks, conversions, amount.
_COLUMNS: Final = (82.0, 24.0, 16.0, 22.0, 26.0)
_HEADS: Final = ("Line item", "Impressions", "Clicks", "Conversions", "Amount")


def invoice_pdf(invoice: Invoice, font: Path | None = None) -> bytes:
    """The document as PDF; the same invoice makes the same bytes.

    `font` is a TrueType file for names beyond Latin-1, whose letters are question marks without it.
    """
    title = f"{_title(invoice)} {invoice.invoice_number}"
    pdf = new_paper(title, invoice.invoice_number, invoice.issued_at_ms, font)
    _head(pdf, invoice)
    _table(pdf, invoice)
    _sums(pdf, invoice)
    _notes(pdf, invoice)
    return bytes(pdf.output())


def _head(pdf: FPDF, invoice: Invoice) -> None:
    pdf.set_y(18)
    say(pdf, 22, INK, bold=True)
    pdf.cell(WIDTH / 2, 10, _title(invoice))
    say(pdf, 11, INK, bold=True)
    pdf.cell(WIDTH / 2, 10, text_of(pdf, invoice.issuer.name), align="R", new_x="LMARGIN", new_y="NEXT")
    top = pdf.get_y() + 1
    bottom = _party_lines(pdf, LEFT + WIDTH / 2, top, invoice.issuer, align="R", named=False)
    pdf.set_y(max(bottom + 6, top + 14))
    top = pdf.get_y()
    say(pdf, 8, SOFT)
    pdf.cell(WIDTH / 2, 5, "CREDITED TO" if invoice.kind == CREDIT_NOTE else "BILLED TO")
    bottom = _party_lines(pdf, LEFT, top + 5, invoice.recipient, align="L", named=True)
    pdf.set_y(top)
    for label, value in _facts(invoice):
        pdf.set_x(LEFT + 92)
        say(pdf, 9, SOFT)
        pdf.cell(34, 5.6, label)
        say(pdf, 9, INK)
        pdf.cell(WIDTH - 126, 5.6, text_of(pdf, value), align="R", new_x="LMARGIN", new_y="NEXT")
    pdf.set_y(max(bottom, pdf.get_y()) + 8)


def _facts(invoice: Invoice) -> list[tuple[str, str]]:
    issued = datetime.fromtimestamp(invoice.issued_at_ms / 1000, UTC)
    first, beyond = days_of(invoice.month)
    last_day = beyond - first
    facts = [
        ("Number", invoice.invoice_number),
        ("Date", issued.strftime("%Y-%m-%d")),
        ("Period (UTC)", f"{month_text(invoice.month)}-01 to {month_text(invoice.month)}-{last_day:02d}"),
        ("Advertiser", invoice.advertiser_name),
        ("Currency", invoice.currency),
    ]
    if invoice.kind == CREDIT_NOTE:
        facts.append(("Credit for", invoice.of_invoice_number))
    return facts


def _table(pdf: FPDF, invoice: Invoice) -> None:
    _table_head(pdf)
    campaign, at = "", 0
    digits = max((digits_of(line.amount_micros) for line in invoice.lines), default=2)
    for line in invoice.lines:
        if line.campaign_id != campaign:
            campaign, at = line.campaign_id, 0
            # A campaign's name does not stand at the foot of a page alone.
            if pdf.will_page_break(16):
                pdf.add_page()
                _table_head(pdf)
            say(pdf, 9, ACCENT, bold=True)
            pdf.cell(WIDTH, 7.5, fitted(pdf, line.campaign_name, WIDTH), new_x="LMARGIN", new_y="NEXT")
        elif pdf.will_page_break(7):
            pdf.add_page()
            _table_head(pdf)
        say(pdf, 9, INK)
        pdf.set_fill_color(*SHADE)
        counts = [f"{count:,}" if count else "–" for count in (line.impressions, line.clicks, line.conversions)]
        cells = [
            fitted(pdf, line.line_item_name, _COLUMNS[0] - 4),
            *(text_of(pdf, count) for count in counts),
            amount_text(line.amount_micros, digits),
        ]
        row(pdf, cells, _COLUMNS, 6.6, fill=at % 2 == 0)
        at += 1
    rule(pdf)


def _table_head(pdf: FPDF) -> None:
    table_head(pdf, _HEADS, _COLUMNS)


def _sums(pdf: FPDF, invoice: Invoice) -> None:
    rows = [("Net", invoice.net_micros, False)]
    if invoice.vat_percent:
        rows.append((f"VAT {invoice.vat_percent} %", invoice.vat_micros, False))
    rows.append(("Total", invoice.total_micros, True))
    sums(pdf, rows, invoice.currency)


def _notes(pdf: FPDF, invoice: Invoice) -> None:
    pdf.set_y(pdf.get_y() + 8)
    say(pdf, 8.5, SOFT)
    for note in _said(invoice):
        pdf.multi_cell(WIDTH, 4.6, text_of(pdf, note), align="L", new_x="LMARGIN", new_y="NEXT")


def _said(invoice: Invoice) -> list[str]:
    notes = []
    prepaid = invoice.terms == Terms.PREPAID
    if invoice.kind == CREDIT_NOTE:
        notes.append(f"Reason: {invoice.reason}")
        notes.append("The net amount was added to the prepaid balance." if prepaid else "Set off against what is owed.")
    elif prepaid:
        notes.append("The net amount was paid out of the prepaid balance.")
        if invoice.vat_micros:
            notes.append(f"To be paid: the VAT of {exactly(invoice.vat_micros, invoice.currency)}.")
    else:
        notes.append(f"To be paid: {exactly(invoice.total_micros, invoice.currency)}.")
    notes.append(
        "Amounts are exact to the millionth of a unit, as they were billed one by one. Payments in whole cents leave "
        "the rest on the account."
    )
    return notes


def _party_lines(pdf: FPDF, x: float, y: float, party: Party, *, align: str, named: bool) -> float:
    """The party's lines at a place; where they end."""
    lines = [*party.address, *([f"VAT no. {party.vat_number}"] if party.vat_number else [])]
    if named:
        pdf.set_xy(x, y)
        say(pdf, 10, INK, bold=True)
        pdf.cell(WIDTH / 2 - 6, 5, fitted(pdf, party.name, WIDTH / 2 - 6), align=align)
        y += 5.4
    for line in lines:
        pdf.set_xy(x, y)
        say(pdf, 8.5, SOFT)
        pdf.cell(WIDTH / 2 - (6 if named else 0), 4.4, fitted(pdf, line, WIDTH / 2 - 6), align=align)
        y += 4.4
    return y


def _title(invoice: Invoice) -> str:
    return "Credit note" if invoice.kind == CREDIT_NOTE else "Invoice"
