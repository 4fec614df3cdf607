"""How is an answer kept until its session asks again? In a few objects, out of which it is made again.

Answers are kept by the hundred thousand. What a line item's ad is stands once in memory, and its markup is written
again when it is needed, so a kept answer has a tenth of the answer's size; the price of memory that is never near is
paid with every page view.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace

from exchange.answer import Ad, Answer, PlacementAnswer, Pod
from exchange.creatives.ad_facts import AdFacts
from exchange.ports import LineItemRecord
from exchange.request import NativeTerms, PageView

_ID_BYTES: Final = 16
# The reason for no ad, the price, what the price is worth, what the product cost.
_AMOUNTS: Final = struct.Struct("<4q")

# The markup of a line item's ad: of these facts, in a placement with these terms, for this impression.
Markup = Callable[[AdFacts, NativeTerms | None, str], str]


def impression_id_of(auction_id: str, placement_index: int) -> str:
    """The id of the ad in one placement of one auction."""
    return f"{auction_id}.{placement_index}"


class KeptAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer that a session was given, until when it holds, and what it was made of.

    All tuples have an entry for each placement, or none at all where every entry would be empty. `line_items` are
    those of the ads as they were, None for an outside bid; `sequence` is that of the snapshot they stand in. `markups`
    are of outside bids, and of what another process sold. `currency` is the page view's. `packed` is 16 bytes of the
    auction's id and four numbers for each placement.
    """

    expires_at_ms: int
    sequence: int
    currency: str
    facts: tuple[AdFacts | None, ...]
    line_items: tuple[LineItemRecord | None, ...]
    bidders: tuple[str, ...]
    packed: bytes
    deal_ids: tuple[str, ...] = ()
    markups: tuple[str, ...] = ()
    pods: tuple[Pod, ...] = ()

    @property
    def auction_id(self) -> str:
        """The auction that decided."""
        return self.packed[:_ID_BYTES].hex()

    def product_prices_micros(self) -> list[int]:
        """What the product of each placement's ad cost when this was decided; -1 without one."""
        return [price for _, _, _, price in self._amounts()]

    def answer_to(self, view: PageView, markup: Markup) -> Answer:
        """The answer again, for a page view that asks the same."""
        placements = []
        auction_id = self.auction_id
        for index, (placement, facts, (reason, price, worth, product_price)) in enumerate(
            zip(view.placements, self.facts, self._amounts(), strict=True)
        ):
            ad = None
            if facts is not None:
                impression_id = impression_id_of(auction_id, index)
                ad = Ad(
                    impression_id=impression_id,
                    facts=facts,
                    markup=(self.markups[index] if self.markups else "")
                    or markup(facts, placement.native, impression_id),
                    price_micros=price,
                    bidder=self.bidders[index],
                    worth_micros=worth,
                    deal_id=self.deal_ids[index] if self.deal_ids else "",
                    currency=self.currency,
                    product_price_micros=product_price,
                )
            placements.append(PlacementAnswer(placement.placement_id, ad, reason))
        return Answer(auction_id, view.request_id, tuple(placements), kept=True, pods=self.pods)

    def _amounts(self) -> Iterator[tuple[int, ...]]:
        return _AMOUNTS.iter_unpack(memoryview(self.packed)[_ID_BYTES:])


def kept_answer(
    answer: Answer, line_items: tuple[LineItemRecord | None, ...], expires_at_ms: int, sequence: int
) -> KeptAnswer:
    """What is kept of an answer with at least one ad; `line_items` are those of its ads, by placement."""
    facts: list[AdFacts | None] = []
    bidders: list[str] = []
    deal_ids: list[str] = []
    markups: list[str] = []
    amounts: list[int] = []
    currency = ""
    for placement in answer.placements:
        ad = placement.ad
        if ad is None:
            facts.append(None)
            bidders.append("")
            deal_ids.append("")
            markups.append("")
            amounts += (placement.no_ad_reason, 0, 0, -1)
            continue
        facts.append(ad.facts)
        bidders.append(ad.bidder)
        deal_ids.append(ad.deal_id)
        markups.append("" if ad.facts.creative is not None else ad.markup)
        amounts += (placement.no_ad_reason, ad.price_micros, ad.worth_micros, ad.product_price_micros)
        currency = ad.currency
    packed = bytes.fromhex(answer.auction_id) + struct.pack(f"<{len(amounts)}q", *amounts)
    # In the order of the fields: by their names they are read eight times as long.
    return KeptAnswer(
        expires_at_ms, sequence, currency, tuple(facts), line_items, _once(tuple(bidders)), packed,
        tuple(deal_ids) if any(deal_ids) else (), tuple(markups) if any(markups) else (), answer.pods,
    )  # fmt: skip


@lru_cache(maxsize=4_096)
def _once(bidders: tuple[str, ...]) -> tuple[str, ...]:
    """The same few bidders win again and again: each combination of them is kept once."""
    return bidders


def slim(kept: KeptAnswer, answer: Answer) -> KeptAnswer:
    """For other processes: without what each of them knows of a line item's ad, its creative and its template, and with
    the markup that was sent, as its addresses lead to the process that sold. Markup that goes by the product is
    written anew by whoever gives it.
    """
    return replace(
        kept,
        facts=tuple(
            replace(facts, template=None, creative=None) if facts is not None and facts.creative is not None else facts
            for facts in kept.facts
        ),
        markups=tuple(
            placement.ad.markup if placement.ad is not None and placement.ad.facts.template is not None else ""
            for placement in answer.placements
        ),
    )
