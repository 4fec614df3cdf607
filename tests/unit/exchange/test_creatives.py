from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring
from msgspec.structs import replace

from exchange.answer import Ad, Answer, PlacementAnswer, Pod
from exchange.creatives import ad_facts
from exchange.creatives.composer import Composer
from exchange.creatives.formats import of_offered_type, shape_of
from exchange.creatives.pods import slots_of
from exchange.creatives.prices import amount, price_text
from exchange.creatives.templates import EVENTS, PlainUrls, event_macro, template
from exchange.ports import LineItemRecord
from exchange.refusals import Refusal
from exchange.request import Format, NativeTerms, Placement, VideoTerms
from streams.product import Product
from tests.builders import LISTING, PUBLIC_URL, Market, a_creative, a_line_item, a_page_view, a_placement, a_product

NATIVE = (int(Format.NATIVE), 0, 0)
VIDEO = (int(Format.VIDEO), 640, 360)
VAST = "{http://www.iab.com/VAST}"


@dataclass
class Shop:
    """Products that can be sold out and change their price."""

    products: dict[str, Product]

    def get(self, product_id: str) -> Product | None:
        return self.products.get(product_id)

    def put(self, **changes: Any) -> None:
        self.products["product-1"] = a_product(1, **changes)


def listing_market(shop: Shop, **settings: Any) -> Market:
    creative = a_creative(1, format=2, width=0, height=0)
    return Market([a_line_item(1, creatives=(creative,))], product=shop.get, **settings)


async def test_a_changed_price_is_in_the_next_answer() -> None:
    shop = Shop({"product-1": a_product(1)})
    market = listing_market(shop)
    listing = (a_placement("list", shapes=(LISTING,)),)

    before = json.loads(shown(await market.ask_one(placements=listing)))
    shop.put(price_micros=39_990_000)
    after = json.loads(shown(await market.ask_one(placements=listing)))

    assert (before["price"], after["price"]) == ("49.90", "39.99")
    assert after["price_text"] == "EUR\u00a039.99"


async def test_a_session_that_asks_again_sees_the_product_of_now_and_another_price_or_stock_decides_anew() -> None:
    shop = Shop({"product-1": a_product(1)})
    market = listing_market(shop)
    asked = {"session_id": "session-1", "placements": (a_placement("list", shapes=(LISTING,)),)}

    first = await market.ask_one(**asked)
    shop.put(name="A chair of oak")
    again = await market.ask_one(**asked)
    assert again.kept
    assert impression(again) == impression(first)
    assert json.loads(shown(again))["name"] == "A chair of oak"
    assert json.loads(shown(again))["impression_id"] == impression(first)

    shop.put(price_micros=39_990_000)
    cheaper = await market.ask_one(**asked)
    assert not cheaper.kept
    assert impression(cheaper) != impression(first)
    assert json.loads(shown(cheaper))["price"] == "39.99"
    assert (await market.ask_one(**asked)).kept

    shop.put(price_micros=39_990_000, in_stock=False)
    sold_out = await market.ask_one(**asked)
    assert not sold_out.kept


async def test_a_session_is_not_shown_a_creative_that_was_refused_meanwhile() -> None:
    market = Market([a_line_item(1)])
    asked = {"session_id": "session-1"}
    assert shown(await market.ask_one(**asked))

    market.snapshot = replace(market.load([a_line_item(2)]), sequence=98)
    assert (await market.ask_one(**asked)).kept
    market.snapshot = replace(market.load([a_line_item(1, creatives=(a_creative(1, review_state=3),))]), sequence=99)
    after = await market.ask_one(**asked)
    assert not after.kept
    assert after.placements[0].ad is not None
    assert after.placements[0].ad.line_item_id == "item-2"


async def test_a_native_ad_that_misses_what_is_required_is_filtered() -> None:
    creative = a_creative(1, format=4, width=600, height=400, body="")
    terms = NativeTerms(((1, "title", 0, True, 25, 0, 0), (7, "data", 2, True, 90, 0, 0)))
    market = Market([a_line_item(1, creatives=(creative,))])
    answer = await market.ask_one(placements=(a_placement("native", shapes=(NATIVE,), native=terms),))

    assert answer.placements[0].ad is None
    assert answer.placements[0].no_ad_reason == Refusal.CREATIVE_FILTERED


async def test_a_native_ad_shows_the_price_of_its_product_where_one_is_required() -> None:
    creative = a_creative(1, format=4, width=600, height=400)
    terms = NativeTerms(
        ((1, "title", 0, True, 25, 0, 0), (6, "data", 6, True, 0, 0, 0), (7, "data", 11, True, 0, 0, 0))
    )
    placement = a_placement("native", shapes=(NATIVE,), native=terms)
    items = [a_line_item(1, creatives=(creative,))]

    answer = await Market(items, product=lambda _: a_product(1)).ask_one(placements=(placement,))

    values = [asset["data"]["value"] for asset in json.loads(shown(answer))["assets"] if "data" in asset]
    assert values == ["EUR\u00a049.90", "brand-1.example"]
    assert (await Market(items).ask_one(placements=(placement,))).placements[0].ad is None


async def test_a_product_listing_fills_the_native_assets_that_a_placement_asks_for() -> None:
    creative = a_creative(1, format=2, width=0, height=0)
    assets = ((1, "title", 0, True, 25, 0, 0), (2, "data", 13, True, 0, 0, 0), (3, "data", 6, True, 0, 0, 0))
    placement = a_placement("pla", shapes=(NATIVE, LISTING), native=NativeTerms(assets))
    known = Market([a_line_item(1, creatives=(creative,))], product=lambda _: a_product(1))
    unknown = Market([a_line_item(1, creatives=(creative,))])

    answer = await known.ask_one(placements=(placement,))
    read = json.loads(shown(answer))
    assert [asset["id"] for asset in read["assets"]] == [1, 2, 3]
    assert read["assets"][1]["data"] == {"type": 13, "len": 9, "value": "product-1"}
    assert (await unknown.ask_one(placements=(placement,))).placements[0].no_ad_reason == Refusal.CREATIVE_FILTERED


def test_a_snapshot_keeps_the_ads_of_line_items_that_did_not_change() -> None:
    market = Market([a_line_item(1), a_line_item(2)])
    before = market.snapshot.ads
    after = market.load([a_line_item(2, creatives=(a_creative(2, title="Another"),))]).ads

    assert after[0] is before[0]
    assert after[1].creative is not None
    assert after[1].creative.title == "Another"
    market.compiler.remove(["item-1"])
    assert [ad.line_item_id for ad in market.load([]).ads] == ["item-2"]


async def test_an_ad_says_of_which_type_its_markup_is() -> None:
    items = [
        a_line_item(1),
        a_line_item(2, creatives=(a_creative(2, format=2, width=0, height=0),)),
        a_video(3, 15),
        a_line_item(4, creatives=(a_creative(4, format=4, width=0, height=0),)),
    ]
    shapes = ((1, 300, 250), LISTING, VIDEO, NATIVE)
    placements = tuple(a_placement(str(at), shapes=(shape,)) for at, shape in enumerate(shapes))
    answer = await Market(items).ask_one(placements=placements)

    assert [entry.ad and entry.ad.facts.mtype for entry in answer.placements] == [1, 4, 2, 4]


def a_video(number: int, duration_s: int, **changes: Any) -> LineItemRecord:
    creative = a_creative(
        number, format=3, width=640, height=360, video_url=f"https://shop.example/{number}.mp4",
        duration_s=duration_s, mime="video/mp4", protocol=13,
    )  # fmt: skip
    return a_line_item(number, creatives=(creative,), **changes)


def a_break(**terms: Any) -> tuple[Placement, ...]:
    placement = a_placement("break", shapes=(VIDEO,), floor_micros=0, video=VideoTerms(**terms))
    return slots_of(placement)


async def test_a_break_is_full_and_never_too_long() -> None:
    lengths = {1: 30, 2: 30, 3: 20, 4: 10, 5: 15}
    items = [a_video(number, length, bid_micros=1_000_000 * number) for number, length in lengths.items()]
    answer = await Market(items).ask_one(placements=a_break(pod_ads=3, pod_duration_s=45))

    (pod,) = answer.pods
    assert pod.duration_s == 45
    ads = fromstring(pod.markup.encode())
    assert [ad.attrib["sequence"] for ad in ads] == ["1", "2", "3"]
    assert {ad.attrib["id"] for ad in ads} == {entry.ad.impression_id for entry in answer.placements if entry.ad}
    assert sorted(entry.ad.line_item_id for entry in answer.placements if entry.ad) == ["item-3", "item-4", "item-5"]


async def test_an_advertiser_and_a_product_are_in_a_break_once() -> None:
    same_brand = [a_video(number, 10, advertiser_domain="brand.example") for number in (1, 2, 3)]
    answer = await Market(same_brand).ask_one(placements=a_break(pod_ads=3, pod_duration_s=60))
    assert sum(entry.ad is not None for entry in answer.placements) == 1
    assert answer.pods[0].duration_s == 10


async def test_a_long_video_costs_more() -> None:
    items = [a_video(1, 30, bid_micros=2_000_000), a_video(2, 10, bid_micros=1_000_000)]
    placement = a_placement(
        "roll", shapes=(VIDEO,), floor_micros=0, video=VideoTerms(least_cpm_per_second_micros=100_000)
    )
    answer = await Market(items).ask_one(placements=(placement,))

    assert answer.placements[0].ad is not None
    assert answer.placements[0].ad.line_item_id == "item-2"
    assert answer.pods == ()


async def test_a_break_without_ads_is_a_document_without_ads() -> None:
    answer = await Market([a_video(1, 90)]).ask_one(placements=a_break(pod_ads=2, pod_duration_s=30))

    assert answer.placements[0].no_ad_reason == Refusal.CREATIVE_FILTERED
    assert len(fromstring(answer.pods[0].markup.encode())) == 0
    assert (answer.pods[0].placement_ids, answer.pods[0].duration_s) == ((), 0)


def shown(answer: Any) -> str:
    assert answer.placements[0].ad is not None
    return str(answer.placements[0].ad.markup)


def impression(answer: Any) -> str:
    assert answer.placements[0].ad is not None
    return str(answer.placements[0].ad.impression_id)


def test_a_native_ad_is_found_without_a_size() -> None:
    assert shape_of(4, 600, 400) == (4, 0, 0)
    assert shape_of(3, 640, 360) == (3, 640, 360)


@pytest.mark.parametrize(
    ("format_", "mtype", "fit"), [(1, 0, True), (1, 1, True), (1, 2, False), (3, 2, False), (2, 4, True), (9, 0, False)]
)
def test_a_bid_is_of_one_offered_type(format_: int, mtype: int, fit: bool) -> None:
    assert of_offered_type(format_, mtype, frozenset({1, 2})) is fit


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [
        (49_900_000, "EUR", "49.90"),
        (5_000, "EUR", "0.01"),
        (4_999, "EUR", "0.00"),
        (999_999_999, "EUR", "1000.00"),
        (1_234_567_890, "KWD", "1234.568"),
        (1_500_000, "JPY", "2"),
        (1_499_999, "JPY", "1"),
    ],
)
def test_a_price_is_written_in_the_digits_of_its_currency(micros: int, currency: str, text: str) -> None:
    assert amount(micros, currency) == text
    assert price_text(micros, currency) == f"{currency}\u00a0{text}"


def test_addresses_stand_in_html_with_their_ampersands_escaped() -> None:
    class Signed(PlainUrls):
        def event(self, name: str) -> tuple[str, str]:
            return f"https://ads.example/{name}?a=1&b=2&t=", ""

    macros = " ".join(event_macro(event) for event in EVENTS)
    urls = Signed("")
    form = template(f"{macros} ${{HAAT_ERROR_URL}} ${{NOT_OURS}}", ampersand=True).form(urls, "https://a.example/")
    filled = form.fill("1", urls)

    assert filled.count("?a=1&amp;b=2&amp;t=1") == len(EVENTS) + 1
    assert filled.endswith("https://ads.example/error?a=1&amp;b=2&amp;t=1&amp;code=[ERRORCODE] ${NOT_OURS}")
    assert template(macros, ampersand=False).text == macros


async def test_a_page_view_without_terms_is_left_alone() -> None:
    answer = await Market([a_line_item(1)]).ask(a_page_view())

    assert answer[0].pods == ()


def test_films_of_an_answer_that_another_process_gave_are_served_too() -> None:
    films: dict[str, str] = {}
    composer = Composer(urls=PlainUrls(PUBLIC_URL), product=lambda _: None, keep_video=films.__setitem__)
    item = a_video(1, 15)
    ad = Ad("a.0", ad_facts(item, item.creatives[0]), "<VAST/>", 1, "own")
    banner = a_line_item(2)
    other = Ad("a.1", ad_facts(banner, banner.creatives[0]), "<b/>", 1, "own")
    placements = (PlacementAnswer("break/1", ad), PlacementAnswer("top", other), PlacementAnswer("foot", None, 100))

    composer.adopt(Answer("a", "r", placements, pods=(Pod("p", ("break/1",), 15, "<VAST>all</VAST>"),)))

    assert films == {"a.0": "<VAST/>", "a.pod0": "<VAST>all</VAST>"}
