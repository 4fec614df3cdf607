"""How does a document of ours look on paper? A4, its inks, letters and tables: what invoices and statements share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common.money import MICROS, exactly

if TYPE_CHECKING:
    from fpdf import FPDF

INK: Final = (33, 37, 41)
SOFT: Final = (108, 117, 125)
LINE: Final = (206, 212, 218)
SHADE: Final = (245, 246, 248)
ACCENT: Final = (24, 95, 165)
LEFT: Final = 20.0
RIGHT: Final = 190.0
WIDTH: Final = RIGHT - LEFT
_FAMILY: Final = "Invoice"


def new_paper(title: str, foot: str, made_at_ms: int, font: Path | None) -> FPDF:
    """A document with its first page; the same content makes the same bytes.

    `font` is a TrueType file for names beyond Latin-1, whose letters are question marks without it.
    """
    # Loaded by the first document alone: it takes a fifth of a second.
    from fpdf import FPDF

    class Document(FPDF):
        """Pages with a foot."""

        def footer(self) -> None:
            self.set_y(-16)
            say(self, 8, SOFT)
            self.cell(WIDTH / 2, 5, text_of(self, foot))
            self.cell(WIDTH / 2, 5, f"Page {self.page_no()} of {{nb}}", align="R")

    pdf = Document(format="A4")
    pdf.set_creation_date(datetime.fromtimestamp(made_at_ms / 1000, UTC))
    pdf.set_title(title)
    pdf.set_creator("haat")
    pdf.set_margins(LEFT, 20, 210 - RIGHT)
    pdf.set_auto_page_break(True, margin=24)
    if font is not None:
        pdf.add_font(_FAMILY, "", font)
        pdf.add_font(_FAMILY, "B", font)
    pdf.add_page()
    pdf.set_fill_color(*ACCENT)
    pdf.rect(0, 0, 210, 4, style="F")
    return pdf


def table_head(pdf: FPDF, heads: Sequence[str], columns: Sequence[float]) -> None:
    """The heads of a table above a line."""
    say(pdf, 8, SOFT)
    row(pdf, heads, columns, 6, fill=False)
    pdf.set_draw_color(*INK)
    pdf.line(LEFT, pdf.get_y(), RIGHT, pdf.get_y())
    pdf.set_y(pdf.get_y() + 1)


def row(pdf: FPDF, cells: Sequence[str], columns: Sequence[float], height: float, *, fill: bool) -> None:
    """One line of a table: the first cell on the left, numbers on the right."""
    for width, cell, text in zip(columns, range(len(cells)), cells, strict=True):
        pdf.cell(width, height, text, align="R" if cell else "L", fill=fill)
    pdf.ln(height)


def rule(pdf: FPDF) -> None:
    """A line below what was written last."""
    pdf.set_draw_color(*LINE)
    pdf.line(LEFT, pdf.get_y() + 1, RIGHT, pdf.get_y() + 1)


def sums(pdf: FPDF, rows: Sequence[tuple[str, int, bool]], currency: str) -> None:
    """What it comes to: a line for each (label, micros, whether it is bold), together on one page."""
    if pdf.will_page_break(36):
        pdf.add_page()
    pdf.set_y(pdf.get_y() + 4)
    for label, micros, bold in rows:
        pdf.set_x(LEFT + WIDTH - 84)
        say(pdf, 11 if bold else 9, INK if bold else SOFT, bold=bold)
        pdf.cell(34, 7, label)
        say(pdf, 11 if bold else 9, INK, bold=bold)
        pdf.cell(50, 7, text_of(pdf, exactly(micros, currency)), align="R", new_x="LMARGIN", new_y="NEXT")


def digits_of(micros: int) -> int:
    """How many digits behind the point it takes, at least two."""
    return max(len(f"{abs(micros) % MICROS:06d}".rstrip("0")), 2)


def amount_text(micros: int, digits: int) -> str:
    """Amounts of one column have as many digits, so that their points stand below one another."""
    units, rest = divmod(abs(micros), MICROS)
    return f"{'-' if micros < 0 else ''}{units:,}.{f'{rest:06d}'[:digits]}"


def say(pdf: FPDF, size: float, colour: tuple[int, int, int], *, bold: bool = False) -> None:
    """From here on letters are of this size and colour."""
    family = _FAMILY if _FAMILY.lower() in pdf.fonts else "Helvetica"
    pdf.set_font(family, "B" if bold else "", size)
    pdf.set_text_color(*colour)


def text_of(pdf: FPDF, text: str) -> str:
    """The text in the letters that there are."""
    if _FAMILY.lower() in pdf.fonts:
        return text
    return text.replace("–", "-").replace("—", "-").encode("latin-1", "replace").decode("latin-1")


def fitted(pdf: FPDF, text: str, width: float) -> str:
    """The text, cut with an ellipsis where it does not fit."""
    text = text_of(pdf, text)
    if pdf.get_string_width(text) <= width - 2:
        return text
    while text and pdf.get_string_width(text + "...") > width - 2:
        text = text[:-1]
    return text + "..."
