"""What does a publisher's statement look like on paper? One A4 document: what was earned where, paid, and is owed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exchange.invoice_ports import month_text
from exchange.paper import (
    INK,
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
from exchange.payouts import Statement

if TYPE_CHECKING:
    from fpdf import FPDF

_PLACEMENTS: Final = (82.0, 24.0, 16.0, 22.0, 26.0)
_PAYOUTS: Final = (40.0, 100.0, 30.0)


def statement_pdf(statement: Statement, publisher_name: str, font: Path | None = None) -> bytes:
    """The document as PDF; the same statement makes the same bytes. `font` as for invoices."""
    month = month_text(statement.month)
    pdf = new_paper(f"Statement {month}", f"Statement {month}", statement.made_at_ms, font)
    _head(pdf, statement, publisher_name, month)
    _earned(pdf, statement)
    _paid(pdf, statement)
    _sums(pdf, statement)
    return bytes(pdf.output())


def file_name(statement: Statement) -> str:
    """What the file is called."""
    return f"statement-{month_text(statement.month)}.pdf"


def _head(pdf: FPDF, statement: Statement, publisher_name: str, month: str) -> None:
    pdf.set_y(18)
    say(pdf, 22, INK, bold=True)
    pdf.cell(WIDTH, 10, f"Statement {month}", new_x="LMARGIN", new_y="NEXT")
    made = datetime.fromtimestamp(statement.made_at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    for label, value in (("Publisher", publisher_name), ("Currency", statement.currency), ("As of", made)):
        say(pdf, 9, SOFT)
        pdf.cell(34, 5.6, label)
        say(pdf, 9, INK)
        pdf.cell(WIDTH - 34, 5.6, text_of(pdf, value), new_x="LMARGIN", new_y="NEXT")
    pdf.set_y(pdf.get_y() + 6)


def _earned(pdf: FPDF, statement: Statement) -> None:
    heads = ("Placement", "Impressions", "Clicks", "Conversions", "Earned")
    table_head(pdf, heads, _PLACEMENTS)
    digits = max((digits_of(line.earned_micros) for line in statement.lines), default=2)
    for at, line in enumerate(statement.lines):
        if pdf.will_page_break(7):
            pdf.add_page()
            table_head(pdf, heads, _PLACEMENTS)
        counts = [f"{count:,}" if count else "-" for count in (line.impressions, line.clicks, line.conversions)]
        say(pdf, 9, INK)
        pdf.set_fill_color(*SHADE)
        cells = [fitted(pdf, line.placement_id, _PLACEMENTS[0] - 4), *counts, amount_text(line.earned_micros, digits)]
        row(pdf, cells, _PLACEMENTS, 6.6, fill=at % 2 == 0)
    rule(pdf)


def _paid(pdf: FPDF, statement: Statement) -> None:
    if not statement.payouts:
        return
    heads = ("Paid on", "Reference", "Amount")
    if pdf.will_page_break(20):
        pdf.add_page()
    pdf.set_y(pdf.get_y() + 6)
    table_head(pdf, heads, _PAYOUTS)
    for payout in statement.payouts:
        if pdf.will_page_break(7):
            pdf.add_page()
            table_head(pdf, heads, _PAYOUTS)
        say(pdf, 9, INK)
        paid_on = datetime.fromtimestamp(payout.at_ms / 1000, UTC).strftime("%Y-%m-%d")
        cells = [
            paid_on,
            fitted(pdf, payout.reference, _PAYOUTS[1] - 4),
            amount_text(payout.amount_micros, digits_of(payout.amount_micros)),
        ]
        row(pdf, cells, _PAYOUTS, 6.6, fill=False)
    rule(pdf)


def _sums(pdf: FPDF, statement: Statement) -> None:
    rows = (
        ("Owed before", statement.opening_micros, False),
        ("Earned", statement.earned_micros, False),
        ("Paid", -statement.paid_micros, False),
        ("Owed", statement.owed_micros, True),
    )
    sums(pdf, rows, statement.currency)
