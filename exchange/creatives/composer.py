"""Which markup does this impression get? The template that fits the moment, filled with the impression's addresses.

Templates that depend on a product or on a placement's terms are written when they are first needed and remembered
until the product changes, so an answer costs one look-up and one join.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from exchange.answer import Answer
from exchange.creatives.ad_facts import AdFacts
from exchange.creatives.formats import FORMATS, VIDEO_MTYPE
from exchange.creatives.markup_store import pod_key
from exchange.creatives.native import missing
from exchange.creatives.shown import Shown
from exchange.creatives.templates import Form, Template, Urls
from exchange.kept_answer import KeptAnswer
from exchange.request import NativeTerms, PageView
from streams.product import Product

_REMEMBERED = 20_000


class _Live(msgspec.Struct):
    """What is remembered of an ad in a placement's terms: for which product, whether it fits, and its template."""

    facts: AdFacts
    product: Product | None
    fits: bool
    form: Form | None = None


class Composer:
    """Makes the markup of won ads. `product` answers for a product id from the catalogue, with the same object until
    the product changes; `urls` gives the addresses of an impression. `keep_video` is told a video's impression and
    document, for players that fetch it.
    """

    def __init__(
        self,
        *,
        urls: Urls,
        product: Callable[[str], Product | None],
        keep_video: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._urls = urls
        self.keep_video = keep_video
        self._product = product
        self._live: dict[tuple[int, NativeTerms | None], _Live] = {}
        # By identity of the template, which is kept beside so that no other object can take the identity over.
        self._forms: dict[int, tuple[Template, Form]] = {}

    def markup(self, facts: AdFacts, native: NativeTerms | None, impression_id: str) -> str:
        """The markup of one impression; `native` are the placement's terms if it has any."""
        if facts.template is None:
            form = self._written(facts, native)
        elif facts.creative is None:
            # An outside bid's markup comes once.
            form = facts.template.form(self._urls, facts.landing_url)
        else:
            form = self._form_of(facts.template, facts.landing_url)
        markup = form.fill(impression_id, self._urls)
        if facts.mtype == VIDEO_MTYPE:
            self.keep_video(impression_id, markup)
        return markup

    def refreshed(self, kept: KeptAnswer, view: PageView) -> Answer | None:
        """The answer that a session was given before, its markup written anew with its products as they are now; None
        when one of them is no longer sold, or for another price. The page view is the one that asked again.
        """
        for facts, price_micros in zip(kept.facts, kept.product_prices_micros(), strict=True):
            if facts is not None and facts.product_id:
                product = self._product(facts.product_id)
                if product is not None and not product.in_stock:
                    return None
                if price_micros != (product.price_micros if product is not None else -1):
                    return None
        return kept.answer_to(view, self.markup)

    def product_price_micros(self, product_id: str) -> int:
        """What a product costs at this moment, -1 for one that is in no catalogue."""
        product = self._product(product_id) if product_id else None
        return product.price_micros if product is not None else -1

    def adopt(self, answer: Answer) -> None:
        """Serve the films of an answer that another process gave."""
        for placement in answer.placements:
            if placement.ad is not None and placement.ad.facts.mtype == VIDEO_MTYPE:
                self.keep_video(placement.ad.impression_id, placement.ad.markup)
        for number, pod in enumerate(answer.pods):
            self.keep_video(pod_key(answer.auction_id, number), pod.markup)

    def missing(self, facts: AdFacts, native: NativeTerms | None) -> bool:
        """Would anything that a native placement requires be missing? What an outside bidder brings was screened."""
        if facts.creative is None or native is None:
            return False
        return not self._remembered(facts, native).fits

    def _form_of(self, template: Template, landing_url: str) -> Form:
        known = self._forms.get(id(template))
        if known is None or known[1].landing_url != landing_url:
            if len(self._forms) >= _REMEMBERED:
                self._forms.clear()
            known = self._forms[id(template)] = (template, template.form(self._urls, landing_url))
        return known[1]

    def _written(self, facts: AdFacts, native: NativeTerms | None) -> Form:
        known = self._remembered(facts, native)
        if known.form is None:
            template = FORMATS[facts.format].markup(_shown(facts, known.product, native))
            known.form = template.form(self._urls, facts.landing_url)
        return known.form

    def _remembered(self, facts: AdFacts, native: NativeTerms | None) -> _Live:
        product = self._product_of(facts)
        # By identity of the facts, which are kept beside so that no other object can take the identity over.
        key = (id(facts), native)
        known = self._live.get(key)
        # Products are replaced and never changed, so the same object is the same revision.
        if known is None or known.product is not product:
            if len(self._live) >= _REMEMBERED:
                self._live.clear()
            known = self._live[key] = _Live(facts, product, not missing(_shown(facts, product, native)))
        return known

    def _product_of(self, facts: AdFacts) -> Product | None:
        return self._product(facts.product_id) if facts.product_id else None


def _shown(facts: AdFacts, product: Product | None, native: NativeTerms | None) -> Shown:
    assert facts.creative is not None, "an outside bid brings its markup"
    return Shown(facts.creative, facts.advertiser_domain, product, native)
