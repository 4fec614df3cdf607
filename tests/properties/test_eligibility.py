"""The packed walk finds what a plain search over all line items finds, and refuses what it refuses, rule by rule."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exchange.eligibility import CODES, DEAL_FINALISTS, FINALISTS, PER_ADVERTISER, PER_PRODUCT, eligible
from exchange.page_arrays import HoursOfWeek, page_arrays
from exchange.placement_asks import is_flexible_fit
from exchange.ports import CreativeRecord, LineItemRecord
from exchange.refusals import Refusal
from exchange.request import Deal, FlexSize, PageView, Placement, VideoTerms
from exchange.standing_bids import standing
from exchange.traits import refusal_of_traits
from exchange.visitor import Visitor
from exchange.walk_arrays import BY_SESSION, BY_VISITOR
from tests.builders import BANNER, LISTING, Market, a_creative, a_line_item, a_page_view, a_placement
from tests.examples import examples

NOW_MS = 1_700_000_000_000
COUNTRIES = ("DE", "FR", "IN")
KEYWORDS = ("garden", "kitchen", "desk", "lamp")
SEGMENTS = ("age=30", "age=40")
CATEGORIES = ("furniture", "gambling", "iab1", "iab1-2")
SEATS = ("seat-1", "seat-2")
DEALS = ("deal-1", "deal-2", "deal-3")
VIDEO = (3, 640, 360)


def some_of(words: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), max_size=2, unique=True).map(tuple)


def rarely(values: st.SearchStrategy[Any], otherwise: object) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(otherwise), st.just(otherwise), values)


CAPS = st.lists(
    st.tuples(st.sampled_from((1, 2, 3, 4, -1, -2, -3, -4)), st.integers(1, 2), st.just(3_600)), min_size=1, max_size=2
).map(tuple)


@st.composite
def creatives(draw: st.DrawFn, number: int) -> CreativeRecord:
    shape = draw(st.sampled_from((BANNER, LISTING, VIDEO)))
    return a_creative(
        number,
        format=shape[0],
        width=shape[1],
        height=shape[2],
        category=draw(st.sampled_from(CATEGORIES)),
        product_id=draw(st.sampled_from(("", "product-1", "product-2", f"own-{number}"))),
        review_state=draw(rarely(st.sampled_from((1, 3)), 2)),
        attributes=draw(rarely(st.sampled_from(((1,), (1, 6))), ())),
        language=draw(rarely(st.sampled_from(("de", "en-gb")), "")),
        app_bundle=draw(rarely(st.just("app.example"), "")),
        landing_url=draw(rarely(st.just("http://shop.example/"), "https://shop.example/")),
        duration_s=draw(st.sampled_from((6, 15, 30))) if shape == VIDEO else 0,
        protocol=draw(st.sampled_from((0, 3, 7))),
        skippable=draw(st.booleans()),
    )


@st.composite
def line_items(draw: st.DrawFn) -> list[LineItemRecord]:
    items = []
    # What each line item has in some examples, so that rare meetings of rules are met.
    focus = draw(st.sampled_from(("", "deals", "caps")))
    for number in range(1, draw(st.integers(1, 25)) + 1):
        targeting = {
            "country": draw(some_of(COUNTRIES)),
            "keyword": draw(some_of(KEYWORDS)),
            "segment": draw(some_of(SEGMENTS)),
            "placement": draw(some_of(("a", "b"))),
        }
        deal_ids = draw(some_of(DEALS) if focus == "deals" else rarely(some_of(DEALS), ()))
        items.append(
            a_line_item(
                number,
                campaign_number=number % 3 + 1,
                targeting={dimension: values for dimension, values in targeting.items() if values},
                bid_micros=draw(st.integers(1, 20)) * 100_000,
                advertiser_domain=f"brand-{draw(st.integers(1, 6))}.example",
                seat=draw(rarely(st.sampled_from(SEATS), "")),
                deal_ids=deal_ids,
                deals_only=bool(deal_ids) and draw(st.booleans()),
                ends_at_ms=draw(rarely(st.just(NOW_MS - 1), 0)),
                caps=draw(CAPS if focus == "caps" else rarely(CAPS, ())),
                creatives=(draw(creatives(number)),),
            )
        )
    return items


@st.composite
def deals(draw: st.DrawFn) -> tuple[Deal, ...]:
    names = draw(st.lists(st.sampled_from((*DEALS, "deal-unknown")), max_size=3, unique=True))
    return tuple(
        Deal(
            name,
            floor_micros=draw(st.integers(0, 20)) * 100_000,
            seats=draw(rarely(some_of(SEATS), ())),
            advertiser_domains=draw(rarely(some_of(("brand-1.example", "brand-2.example", "nobody.example")), ())),
            guaranteed=draw(st.booleans()),
        )
        for name in names
    )


@st.composite
def placements(draw: st.DrawFn, name: str) -> Placement:
    offered = draw(st.one_of(deals(), st.just(())))
    shapes = draw(st.sampled_from(((BANNER,), (LISTING,), (BANNER, LISTING), (VIDEO, BANNER), ())))
    flex = draw(rarely(st.sampled_from(((FlexSize(6, 5, 200),), (FlexSize(6, 5, 301),), (FlexSize(1, 1, 1),))), ()))
    return a_placement(
        name,
        shapes=shapes if shapes or flex else (BANNER,),
        flex_sizes=flex,
        blocked_categories=draw(rarely(some_of(CATEGORIES), ())),
        blocked_advertisers=draw(rarely(some_of(("brand-1.example", "nobody.example")), ())),
        blocked_attributes=draw(rarely(st.sampled_from(((6,), (1, 2))), ())),
        blocked_apps=draw(rarely(st.just(("app.example",)), ())),
        secure=draw(rarely(st.just(True), False)),
        video=draw(
            rarely(
                st.builds(
                    VideoTerms,
                    mimes=st.sampled_from(((), ("video/mp4",), ("video/webm",))),
                    least_duration_s=st.sampled_from((0, 10)),
                    most_duration_s=st.sampled_from((0, 20)),
                    protocols=st.sampled_from(((), (7,))),
                    skippable=st.sampled_from((-1, 0, 1)),
                ),
                None,
            )
        ),
        deals=offered,
        private_auction=bool(offered) and draw(rarely(st.just(True), False)),
    )


@st.composite
def page_views(draw: st.DrawFn) -> PageView:
    return a_page_view(
        country=draw(st.sampled_from(COUNTRIES)),
        keywords=draw(some_of(KEYWORDS)),
        placements=tuple(draw(placements(name)) for name in ("a", "b", "c")),
        allowed_seats=draw(rarely(some_of(SEATS), ())),
        blocked_seats=draw(rarely(some_of(SEATS), ())),
        allowed_languages=draw(rarely(some_of(("de", "en", "en-gb")), ())),
        allowed_categories=draw(rarely(some_of(CATEGORIES), ())),
    )


@st.composite
def visitors(draw: st.DrawFn) -> Visitor:
    """Somebody who can be counted in at least one way, with impressions, some of them long ago."""
    at = st.sampled_from((NOW_MS - 1_000, NOW_MS - 4_000_000))
    seen = draw(st.lists(st.tuples(st.integers(1, 26), at, st.integers(1, 26)), max_size=6))
    session = draw(st.lists(st.tuples(st.integers(1, 26), at, st.integers(1, 26)), max_size=6))
    return Visitor(
        segments=draw(some_of(SEGMENTS)),
        seen_line_items=[number for number, _, _ in seen],
        seen_at_ms=[when for _, when, _ in seen],
        seen_creatives=[creative for _, _, creative in seen],
        session_line_items=[number for number, _, _ in session],
        session_at_ms=[when for _, when, _ in session],
        session_creatives=[creative for _, _, creative in session],
        known_by=draw(st.sampled_from((BY_VISITOR, BY_SESSION, BY_VISITOR | BY_SESSION))),
    )


class PlainSearch:
    """The same decision over the line items themselves, one after the other."""

    def __init__(self, items: list[LineItemRecord], view: PageView, visitor: Visitor) -> None:
        self.items = {item.number: item for item in items}
        self.view = view
        self.visitor = visitor

    def of(self, placement: Placement) -> tuple[list[tuple[int, int]], Counter[Refusal]]:
        """([(line item, deal)], how many bids fell to which rule) of a placement."""
        kept: list[tuple[LineItemRecord, int]] = []
        refused: Counter[Refusal] = Counter()
        met: set[int] = set()
        offered = {deal.deal_id: deal for deal in placement.deals}
        best_first = sorted(self.items.values(), key=lambda item: (-item.bid_micros, item.number))
        # Guaranteed deals, all deals, everything.
        for turn in ("guaranteed", "deals", "open") if placement.deals else ("open",):
            for item in best_first:
                if len(kept) == (FINALISTS if turn == "open" else DEAL_FINALISTS):
                    break
                held = [deal_id for deal_id in item.deal_ids if deal_id in offered]
                guaranteed = {deal_id for deal_id in held if offered[deal_id].guaranteed}
                found_here = {"guaranteed": guaranteed, "deals": set(held) - guaranteed}.get(turn)
                if turn == "open" and item.deals_only:
                    continue
                if item.number in met or (found_here is not None and not found_here):
                    continue
                if not self.could_stand(item, placement):
                    continue
                deal = self.deal_of(item, placement)
                only_deals = item.deals_only or placement.private_auction
                if turn != "open" and deal < 0 and not only_deals:
                    continue
                if turn == "guaranteed" and deal >= 0 and not placement.deals[deal].guaranteed:
                    continue
                met.add(item.number)
                if deal < 0 and only_deals:
                    refused[Refusal.NOT_ALLOWED_IN_DEAL if held else Refusal.PRIVATE_AUCTION] += 1
                    continue
                refusal = self.refusal(item, placement) or self.crowding(item, [other for other, _ in kept])
                if refusal:
                    refused[refusal] += 1
                else:
                    kept.append((item, deal))
        return [(item.number, deal) for item, deal in kept], refused

    def could_stand(self, item: LineItemRecord, placement: Placement) -> bool:
        creative = item.creatives[0]
        shape = (creative.format, creative.width, creative.height)
        has = {
            "country": {self.view.country},
            "keyword": set(self.view.keywords),
            "segment": set(self.visitor.segments),
            "placement": {placement.placement_id},
        }
        return (shape in placement.shapes or is_flexible_fit(shape, placement.flex_sizes)) and all(
            has[dimension] & set(values) for dimension, values in item.targeting.items()
        )

    def deal_of(self, item: LineItemRecord, placement: Placement) -> int:
        seat = item.seat or item.advertiser_id
        open_to = [
            (not deal.guaranteed, -deal.floor_micros, index)
            for index, deal in enumerate(placement.deals)
            if deal.deal_id in item.deal_ids
            and (not deal.seats or seat in deal.seats)
            and (not deal.advertiser_domains or item.advertiser_domain in deal.advertiser_domains)
        ]
        worth_it = [entry for entry in sorted(open_to) if item.bid_micros >= -entry[1]]
        return (worth_it or sorted(open_to)[-1:] or [(True, 0, -1)])[0][2]

    def refusal(self, item: LineItemRecord, placement: Placement) -> Refusal:
        creative = item.creatives[0]
        if creative.review_state != 2:
            return Refusal.CREATIVE_PENDING if creative.review_state == 1 else Refusal.CREATIVE_REFUSED
        refusal = refusal_of_traits(standing(item).traits[0], self.view, placement)
        if refusal:
            return refusal
        if item.ends_at_ms and item.ends_at_ms <= NOW_MS:
            return Refusal.OUT_OF_SCHEDULE
        capped = any(self.times_seen(item, scope, window_s) >= most for scope, most, window_s in item.caps)
        return Refusal.FREQUENCY_CAPPED if capped else Refusal.WON

    def times_seen(self, item: LineItemRecord, scope: int, window_s: int) -> int:
        visitor = self.visitor
        wanted, other = (BY_VISITOR, BY_SESSION) if scope > 0 else (BY_SESSION, BY_VISITOR)
        way = wanted if visitor.known_by & wanted else other
        if way == BY_VISITOR:
            seen = zip(visitor.seen_line_items, visitor.seen_creatives, visitor.seen_at_ms, strict=True)
        else:
            seen = zip(visitor.session_line_items, visitor.session_creatives, visitor.session_at_ms, strict=True)
        recent = [(number, creative) for number, creative, at in seen if at > NOW_MS - window_s * 1000]
        owners = [self.items.get(number) for number, _ in recent]
        match abs(scope):
            case 1:
                return sum(number == item.number for number, _ in recent)
            case 2:
                return sum(o is not None and o.campaign_number == item.campaign_number for o in owners)
            case 3:
                return sum(o is not None and o.advertiser_domain == item.advertiser_domain for o in owners)
            case _:
                return sum(creative == item.creatives[0].number for _, creative in recent)

    def crowding(self, item: LineItemRecord, kept: list[LineItemRecord]) -> Refusal:
        brand, product = item.advertiser_domain, item.creatives[0].product_id
        same = sum(other.advertiser_domain == brand for other in kept)
        shown = sum(other.creatives[0].product_id == product for other in kept) if product else 0
        return Refusal.LOST_TO_HIGHER_BID if same >= PER_ADVERTISER or shown >= PER_PRODUCT else Refusal.WON


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(line_items(), st.lists(st.tuples(page_views(), visitors()), min_size=1, max_size=4))
def test_the_walk_finds_the_best_that_may_take_part(
    items: list[LineItemRecord], asked: list[tuple[PageView, Visitor]]
) -> None:
    market = Market(items)
    snapshot = market.snapshot
    views, visitors = [view for view, _ in asked], [visitor for _, visitor in asked]
    pages = page_arrays(snapshot, HoursOfWeek(snapshot.zones), views, visitors)

    found = eligible(snapshot.book, pages, market.purse.available, snapshot.scratch, NOW_MS)

    at = 0
    for view, visitor in asked:
        for placement in view.placements:
            expected, refused = PlainSearch(items, view, visitor).of(placement)
            ads = found.ad[at][: found.kept[at]]
            numbers = snapshot.book.item_number[snapshot.book.ad_item[ads]].tolist()
            assert list(zip(numbers, found.deal[at][: found.kept[at]].tolist(), strict=True)) == expected
            counted = {Refusal(code): n for code, n in zip(CODES, found.refused_total[at].tolist(), strict=True) if n}
            assert counted == refused
            at += 1


def edges(starts: NDArray[np.int32]) -> tuple[list[int], list[int]]:
    return starts[:-1].tolist(), starts[1:].tolist()


@pytest.mark.slow
@settings(max_examples=examples(50), deadline=None)
@given(line_items(), page_views(), st.sets(st.integers(1, 25)))
def test_what_is_left_out_of_the_runs_is_no_bid_and_comes_back(
    items: list[LineItemRecord], view: PageView, broke: set[int]
) -> None:
    market = Market(items)
    whole = market.snapshot
    rows = [market.purse.rows[number] for number in broke if number in market.purse.rows]
    market.purse.available[rows] = 0

    left = market.leave_out_exhausted()

    able = [item for item in items if item.number not in broke and not item.ends_at_ms]
    names = {item.number for item in able}
    for first, last, old, older in zip(*edges(left.book.run_start), *edges(whole.book.run_start), strict=True):
        before = whole.book.item_number[whole.book.ad_item[whole.book.postings[old:older]]].tolist()
        after = left.book.item_number[left.book.ad_item[left.book.postings[first:last]]].tolist()
        assert after == ([number for number in before if number in names] or before[:1])
    pages = page_arrays(left, HoursOfWeek(left.zones), [view], [Visitor(known_by=BY_VISITOR)])
    found = eligible(left.book, pages, market.purse.available, left.scratch, NOW_MS)
    for at, placement in enumerate(view.placements):
        expected, _ = PlainSearch(able, view, Visitor(known_by=BY_VISITOR)).of(placement)
        ads = found.ad[at][: found.kept[at]]
        assert left.book.item_number[left.book.ad_item[ads]].tolist() == [number for number, _ in expected]
    market.purse.available[rows] = 10**12
    back = market.leave_out_exhausted()
    returned = set(back.book.item_number[back.book.ad_item[back.book.postings]].tolist())
    assert {item.number for item in items if not item.ends_at_ms} <= returned
    assert back.runs is whole.runs
