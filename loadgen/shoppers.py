"""Who shops in the feed, and what do they choose? Visitors of a log: what they liked before decides what they do.

A model and no finding: how likely somebody looks at a place, and chooses what fits their taste, is made up here. Half
of what a visitor liked is sent with the page's question, as a storefront would; the other half is known to nobody but
the visitor, so that a feed which repeats what it was told does not get everything right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log1p

from loadgen.views import LoggedView, draw
from protos.common_pb2 import Affinity, Device, Page, Visitor
from protos.feed_pb2 import Post

# Of a liked product goes so much to others of its category, and of its brand.
_TO_CATEGORY, _TO_BRAND = 0.35, 0.15
# What a feed takes of a visitor's affinities: the strongest.
_MOST_SENT = 64
# How much less the next place is looked at.
_LESS_LOOKED_AT = 0.06
# The chance of a click on a post that is looked at and means nothing to the visitor, and on one that means everything.
_CLICK_LEAST, _CLICK_MOST = 0.02, 0.45


@dataclass(frozen=True, slots=True)
class Kin:
    """A product's category and brand; nobody is kin by an empty one."""

    category: str
    brand: str


@dataclass(frozen=True, slots=True)
class Shopper:
    """A visitor with the weights of what was liked, by product; `sent` is the half that the storefront knows."""

    visitor_id: str
    agrees: bool
    device: Device
    page: Page
    taste: Mapping[str, float]
    kin_taste: Mapping[str, float]
    sent: tuple[tuple[str, float], ...]

    def visitor(self) -> Visitor:
        """As a storefront sends the visitor."""
        return Visitor(
            visitor_id=self.visitor_id if self.agrees else "",
            affinities=[Affinity(product_id=product, weight=weight) for product, weight in self.sent],
        )

    def fits(self, post: Post, kin: Mapping[str, Kin]) -> float:
        """0 to 1: how well the post's products fit the taste."""
        best = 0.0
        for tag in post.product_tags:
            own = self.taste.get(tag.product_id, 0.0)
            if (known := kin.get(tag.product_id)) is not None:
                own += sum(share * self.kin_taste.get(name, 0.0) for name, share in _names(known).items())
            best = max(best, own)
        return 1.0 - exp(-best)

    def click_chance(self, fits: float, place: int) -> float:
        """The chance of a click at a place of the page, 0 is the first."""
        looked_at = 1.0 / (1.0 + _LESS_LOOKED_AT * place)
        return looked_at * (_CLICK_LEAST + (_CLICK_MOST - _CLICK_LEAST) * fits)


def _names(kin: Kin) -> dict[str, float]:
    """What a product is kin by, and how much of a taste goes to its kin."""
    names = {f"category {kin.category}": _TO_CATEGORY, f"brand {kin.brand}": _TO_BRAND}
    return {name: share for name, share in names.items() if not name.endswith(" ")}


def shopper(
    visitor_id: str,
    liked: Mapping[str, float],
    kin: Mapping[str, Kin],
    *,
    agrees: bool,
    device: Device,
    page: Page,
    seed: int,
) -> Shopper:
    """A shopper out of what somebody liked; weights are evened out, so that one favourite does not decide it all."""
    taste = {product: log1p(weight) for product, weight in liked.items() if weight > 0}
    most = max(taste.values(), default=1.0)
    taste = {product: weight / most for product, weight in taste.items()}
    kin_taste: dict[str, float] = {}
    for product, weight in taste.items():
        if (known := kin.get(product)) is not None:
            for name in _names(known):
                kin_taste[name] = max(kin_taste.get(name, 0.0), weight)
    half = [product for product in taste if draw(seed, "sent", visitor_id, product) < 0.5]
    strongest = sorted(half, key=lambda product: (-liked[product], product))[:_MOST_SENT]
    sent = tuple((product, liked[product]) for product in strongest)
    return Shopper(visitor_id, agrees, device, page, taste, kin_taste, sent)


def shoppers_of_views(views: Iterable[LoggedView], kin: Mapping[str, Kin], *, most: int, seed: int) -> list[Shopper]:
    """`most` shoppers with the tastes of a log's visitors who liked something; none where nobody did.

    Where the log has fewer visitors several shoppers share a taste: a visitor of the log stands for all who look alike.
    """
    found: dict[str, LoggedView] = {}
    for view in views:
        visitor = view.page_view.visitor
        if visitor.affinities:
            found.setdefault(visitor.visitor_id, view)
        if len(found) >= most:
            break
    rounds = -(-most // max(len(found), 1)) if found else 0
    made = [
        shopper(
            f"shopper-{visitor_id}-{number}",
            {affinity.product_id: affinity.weight for affinity in view.page_view.visitor.affinities},
            kin, agrees=len(view.page_view.consent.granted) > 0, device=view.page_view.device,
            page=view.page_view.page, seed=seed,
        )
        for number in range(rounds)
        for visitor_id, view in found.items()
    ]  # fmt: skip
    return made[:most]


def in_turn(shoppers: Sequence[Shopper], seed: int) -> Iterator[tuple[int, Shopper]]:
    """Shoppers for ever, with the number of the visit: everybody once, in an order of the seed, and again."""
    order = sorted(shoppers, key=lambda one: draw(seed, "order", one.visitor_id))
    visit = 0
    while order:
        for one in order:
            yield visit, one
            visit += 1
