"""Which formats are there? The table: a new one is its file and its line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from exchange.creatives import banner, listing, native, video
from exchange.creatives.shown import Shown
from exchange.creatives.templates import Template
from exchange.request import Format

VIDEO_MTYPE = 2


class FormatRules(NamedTuple):
    """How a format is made. `mtype` is OpenRTB 2.6 §4.2.3's number of it. A `live` one is written for the placement and
    with the product's facts of the moment; all others are written once, with the snapshot. A format without `sized`
    has no size of its own for the placement to ask for.
    """

    mtype: int
    markup: Callable[[Shown], Template]
    live: bool
    sized: bool


# A product listing travels as native where OpenRTB has to name it: context 3, data asset 13 (community extension PLA).
FORMATS: Mapping[int, FormatRules] = {
    Format.BANNER: FormatRules(1, banner.markup, live=False, sized=True),
    Format.PRODUCT_LISTING: FormatRules(4, listing.markup, live=True, sized=False),
    Format.VIDEO: FormatRules(VIDEO_MTYPE, video.markup, live=False, sized=True),
    Format.NATIVE: FormatRules(4, native.markup, live=True, sized=False),
}


def mtype_of(format_: int) -> int:
    """The `mtype` of a format, 0 for one that there is not."""
    rules = FORMATS.get(format_)
    return rules.mtype if rules is not None else 0


def shape_of(format_: int, width: int, height: int) -> tuple[int, int, int]:
    """(format, width, height) under which a creative is found; 0 × 0 where the placement names no size."""
    rules = FORMATS.get(format_)
    return (format_, width, height) if rules is None or rules.sized else (format_, 0, 0)


def of_offered_type(format_: int, mtype: int, offered: frozenset[int]) -> bool:
    """Does an outside bid fit one type that the placement offers? `offered` holds the formats of its shapes; an `mtype`
    of 0 was not said, any other must be that of the format.
    """
    rules = FORMATS.get(format_)
    return rules is not None and format_ in offered and mtype in (0, rules.mtype)
