"""What do the Global Privacy Platform's sections and the older US privacy string say?

Layouts: IAB Tech Lab, "Global Privacy Platform": GPP String, and the technical specifications of the US sections. Of
each section only what decides something is read; answers have two bits: 0 does not apply, 1 opted out, 2 did not; of
a known child's data 1 no consent, 2 consent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from common.bits import BitReader

TCF_EU: Final = 2
US_PRIVACY_V1: Final = 6
_HEADER_TYPE = 3
_LONGEST_STRING = 16_384
_MOST_SECTIONS = 64


class _Layout(NamedTuple):
    """Bit offsets in a section's core segment; `child` is (offset, answers of two bits)."""

    version: int
    sale: int
    sharing: int | None
    targeted: int | None
    child: tuple[int, int] | None


# By section id; usnat of version 1 was shorter, see `_us_section`.
US_SECTIONS: Final[dict[int, _Layout]] = {
    7: _Layout(2, 18, 20, 22, (56, 3)),  # national
    8: _Layout(1, 12, 14, None, (34, 2)),  # California
    9: _Layout(1, 12, None, 14, (32, 1)),  # Virginia
    10: _Layout(1, 12, None, 14, (30, 1)),  # Colorado
    11: _Layout(1, 14, None, 16, (34, 1)),  # Utah
    12: _Layout(1, 12, None, 14, (32, 3)),  # Connecticut
    13: _Layout(1, 12, None, 14, (32, 3)),  # Florida
    14: _Layout(1, 12, None, 14, (32, 3)),  # Montana
    15: _Layout(1, 12, None, 14, (38, 3)),  # Oregon
    16: _Layout(1, 12, None, 14, (32, 1)),  # Texas
    17: _Layout(1, 12, None, 14, (34, 5)),  # Delaware
    18: _Layout(1, 14, None, 16, (34, 1)),  # Iowa
    19: _Layout(1, 12, None, 14, (32, 1)),  # Nebraska
    20: _Layout(1, 12, None, 14, (32, 3)),  # New Hampshire
    21: _Layout(1, 12, None, 14, (36, 5)),  # New Jersey
    22: _Layout(1, 12, None, 14, (32, 1)),  # Tennessee
    23: _Layout(1, 12, None, 14, (32, 1)),  # Minnesota
    24: _Layout(1, 16, None, 18, None),  # Maryland
    25: _Layout(1, 16, None, 18, (20, 1)),  # Indiana
    26: _Layout(1, 16, None, 18, (20, 1)),  # Kentucky
    27: _Layout(1, 16, None, 18, (20, 1)),  # Rhode Island
}
_NATIONAL_V1_CHILD = (48, 2)


@dataclass(frozen=True, slots=True)
class UsChoices:
    """What a person in the United States has chosen; True is "opted out", for `child` "a known child"."""

    sale: bool = False
    sharing: bool = False
    targeted: bool = False
    child: bool = False
    gpc: bool = False


@lru_cache(maxsize=4096)
def sections_of(text: str) -> dict[int, str]:
    """The sections of a GPP string by id. ValueError when it is none."""
    if len(text) > _LONGEST_STRING:
        raise ValueError(f"a GPP string of {len(text)} characters: at most {_LONGEST_STRING} are read")
    header, *sections = text.split("~")
    bits = BitReader(header)
    kind, version = bits.take(6), bits.take(6)
    if kind != _HEADER_TYPE or version != 1:
        raise ValueError(f"a header of type {kind} and version {version}: only type 3, version 1 is read")
    ids: list[int] = []
    last = 0
    for _ in range(bits.take(12)):
        is_range = bits.flag()
        first = last + bits.fibonacci()
        last = first + bits.fibonacci() if is_range else first
        if last - first + len(ids) >= _MOST_SECTIONS:
            raise ValueError(f"more than {_MOST_SECTIONS} sections")
        ids += range(first, last + 1)
    if len(ids) != len(sections):
        raise ValueError(f"the header names {len(ids)} sections and {len(sections)} follow")
    return dict(zip(ids, sections, strict=True))


def us_choices(section_id: int, text: str) -> UsChoices:
    """The choices in one US section. ValueError when it cannot be read or is not known."""
    if section_id == US_PRIVACY_V1:
        return us_privacy(text)
    layout = US_SECTIONS.get(section_id)
    if layout is None:
        raise ValueError(f"section {section_id} is not known")
    core, *more = text.split(".")
    bits = BitReader(core)
    version = bits.take(6)
    if not 0 < version <= layout.version:
        raise ValueError(f"section {section_id} of version {version}: up to {layout.version} is known")
    child = layout.child
    if section_id == 7 and version == 1:
        child = _NATIONAL_V1_CHILD

    def answer(offset: int) -> int:
        return bits.at(offset, 2)

    return UsChoices(
        sale=answer(layout.sale) == 1,
        sharing=layout.sharing is not None and answer(layout.sharing) == 1,
        targeted=layout.targeted is not None and answer(layout.targeted) == 1,
        child=child is not None and any(answer(child[0] + 2 * at) for at in range(child[1])),
        gpc=_gpc(more),
    )


def us_privacy(text: str) -> UsChoices:
    """The four letters of the US Privacy String 1.0 (`1YNN`). ValueError when it is none."""
    if len(text) != 4 or text[0] != "1" or any(letter not in "YyNn-" for letter in text[1:]):
        raise ValueError("a US privacy string is 1 and three of Y, N and -")
    out = text[2] in "Yy"
    return UsChoices(sale=out, sharing=out, targeted=out)


def _gpc(segments: list[str]) -> bool:
    """Is Global Privacy Control set? It stands in a segment of type 1."""
    for segment in segments:
        bits = BitReader(segment)
        if bits.take(2) == 1 and bits.flag():
            return True
    return False
