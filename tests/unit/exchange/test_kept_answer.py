"""What is kept of an answer gives the same answer again."""

from __future__ import annotations

import gc

from msgspec.structs import replace

from exchange.answer import Ad, Answer, PlacementAnswer, Pod
from exchange.creatives import ad_facts, outside_facts
from exchange.creatives.composer import Composer
from exchange.creatives.templates import PlainUrls
from exchange.kept_answer import KeptAnswer, impression_id_of, kept_answer, slim
from exchange.ports import LineItemRecord
from exchange.request import PageView
from tests.builders import PUBLIC_URL, a_line_item, a_page_view, a_placement, an_outside_bid

AUCTION = "a" * 32
COMPOSER = Composer(urls=PlainUrls(PUBLIC_URL), product=lambda _: None)
VIEW: PageView = a_page_view(placements=tuple(a_placement(name) for name in ("top", "side", "foot", "none")))


def an_answer() -> Answer:
    """An ad under a deal, one of an outside bidder, one of another line item, and a placement without any."""
    first, second, bid = a_line_item(1), a_line_item(2), an_outside_bid("bid")

    def own(index: int, item: LineItemRecord) -> Ad:
        facts = ad_facts(item, item.creatives[0])
        impression_id = impression_id_of(AUCTION, index)
        markup = COMPOSER.markup(facts, None, impression_id)
        return Ad(impression_id, facts, markup, 700 + index, "brand_campaign", 900, currency="USD")

    placements = (
        PlacementAnswer("top", replace(own(0, first), deal_id="deal-1")),
        PlacementAnswer(
            "side", Ad(impression_id_of(AUCTION, 1), outside_facts(bid), bid.markup, 5, "acme", 5, "", "USD")
        ),
        PlacementAnswer("foot", own(2, second)),
        PlacementAnswer("none", None, 1004),
    )
    return Answer(AUCTION, "asked-first", placements, pods=(Pod("pod", ("top",), 15, "<VAST/>"),))


def kept(answer: Answer) -> KeptAnswer:
    return kept_answer(answer, (a_line_item(1), None, a_line_item(2), None), 1_000, 7)


def test_the_answer_again_differs_only_in_who_asked() -> None:
    answer = an_answer()

    again = kept(answer).answer_to(replace(VIEW, request_id="tab-2"), COMPOSER.markup)

    assert again == replace(answer, request_id="tab-2", kept=True)


def test_markup_of_line_items_is_not_kept() -> None:
    answer = an_answer()
    held = kept(answer)

    assert [bool(markup) for markup in held.markups] == [False, True, False, False]
    inside = replace(answer, placements=(answer.placements[0], answer.placements[3]))
    assert kept_answer(inside, (a_line_item(1), None), 1_000, 7).markups == ()


def test_what_is_kept_is_a_handful_of_objects() -> None:
    """Page views pay for cold memory: with each answer that is kept, one of long before goes."""
    answer = an_answer()
    own = replace(answer, placements=(answer.placements[0], answer.placements[2]), pods=())
    held = kept_answer(own, (a_line_item(1), a_line_item(2)), 1_000, 7)

    # The struct and these; all else that it leads to is shared. Deals are rare.
    other = kept_answer(own, (a_line_item(1), a_line_item(2)), 1_000, 7)
    apart = [name for name in held.__struct_fields__ if getattr(held, name) is not getattr(other, name)]
    assert apart == ["facts", "line_items", "packed", "deal_ids"]
    assert len(held.packed) == 16 + 2 * 4 * 8
    assert not gc.is_tracked(held)


def test_for_other_processes_markup_stays_as_it_was_sold_and_facts_are_those_that_each_knows() -> None:
    answer = an_answer()

    told = slim(kept(answer), answer)

    assert told.markups == tuple(placement.ad.markup if placement.ad else "" for placement in answer.placements)
    assert [facts.creative for facts in told.facts if facts is not None] == [None, None, None]
