"""Step 9: what does the storefront get back? One answer for each page view, one entry for each of its placements."""

from __future__ import annotations

import msgspec

from exchange.creatives.ad_facts import AdFacts


class Ad(msgspec.Struct, frozen=True, gc=False):
    """An ad that won; `price_micros` is per unit of the facts' pricing model, `markup` names the impression.

    `worth_micros` is the price as it compares: per thousand impressions, whatever the pricing model. `deal_id` names
    the deal it was sold under.
    `currency` is the page view's, which the price is told in; what is billed is in the advertiser's own.
    `product_price_micros` is what its product cost when this was decided, in the product's currency; -1 without one.
    """

    impression_id: str
    facts: AdFacts
    markup: str
    price_micros: int
    bidder: str
    worth_micros: int = 0
    deal_id: str = ""
    currency: str = ""
    product_price_micros: int = -1

    @property
    def line_item_id(self) -> str:
        """Empty for an outside bid."""
        return self.facts.line_item_id

    @property
    def advertiser_domain(self) -> str:
        """Whose ad it is."""
        return self.facts.advertiser_domain


class PlacementAnswer(msgspec.Struct, frozen=True, gc=False):
    """One placement: an ad, or why there is none (a code of exchange.refusals)."""

    placement_id: str
    ad: Ad | None
    no_ad_reason: int = 0


class Pod(msgspec.Struct, frozen=True, gc=False):
    """The ads of one video break: sold slots in the order in which they play, and one VAST document of them all."""

    pod_id: str
    placement_ids: tuple[str, ...]
    duration_s: int
    markup: str


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The answer to a page view; `kept` when the session was given the same one before."""

    auction_id: str
    request_id: str
    placements: tuple[PlacementAnswer, ...]
    kept: bool = False
    pods: tuple[Pod, ...] = ()
