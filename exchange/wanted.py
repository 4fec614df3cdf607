"""What must a line item have to be found for these page views? What an index is asked, placement by placement.

It is a necessary condition: whoever does not meet it cannot run here, and who meets it is decided on by the auction.
Placements that ask for the same are asked for once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from exchange.request import PageView, Placement
from exchange.visitor import Visitor, dearest
from exchange.vocabulary import RAREST_FIRST

# Of a visitor's products so many are looked for, the dearest to the visitor first.
MOST_SEEN_PRODUCTS = 200
_MINUTE_MS = 60_000


class Wanted(msgspec.Struct, frozen=True):
    """One question. `words` are the page's, by the dimensions of targeting; of `placement` they are the ids of all
    placements that ask alike. `deal_ids` without `in_the_open` ask for holders of these deals alone. `hour_ms` is the
    page view's time in whole minutes.
    """

    shapes: tuple[tuple[int, int, int], ...]
    flexible_from_width: int
    words: tuple[tuple[str, tuple[str, ...]], ...]
    blocked_advertisers: tuple[str, ...]
    blocked_categories: tuple[str, ...]
    blocked_attributes: tuple[int, ...]
    blocked_apps: tuple[str, ...]
    blocked_seats: tuple[str, ...]
    allowed_categories: tuple[str, ...]
    allowed_seats: tuple[str, ...]
    allowed_languages: tuple[str, ...]
    secure: bool
    in_the_open: bool
    deal_ids: tuple[str, ...]
    hour_ms: int


def wanted_by(views: Sequence[PageView], visitors: Sequence[Visitor]) -> list[Wanted]:
    """The questions of a batch, each once, in the order of page views."""
    asked: dict[Wanted, None] = {}
    for view, visitor in zip(views, visitors, strict=True):
        alike: dict[Wanted, list[str]] = {}
        for placement in view.placements:
            for question in _of(view, visitor, placement):
                alike.setdefault(question, []).append(placement.placement_id)
        for question, placement_ids in alike.items():
            words = (("placement", tuple(sorted(set(placement_ids)))), *question.words)
            asked[msgspec.structs.replace(question, words=words)] = None
    return list(asked)


def _of(view: PageView, visitor: Visitor, placement: Placement) -> Iterable[Wanted]:
    plain = Wanted(
        shapes=tuple(sorted(set(placement.shapes))),
        # 0: no size but those of the shapes.
        flexible_from_width=min((size.least_width for size in placement.flex_sizes), default=0),
        words=_words(view, visitor),
        blocked_advertisers=placement.blocked_advertisers,
        blocked_categories=placement.blocked_categories,
        blocked_attributes=placement.blocked_attributes,
        blocked_apps=placement.blocked_apps,
        blocked_seats=view.blocked_seats,
        allowed_categories=view.allowed_categories,
        allowed_seats=view.allowed_seats,
        allowed_languages=view.allowed_languages,
        secure=placement.secure,
        in_the_open=True,
        deal_ids=(),
        hour_ms=view.viewed_at_ms // _MINUTE_MS * _MINUTE_MS,
    )
    if not placement.private_auction:
        yield plain
    if placement.deals:
        deal_ids = tuple(sorted({deal.deal_id for deal in placement.deals}))
        yield msgspec.structs.replace(plain, in_the_open=False, deal_ids=deal_ids)


def _words(view: PageView, visitor: Visitor) -> tuple[tuple[str, tuple[str, ...]], ...]:
    said = {
        "country": (view.country,),
        "language": (view.language,),
        "device": (str(view.device_type),),
        "category": view.categories,
        "keyword": view.keywords,
        "segment": visitor.segments,
        "seen_product": tuple(dearest(visitor.affinities, MOST_SEEN_PRODUCTS)),
        "near_product": tuple(visitor.near),
    }
    return tuple((name, tuple(sorted(set(said[name])))) for name in RAREST_FIRST if name != "placement")
