"""The packed walk finds what a plain search over all line items finds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.eligibility import FINALISTS, PER_ADVERTISER, PER_PRODUCT, eligible
from exchange.page_arrays import HoursOfWeek, page_arrays
from exchange.ports import LineItemRecord
from exchange.request import PageView
from exchange.visitor import Visitor
from tests.builders import BANNER, LISTING, Market, a_creative, a_line_item, a_page_view, a_placement

COUNTRIES = ("DE", "FR", "IN")
KEYWORDS = ("garden", "kitchen", "desk", "lamp")
SEGMENTS = ("age=30", "age=40")


def some_of(words: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), max_size=2, unique=True).map(tuple)


@st.composite
def line_items(draw: st.DrawFn) -> list[LineItemRecord]:
    items = []
    for number in range(1, draw(st.integers(1, 30)) + 1):
        targeting = {
            "country": draw(some_of(COUNTRIES)),
            "keyword": draw(some_of(KEYWORDS)),
            "segment": draw(some_of(SEGMENTS)),
            "placement": draw(some_of(("a", "b"))),
        }
        shape = draw(st.sampled_from((BANNER, LISTING)))
        creative = a_creative(
            number,
            format=shape[0],
            width=shape[1],
            height=shape[2],
            category=draw(some_category),
            product_id=draw(st.sampled_from(("", "product-1", "product-2", f"own-{number}"))),
        )
        items.append(
            a_line_item(
                number,
                targeting={dimension: values for dimension, values in targeting.items() if values},
                bid_micros=draw(st.integers(1, 20)) * 100_000,
                advertiser_domain=f"brand-{draw(st.integers(1, 6))}.example",
                creatives=(creative,),
            )
        )
    return items


some_category = st.sampled_from(("furniture", "gambling"))


@st.composite
def page_views(draw: st.DrawFn) -> PageView:
    placements = tuple(
        a_placement(
            name,
            shapes=draw(st.sampled_from(((BANNER,), (LISTING,), (BANNER, LISTING)))),
            blocked_categories=draw(st.sampled_from(((), ("gambling",)))),
        )
        for name in ("a", "b", "c")
    )
    return a_page_view(
        country=draw(st.sampled_from(COUNTRIES)), keywords=draw(some_of(KEYWORDS)), placements=placements
    )


def by_plain_search(items: list[LineItemRecord], view: PageView, segments: tuple[str, ...]) -> list[list[int]]:
    found = []
    for placement in view.placements:
        has = {
            "country": {view.country},
            "keyword": set(view.keywords),
            "segment": set(segments),
            "placement": {placement.placement_id},
        }
        kept: list[LineItemRecord] = []
        for item in sorted(items, key=lambda item: (-item.bid_micros, item.number)):
            creative = item.creatives[0]
            fits = (creative.format, creative.width, creative.height) in placement.shapes
            matches = all(has[dimension] & set(values) for dimension, values in item.targeting.items())
            blocked = creative.category in placement.blocked_categories
            same = sum(other.advertiser_domain == item.advertiser_domain for other in kept)
            product = creative.product_id
            seen = sum(other.creatives[0].product_id == product for other in kept) if product else 0
            fresh = same < PER_ADVERTISER and seen < PER_PRODUCT
            if fits and matches and not blocked and fresh and len(kept) < FINALISTS:
                kept.append(item)
        found.append([item.number for item in kept])
    return found


@settings(max_examples=150, deadline=None)
@given(line_items(), st.lists(st.tuples(page_views(), some_of(SEGMENTS)), min_size=1, max_size=4))
def test_the_walk_finds_the_best_that_match(
    items: list[LineItemRecord], asked: list[tuple[PageView, tuple[str, ...]]]
) -> None:
    market = Market(items)
    snapshot = market.snapshot
    views = [view for view, _ in asked]
    visitors = [Visitor(segments=segments) for _, segments in asked]
    pages = page_arrays(snapshot, HoursOfWeek(snapshot.zones), views, visitors)

    found = eligible(snapshot.book, pages, market.purse.available, snapshot.scratch, market.clock.now_ms())

    at = 0
    for view, segments in asked:
        for expected in by_plain_search(items, view, segments):
            ads = found.ad[at][: found.kept[at]]
            assert snapshot.book.item_number[snapshot.book.ad_item[ads]].tolist() == expected
            at += 1
