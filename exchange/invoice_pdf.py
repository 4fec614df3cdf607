"""What does an invoice look like on paper? One A4 document, made of what was issued and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common.money import MICROS, exactly
from exchange.balances import Terms
from exchange.invoice_ports import CREDIT_NOTE, Invoice, Party, days_of, month_text

if TYPE_CHECKING:
    from fpdf import FPDF

_INK: Final = (33, 37, 41)
_SOFT: Final = (108, 117, 125)
_LINE: Final = (206, 212, 218)
_SHADE: Final = (245, 246, 248)
_ACCENT: Final = (24, 95, 165)
_LEFT: Final = 20.0
_RIGHT: Final = 190.0
_WIDTH: Final = _RIGHT - _LEFT
# Campaign and line item, impressions, clicks, conversions, amount.
_COLUMNS: Final = (82.0, 24.0, 16.0, 22.0, 26.0)
_HEADS: Final = ("Line item", "Impressions", "Clicks", "Conversions", "Amount")
_FAMILY: Final = "Invoice"


def invoice_pdf(invoice: Invoice, font: Path | None = None) -> bytes:
    """The document as PDF; the same invoice makes the same bytes.

    `font` is a TrueType file for names beyond Latin-1, whose letters are question marks without it.
    """
    # Loaded by the first document alone: it takes a fifth of a second.
    from fpdf import FPDF

    class Document(FPDF):
        """Pages with a foot."""

        def footer(self) -> None:
            self.set_y(-16)
            _say(self, 8, _SOFT)
            self.cell(_WIDTH / 2, 5, _text(self, f"{invoice.invoice_number}"))
            self.cell(_WIDTH / 2, 5, f"Page {self.page_no()} of {{nb}}", align="R")

    pdf = Document(format="A4")
    pdf.set_creation_date(datetime.fromtimestamp(invoice.issued_at_ms / 1000, UTC))
    pdf.set_title(f"{_title(invoice)} {invoice.invoice_number}")
    pdf.set_creator("haat")
    pdf.set_margins(_LEFT, 20, 210 - _RIGHT)
    pdf.set_auto_page_break(True, margin=24)
    if font is not None:
        pdf.add_font(_FAMILY, "", font)
        pdf.add_font(_FAMILY, "B", font)
    pdf.add_page()
    _head(pdf, invoice)
    _table(pdf, invoice)
    _sums(pdf, invoice)
    _notes(pdf, invoice)
    return bytes(pdf.output())


def _head(pdf: FPDF, invoice: Invoice) -> None:
    pdf.set_fill_color(*_ACCENT)
    pdf.rect(0, 0, 210, 4, style="F")
    pdf.set_y(18)
    _say(pdf, 22, _INK, bold=True)
    pdf.cell(_WIDTH / 2, 10, _title(invoice))
    _say(pdf, 11, _INK, bold=True)
    pdf.cell(_WIDTH / 2, 10, _text(pdf, invoice.issuer.name), align="R", new_x="LMARGIN", new_y="NEXT")
    top = pdf.get_y() + 1
    bottom = _party_lines(pdf, _LEFT + _WIDTH / 2, top, invoice.issuer, align="R", named=False)
    pdf.set_y(max(bottom + 6, top + 14))
    top = pdf.get_y()
    _say(pdf, 8, _SOFT)
    pdf.cell(_WIDTH / 2, 5, "CREDITED TO" if invoice.kind == CREDIT_NOTE else "BILLED TO")
    bottom = _party_lines(pdf, _LEFT, top + 5, invoice.recipient, align="L", named=True)
    pdf.set_y(top)
    for label, value in _facts(invoice):
        pdf.set_x(_LEFT + 92)
        _say(pdf, 9, _SOFT)
        pdf.cell(34, 5.6, label)
        _say(pdf, 9, _INK)
        pdf.cell(_WIDTH - 126, 5.6, _text(pdf, value), align="R", new_x="LMARGIN", new_y="NEXT")
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
    digits = max((_digits(line.amount_micros) for line in invoice.lines), default=2)
    for line in invoice.lines:
        if line.campaign_id != campaign:
            campaign, at = line.campaign_id, 0
            # A campaign's name does not stand at the foot of a page alone.
            if pdf.will_page_break(16):
                pdf.add_page()
                _table_head(pdf)
            _say(pdf, 9, _ACCENT, bold=True)
            pdf.cell(_WIDTH, 7.5, _fitted(pdf, line.campaign_name, _WIDTH), new_x="LMARGIN", new_y="NEXT")
        elif pdf.will_page_break(7):
            pdf.add_page()
            _table_head(pdf)
        _say(pdf, 9, _INK)
        pdf.set_fill_color(*_SHADE)
        counts = [f"{count:,}" if count else "–" for count in (line.impressions, line.clicks, line.conversions)]
        cells = [
            _fitted(pdf, line.line_item_name, _COLUMNS[0] - 4),
            *(_text(pdf, count) for count in counts),
            _amount(line.amount_micros, digits),
        ]
        _row(pdf, cells, 6.6, fill=at % 2 == 0)
        at += 1
    pdf.set_draw_color(*_LINE)
    pdf.line(_LEFT, pdf.get_y() + 1, _RIGHT, pdf.get_y() + 1)


def _table_head(pdf: FPDF) -> None:
    _say(pdf, 8, _SOFT)
    _row(pdf, _HEADS, 6, fill=False)
    pdf.set_draw_color(*_INK)
    pdf.line(_LEFT, pdf.get_y(), _RIGHT, pdf.get_y())
    pdf.set_y(pdf.get_y() + 1)


def _row(pdf: FPDF, cells: Sequence[str], height: float, *, fill: bool) -> None:
    for width, cell, text in zip(_COLUMNS, range(len(cells)), cells, strict=True):
        pdf.cell(width, height, text, align="R" if cell else "L", fill=fill)
    pdf.ln(height)


def _sums(pdf: FPDF, invoice: Invoice) -> None:
    if pdf.will_page_break(36):
        pdf.add_page()
    pdf.set_y(pdf.get_y() + 4)
    rows = [("Net", invoice.net_micros, False)]
    if invoice.vat_percent:
        rows.append((f"VAT {invoice.vat_percent} %", invoice.vat_micros, False))
    rows.append(("Total", invoice.total_micros, True))
    for label, micros, bold in rows:
        pdf.set_x(_LEFT + _WIDTH - 84)
        _say(pdf, 11 if bold else 9, _INK if bold else _SOFT, bold=bold)
        pdf.cell(34, 7, label)
        _say(pdf, 11 if bold else 9, _INK, bold=bold)
        text = exactly(micros, invoice.currency)
        pdf.cell(50, 7, text, align="R", new_x="LMARGIN", new_y="NEXT")


def _notes(pdf: FPDF, invoice: Invoice) -> None:
    pdf.set_y(pdf.get_y() + 8)
    _say(pdf, 8.5, _SOFT)
    for note in _said(invoice):
        pdf.multi_cell(_WIDTH, 4.6, _text(pdf, note), align="L", new_x="LMARGIN", new_y="NEXT")


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
        _say(pdf, 10, _INK, bold=True)
        pdf.cell(_WIDTH / 2 - 6, 5, _fitted(pdf, party.name, _WIDTH / 2 - 6), align=align)
        y += 5.4
    for line in lines:
        pdf.set_xy(x, y)
        _say(pdf, 8.5, _SOFT)
        pdf.cell(_WIDTH / 2 - (6 if named else 0), 4.4, _fitted(pdf, line, _WIDTH / 2 - 6), align=align)
        y += 4.4
    return y


def _title(invoice: Invoice) -> str:
    return "Credit note" if invoice.kind == CREDIT_NOTE else "Invoice"


def _digits(micros: int) -> int:
    """How many digits behind the point it takes, at least two."""
    return max(len(f"{abs(micros) % MICROS:06d}".rstrip("0")), 2)


def _amount(micros: int, digits: int) -> str:
    """Amounts of one column have as many digits, so that their points stand below one another."""
    units, rest = divmod(abs(micros), MICROS)
    return f"{'-' if micros < 0 else ''}{units:,}.{f'{rest:06d}'[:digits]}"


def _say(pdf: FPDF, size: float, colour: tuple[int, int, int], *, bold: bool = False) -> None:
    family = _FAMILY if _FAMILY.lower() in pdf.fonts else "Helvetica"
    pdf.set_font(family, "B" if bold else "", size)
    pdf.set_text_color(*colour)


def _text(pdf: FPDF, text: str) -> str:
    if _FAMILY.lower() in pdf.fonts:
        return text
    return text.replace("–", "-").replace("—", "-").encode("latin-1", "replace").decode("latin-1")


def _fitted(pdf: FPDF, text: str, width: float) -> str:
    """The text, cut with an ellipsis where it does not fit."""
    text = _text(pdf, text)
    if pdf.get_string_width(text) <= width - 2:
        return text
    while text and pdf.get_string_width(text + "...") > width - 2:
        text = text[:-1]
    return text + "..."
