"""What does a placement ask for, in the numbers of a snapshot? Made once for each placement that is met again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from exchange.by_identity import ByIdentity
from exchange.request import Deal, FlexSize, Format, Placement
from exchange.traits import Kind, blocked_by, fits
from exchange.vocabulary import DEAL, Vocabulary

_FORMS = (Kind.VIDEO_FORMAT, Kind.VIDEO_TERMS, Kind.NATIVE_ASSETS)
SEATS, ADVERTISERS = 1, 2


class DealAsks(NamedTuple):
    """A deal that some line item knows; `needs` has SEATS or ADVERTISERS when one of `traits` is needed."""

    term: int
    row: int
    floor_micros: int
    guaranteed: bool
    needs: int
    traits: tuple[int, ...]


class PlacementAsks(NamedTuple):
    """Numbers of what a placement offers and refuses; what no line item has is left out. `term` -1: not targeted."""

    term: int
    shapes: tuple[int, ...]
    blocks: tuple[int, ...]
    private: bool
    deals: tuple[DealAsks, ...]


class PageAsks(NamedTuple):
    """What all placements of a page view ask for, one behind the other; `*_counts` say how many each has.

    `same` says of each whether it asks for just what the one before does. One that is targeted by name walks for
    itself, so neither it nor the one behind it is the same.
    """

    terms: tuple[int, ...]
    same: tuple[bool, ...]
    private: tuple[bool, ...]
    shapes: tuple[int, ...]
    shape_counts: tuple[int, ...]
    blocks: tuple[int, ...]
    block_counts: tuple[int, ...]
    deals: tuple[DealAsks, ...]
    deal_counts: tuple[int, ...]


def page_asks(asks: Sequence[PlacementAsks]) -> PageAsks:
    """What the placements of one page view ask for, in their order."""
    before = [None, *asks[:-1]]
    return PageAsks(
        terms=tuple(one.term for one in asks),
        same=tuple(one.term < 0 and one == last for one, last in zip(asks, before, strict=True)),
        private=tuple(one.private for one in asks),
        shapes=tuple(shape for one in asks for shape in one.shapes),
        shape_counts=tuple(len(one.shapes) for one in asks),
        blocks=tuple(block for one in asks for block in one.blocks),
        block_counts=tuple(len(one.blocks) for one in asks),
        deals=tuple(deal for one in asks for deal in one.deals),
        deal_counts=tuple(len(one.deals) for one in asks),
    )


def known_asks(words: Vocabulary) -> ByIdentity[tuple[Placement, ...], PageAsks]:
    """What pages ask for in these words; a page that is new is mostly made of placements that are known."""
    placements = ByIdentity(partial(placement_asks, words))
    return ByIdentity(lambda of_page: page_asks([placements.of(placement) for placement in of_page]))


def placement_asks(words: Vocabulary, placement: Placement) -> PlacementAsks:
    """What this placement asks for."""
    blocks = {number for trait in blocked_by(placement) if (number := words.traits.get(trait)) is not None}
    if placement.video is not None or placement.native is not None:
        # The forms that are known are few: those that do not fit are blocked like anything else.
        blocks.update(n for trait, n in words.traits.items() if trait[0] in _FORMS and not fits(trait, placement))
    return PlacementAsks(
        term=words.terms["placement"].get(placement.placement_id, -1),
        shapes=_shapes(words, placement),
        blocks=tuple(sorted(blocks)),
        private=placement.private_auction,
        deals=_deals(words, placement.deals),
    )


def _shapes(words: Vocabulary, placement: Placement) -> tuple[int, ...]:
    known = [words.shapes.get(shape) for shape in placement.shapes]
    if placement.flex_sizes:
        known += [n for shape, n in words.shapes.items() if is_flexible_fit(shape, placement.flex_sizes)]
    return tuple(dict.fromkeys(number for number in known if number is not None))


def is_flexible_fit(shape: tuple[int, int, int], sizes: Sequence[FlexSize]) -> bool:
    """Is this a banner of one of the ratios, and wide enough? Heights may be off by less than a pixel, as rounded."""
    format_, width, height = shape
    return format_ == Format.BANNER and any(
        width >= size.least_width and abs(width * size.height_ratio - height * size.width_ratio) < size.width_ratio
        for size in sizes
    )


def _deals(words: Vocabulary, deals: Sequence[Deal]) -> tuple[DealAsks, ...]:
    """The deals that line items know: guaranteed ones first, then by what they bring the publisher."""
    if not deals:
        return ()
    terms = words.terms[DEAL]
    known = []
    for row, deal in enumerate(deals):
        term = terms.get(deal.deal_id)
        if term is None:
            continue
        wanted = [(Kind.SEAT, seat) for seat in deal.seats]
        wanted += [(Kind.ADVERTISER, domain) for domain in deal.advertiser_domains]
        traits = tuple(number for trait in wanted if (number := words.traits.get(trait)) is not None)
        needs = (SEATS if deal.seats else 0) | (ADVERTISERS if deal.advertiser_domains else 0)
        known.append(DealAsks(term, row, deal.floor_micros, deal.guaranteed, needs, traits))
    return tuple(sorted(known, key=lambda deal: (not deal.guaranteed, -deal.floor_micros, deal.row)))
