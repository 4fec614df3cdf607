"""A campaign is made, its ads win auctions, are seen and clicked, and the money is there after any kind of end."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.demo_keys import DemoKeys, Keyed, make_keys
from app.explain import explain_auction
from app.settings import load
from client.campaigns import CampaignClient
from client.catalogue import CatalogueClient
from client.errors import AuctionRefused, CallFailed, CallRefused
from client.exchange import ExchangeClient
from client.feed import FeedClient
from common.money import MICROS
from exchange.refusals import Refusal
from exchange.replay import SAME
from protos import campaigns_pb2 as campaigns
from protos import catalogue_pb2 as catalogue
from protos import common_pb2 as common
from protos import exchange_pb2 as exchange
from protos import feed_pb2 as feed
from protos.unread_pb2 import PageViewerBatch
from tests.scenarios.conftest import Serve, Served

pytestmark = pytest.mark.slow

AGREED = common.Consent(granted=[common.PURPOSE_REMEMBER, common.PURPOSE_PERSONALISED_ADS])


def a_page_view(number: int = 0, *, visitor: str = "") -> exchange.PageView:
    return exchange.PageView(
        request_id=f"request-{number}",
        session_id=f"session-{number}",
        visitor=common.Visitor(visitor_id=visitor),
        consent=AGREED,
        page=common.Page(url="https://shop.example/", categories=["fashion"]),
        device=common.Device(country="DE"),
        placements=[
            exchange.Placement(
                placement_id="top",
                formats=[exchange.FORMAT_BANNER],
                sizes=[exchange.Size(width=300, height=250)],
                floor_micros=500_000,
                position=1,
            )
        ],
        tmax_ms=1000,
    )


async def run_campaign(
    target: str,
    keys: DemoKeys,
    brand: Keyed,
    *,
    bid_micros: int = 2 * MICROS,
    budget_micros: int = 100 * MICROS,
    cap: int = 0,
    pricing: exchange.PricingModel.ValueType = exchange.PRICING_MODEL_CPM,
) -> campaigns.LineItem:
    """An advertiser with one approved banner and one line item."""
    async with (
        CampaignClient(target, brand.key, brand.tenant_id) as mine,
        CampaignClient(target, keys.operator.key, brand.tenant_id) as operator,
    ):
        name = brand.tenant_id[-6:]
        advertiser = await mine.create_advertiser(campaigns.Advertiser(name=name, domain=f"b{name}.example"))
        campaign = await mine.create_campaign(
            campaigns.Campaign(
                advertiser_id=advertiser.advertiser_id,
                name="Autumn",
                currency="EUR",
                budget=campaigns.Budget(total_micros=budget_micros),
            )
        )
        creative = await mine.create_creative(
            campaigns.Creative(
                advertiser_id=advertiser.advertiser_id,
                format=exchange.FORMAT_BANNER,
                width=300,
                height=250,
                title="A coat",
                image_url="https://b.example/coat.png",
                landing_url="https://b.example/coat",
                category="outerwear",
            )
        )
        await operator.review_creative(creative.creative_id, campaigns.REVIEW_STATE_APPROVED)
        line_item = campaigns.LineItem(
            campaign_id=campaign.campaign_id,
            name="Everywhere",
            strategy=campaigns.STRATEGY_BRAND_CAMPAIGN,
            pricing_model=pricing,
            bid_micros=bid_micros,
            creative_ids=[creative.creative_id],
        )
        if cap:
            line_item.frequency_cap.CopyFrom(campaigns.FrequencyCap(impressions=cap, window_s=3600))
        return await mine.create_line_item(line_item)


async def until_sold(shop: ExchangeClient, *, sold: bool = True, line_item_id: str = "", visitor: str = "") -> float:
    """Ask until an ad (or none) comes back; how many seconds that took, at most thirty."""
    started = time.monotonic()
    number = 1_000_000
    while time.monotonic() - started < 30:
        number += 1
        answer = await shop.hold_auction(a_page_view(number, visitor=visitor))
        place = answer.placements[0]
        if place.HasField("ad") == sold and (not line_item_id or place.ad.line_item_id == line_item_id):
            return time.monotonic() - started
        await asyncio.sleep(0.01)
    raise AssertionError(f"still {'nothing' if sold else 'something'} sold after thirty seconds: {answer}")


async def test_a_campaign_is_live_at_once_and_pays_what_the_log_says(serve: Serve, keys: DemoKeys) -> None:
    with serve() as haat:
        brand = keys.brands[0]
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            CampaignClient(haat.target, brand.key, brand.tenant_id) as mine,
        ):
            item = await run_campaign(haat.target, keys, brand, bid_micros=2_345_678)
            await until_sold(shop)
            answers = [await shop.hold_auction(a_page_view(number)) for number in range(20)]
            ads = [answer.placements[0].ad for answer in answers]
            seen = [exchange.Notice(kind=exchange.Notice.KIND_IMPRESSION, impression_id=ad.impression_id) for ad in ads]
            outcomes = await shop.report_notices(seen)
            again = await shop.report_notices(seen)

            await mine.set_state(item.line_item_id, campaigns.STATE_PAUSED)
            await until_sold(shop, sold=False)
            await mine.set_state(item.line_item_id, campaigns.STATE_ACTIVE)
            await until_sold(shop)
            async with asyncio.timeout(10):
                while (statistics := await mine.get_statistics(item.line_item_id)).impressions < len(ads):
                    await asyncio.sleep(0.05)

        # Alone it pays the floor: 0.50 a thousand, half a cent for ten.
        assert {ad.price_micros for ad in ads} == {500_000}
        assert {outcome.verdict for outcome in outcomes} == {exchange.NoticeOutcome.VERDICT_ACCEPTED}
        assert {outcome.verdict for outcome in again} == {exchange.NoticeOutcome.VERDICT_DUPLICATE}
        assert sum(outcome.billed_micros for outcome in outcomes) == 20 * 500
        assert sum(outcome.billed_micros for outcome in again) == 0
        assert (statistics.impressions, statistics.spend_micros) == (20, 20 * 500)
        assert haat.stop() == 0

        story = explain_auction(load({"data_dir": str(haat.data_dir)}, environment={}), answers[0].auction_id)
        assert story["replay"] == SAME
        assert story["placements"][0]["sold"] == "yes"
        assert story["placements"][0]["bids"][0]["line_item"] == "Everywhere"
        assert story["features"].endswith("comes out as recorded for all 1 finalists")
        assert story["placements"][0]["bids"][0]["features"]["position"] == 1.0
        assert [notice["verdict"] for notice in story["notices"]] == ["accepted"]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
async def test_a_restart_keeps_campaigns_budgets_posts_and_bills_once(
    serve: Serve, keys: DemoKeys, end: signal.Signals
) -> None:
    brand = keys.brands[0]
    with serve() as haat:
        # Money for a hundred impressions at the floor, and not for one more.
        await run_campaign(haat.target, keys, brand, budget_micros=100 * 500)
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            FeedClient(haat.target, keys.shop.key, keys.shop.tenant_id) as social,
        ):
            await until_sold(shop)
            post = await social.create_post(
                feed.Post(creator_id="ann", caption="Look at this coat", image_urls=["https://b.example/1.png"])
            )
            ads = [(await shop.hold_auction(a_page_view(number))).placements[0].ad for number in range(60)]
            told = ads[:40]
            before = await shop.report_notices([_seen(ad) for ad in told])
        haat.stop(end)

    with serve() as haat:
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            FeedClient(haat.target, keys.shop.key, keys.shop.tenant_id) as social,
        ):
            again = await shop.report_notices([_seen(ad) for ad in ads])
            kept = await social.get_post(post.post_id)
            sold = 0
            for number in range(200):
                answer = await shop.hold_auction(a_page_view(10_000 + number))
                if answer.placements[0].HasField("ad"):
                    sold += 1
                    await shop.report_notices([_seen(answer.placements[0].ad)])
                else:
                    assert answer.placements[0].no_ad_reason == Refusal.BUDGET_EXHAUSTED

    accepted, duplicate = exchange.NoticeOutcome.VERDICT_ACCEPTED, exchange.NoticeOutcome.VERDICT_DUPLICATE
    assert {outcome.verdict for outcome in before} == {accepted}
    assert [outcome.verdict for outcome in again] == [duplicate] * 40 + [accepted] * 20
    assert kept.caption == "Look at this coat"
    # 60 were billed, one is still held by the first ad that until_sold saw, and the budget was for 100.
    assert sold <= 40
    billed = (sum(outcome.billed_micros > 0 for outcome in (*before, *again)) + sold) * 500
    assert billed <= 100 * 500
    # A reservation is made by the bid, four times the price here, so the last three impressions' worth stays unsold.
    assert sold >= 35


@pytest.mark.parametrize(
    ("pricing", "kind"),
    [
        (exchange.PRICING_MODEL_VCPM, exchange.Notice.KIND_VIEWABLE),
        (exchange.PRICING_MODEL_CPA, exchange.Notice.KIND_CONVERSION),
    ],
    ids=["viewable", "order"],
)
async def test_what_was_said_before_a_kill_is_not_billed_again(
    serve: Serve,
    keys: DemoKeys,
    pricing: exchange.PricingModel.ValueType,
    kind: exchange.Notice.Kind.ValueType,
) -> None:
    def said(ad: exchange.Ad, order_id: str = "") -> exchange.Notice:
        return exchange.Notice(kind=kind, impression_id=ad.impression_id, order_id=order_id)

    order = "order-1" if kind == exchange.Notice.KIND_CONVERSION else ""
    bid_micros = 8 * MICROS if pricing == exchange.PRICING_MODEL_VCPM else 60 * MICROS
    with serve() as haat:
        await run_campaign(haat.target, keys, keys.brands[0], bid_micros=bid_micros, pricing=pricing)
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            await until_sold(shop)
            ads = [(await shop.hold_auction(a_page_view(number))).placements[0].ad for number in range(3)]
            impression, first = await shop.report_notices([_seen(ads[0]), said(ads[0], order)])
            await shop.report_notices([_seen(ads[1])])
        haat.stop(signal.SIGKILL)
    with serve() as haat:
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            again, second, third = await shop.report_notices([said(ad, order) for ad in ads])

    accepted, duplicate = exchange.NoticeOutcome.VERDICT_ACCEPTED, exchange.NoticeOutcome.VERDICT_DUPLICATE
    assert (impression.billed_micros, first.verdict, again.verdict) == (0, accepted, duplicate)
    # Alone it pays the floor: half a micro an impression, as what is expected of it.
    price = ads[0].price_micros
    billed = price if order else price // 1000
    assert first.billed_micros == billed > 0 == again.billed_micros
    assert (second.verdict, third.verdict) == (accepted, accepted)
    assert {second.billed_micros, third.billed_micros} <= {billed, billed + 1}


def _seen(ad: exchange.Ad) -> exchange.Notice:
    return exchange.Notice(kind=exchange.Notice.KIND_IMPRESSION, impression_id=ad.impression_id)


async def test_a_frequency_cap_counts_impressions_of_visitors_who_agreed(serve: Serve, keys: DemoKeys) -> None:
    with serve() as haat:
        await run_campaign(haat.target, keys, keys.brands[0], cap=2)
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            await until_sold(shop)
            places = []
            for number in range(4):
                answer = await shop.hold_auction(a_page_view(number, visitor="ann"))
                places.append(answer.placements[0])
                if places[-1].HasField("ad"):
                    await shop.report_notices([_seen(places[-1].ad)])

        assert [place.HasField("ad") for place in places] == [True, True, False, False]
        assert places[2].no_ad_reason == Refusal.FREQUENCY_CAPPED


async def test_a_higher_bid_and_an_empty_shelf_are_seen_by_the_next_auction(serve: Serve, keys: DemoKeys) -> None:
    first, second = keys.brands
    with serve() as haat:
        one = await run_campaign(haat.target, keys, first, bid_micros=2 * MICROS)
        two = await run_campaign(haat.target, keys, second, bid_micros=MICROS)
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            CampaignClient(haat.target, second.key, second.tenant_id) as theirs,
        ):
            await until_sold(shop, line_item_id=one.line_item_id)
            await theirs.change_bid(two.line_item_id, 3 * MICROS)
            await until_sold(shop, line_item_id=two.line_item_id)
            answer = await shop.hold_auction(a_page_view())

        assert answer.placements[0].ad.price_micros == 2_010_000


async def test_tenants_are_apart_and_keys_are_needed(serve: Serve, keys: DemoKeys, data_dir: Path) -> None:
    first, second = keys.brands
    neighbour = make_keys(data_dir, [], shop_id=second.tenant_id).shop
    with serve() as haat:
        item = await run_campaign(haat.target, keys, first)
        async with (
            ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
            ExchangeClient(haat.target, neighbour.key, timeout_ms=5000) as other_shop,
        ):
            await until_sold(shop)
            ad = (await shop.hold_auction(a_page_view())).placements[0].ad
            (strangers,) = await other_shop.report_notices([_seen(ad)])
            (own,) = await shop.report_notices([_seen(ad)])
        async with CampaignClient(haat.target, second.key, second.tenant_id) as theirs:
            with pytest.raises(CallRefused) as foreign:
                await theirs.get_line_item(item.line_item_id)
        async with ExchangeClient(haat.target, "haat_nobody", timeout_ms=2000) as nobody:
            with pytest.raises(CallFailed) as unknown:
                await nobody.hold_auction(a_page_view())
        async with ExchangeClient(haat.target, first.key, timeout_ms=2000) as advertiser:
            with pytest.raises(CallFailed) as wrong_role:
                await advertiser.hold_auctions([a_page_view()])

    assert strangers.verdict == exchange.NoticeOutcome.VERDICT_UNKNOWN
    assert own.verdict == exchange.NoticeOutcome.VERDICT_ACCEPTED
    assert foreign.value.code is grpc.StatusCode.NOT_FOUND
    assert unknown.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert wrong_role.value.code is grpc.StatusCode.PERMISSION_DENIED


async def test_bad_input_names_every_field_and_costs_the_others_nothing(serve: Serve, keys: DemoKeys) -> None:
    bad = a_page_view(1)
    bad.currency = "XAU"
    bad.placements[0].floor_micros = -5
    bad.placements.add(placement_id="top", formats=[exchange.FORMAT_VIDEO])
    bad.placements.add(placement_id="bare")
    with serve() as haat:
        await run_campaign(haat.target, keys, keys.brands[0])
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            await until_sold(shop)
            results = await shop.hold_auctions([a_page_view(0), bad, a_page_view(2)])
            with pytest.raises(AuctionRefused) as refused:
                await shop.hold_auction(bad)
            after = await shop.hold_auction(a_page_view(3))
        garbage = await _raw(haat, keys, b"\xff\xff\xff\xff")
        oversized = await _raw(
            haat, keys, a_page_view().SerializeToString() + b"\x0a\x80\x80\x80\x02" + b"x" * (4 << 20)
        )

    assert [isinstance(result, AuctionRefused) for result in results] == [False, True, False]
    fields = {error.field for error in refused.value.errors}
    assert fields == {
        "currency",
        "placements[0].floor_micros",
        "placements[1].sizes",
        "placements[1].placement_id",
        "placements[2].formats",
    }
    assert after.placements[0].HasField("ad")
    assert garbage is grpc.StatusCode.INVALID_ARGUMENT
    assert oversized is grpc.StatusCode.INVALID_ARGUMENT


async def _raw(haat: Served, keys: DemoKeys, data: bytes) -> grpc.StatusCode:
    async with grpc.aio.insecure_channel(haat.target, options=(("grpc.max_send_message_length", -1),)) as channel:
        call: Any = channel.unary_unary("/haat.exchange.v1.AuctionService/HoldAuction")
        try:
            await call(data, metadata=(("x-api-key", keys.shop.key),), timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


async def test_the_stream_goes_on_after_garbage(serve: Serve, keys: DemoKeys) -> None:
    good = exchange.PageViewBatch(batch_id=7, page_views=[a_page_view(1)]).SerializeToString()
    # One page view is no message, and its neighbours are.
    mixed = PageViewerBatch(
        batch_id=9, page_views=[a_page_view(2).SerializeToString(), b"\xff\xff", a_page_view(3).SerializeToString()]
    ).SerializeToString()
    with serve() as haat:
        async with grpc.aio.insecure_channel(haat.target) as channel:
            call: Any = channel.stream_stream("/haat.exchange.v1.AuctionService/StreamAuctions")(
                metadata=(("x-api-key", keys.shop.key),), timeout=20
            )
            await call.write(b"\x08\x05\xff\xff\xff")
            first = exchange.AnswerBatch.FromString(await call.read())
            await call.write(good)
            second = exchange.AnswerBatch.FromString(await call.read())
            await call.write(mixed)
            third = exchange.AnswerBatch.FromString(await call.read())
            await call.done_writing()

    assert (first.batch_id, first.error.code) == (5, grpc.StatusCode.INVALID_ARGUMENT.value[0])
    assert (second.batch_id, len(second.results)) == (7, 1)
    assert [result.HasField("answer") for result in third.results] == [True, False, True]
    assert third.results[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_a_dead_outside_bidder_costs_nobody_an_answer(serve: Serve, keys: DemoKeys) -> None:
    with serve(outside_bidder="ghost=127.0.0.1:9,EUR,30ms") as haat:
        await run_campaign(haat.target, keys, keys.brands[0])
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            await until_sold(shop)
        with urllib.request.urlopen(f"http://{haat.http}/metrics", timeout=5) as page:
            metrics = page.read().decode()

    assert 'haat_bidder_requests_total{bidder="ghost",result="failed"}' in metrics


async def test_a_broken_model_is_said_and_the_exchange_serves_on(serve: Serve, keys: DemoKeys, tmp_path: Path) -> None:
    broken = tmp_path / "models" / "click"
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text("{not json")
    with serve(models_dir=str(tmp_path / "models")) as haat:
        await run_campaign(haat.target, keys, keys.brands[0])
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            await until_sold(shop)
        with urllib.request.urlopen(f"http://{haat.http}/status", timeout=5) as page:
            status = json.load(page)

    assert status["ranker"] == "prior"
    assert "manifest.json" in status["why_this_ranker"]


def test_a_port_in_use_is_refused_by_its_name(serve: Serve, keys: DemoKeys, tmp_path: Path) -> None:
    with serve() as haat:
        port = haat.target.rsplit(":", 1)[1]
        second = subprocess.run(
            [sys.executable, "-m", "app", "serve", "--data-dir", str(tmp_path / "other"), "--grpc-port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert second.returncode == 3
    assert f"port {port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_second_server_on_the_same_folder_is_refused(serve: Serve, keys: DemoKeys, data_dir: Path) -> None:
    with serve():
        second = subprocess.run(
            [sys.executable, "-m", "app", "serve", "--data-dir", str(data_dir), "--grpc-port", "0", "--http-port", "0"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert second.returncode == 3
    assert "Traceback" not in second.stderr


async def test_calls_under_way_are_answered_when_it_stops(serve: Serve, keys: DemoKeys) -> None:
    with serve() as haat:
        await run_campaign(haat.target, keys, keys.brands[0])
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=10_000) as shop:
            await until_sold(shop)
            asked = [asyncio.create_task(shop.hold_auction(a_page_view(number))) for number in range(200)]
            await asked[0]
            haat.process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*asked, return_exceptions=True)
        code = await asyncio.to_thread(haat.process.wait, 30)

    answered = [answer for answer in answers if isinstance(answer, exchange.Answer)]
    assert code == 0
    assert len(answered) >= 1
    assert all(isinstance(answer, exchange.Answer | CallFailed) for answer in answers)


async def test_what_is_out_of_stock_is_gone_from_the_next_page(serve: Serve, keys: DemoKeys) -> None:
    coat = catalogue.Product(
        product_id="coat",
        name="Coat",
        brand="B",
        category="outerwear",
        price_micros=10 * MICROS,
        currency="EUR",
        image_url="https://b.example/c.png",
        landing_url="https://b.example/c",
        in_stock=True,
    )
    with serve() as haat:
        async with (
            CatalogueClient(haat.target, keys.shop.key, keys.shop.tenant_id) as products,
            FeedClient(haat.target, keys.shop.key, keys.shop.tenant_id) as social,
        ):
            await products.put_products([coat])
            post = await social.create_post(
                feed.Post(
                    creator_id="ann",
                    caption="My coat",
                    image_urls=["https://b.example/1.png"],
                    product_tags=[feed.ProductTag(product_id="coat")],
                )
            )
            request = feed.GetFeedRequest(tenant_id=keys.shop.tenant_id, session_id="s1", page_size=5)
            with_it = await social.get_feed(request)
            coat.in_stock = False
            await products.put_products([coat])
            request.session_id = "s2"
            without = await social.get_feed(request)

    assert [item.post.post_id for item in with_it.items] == [post.post_id]
    assert list(without.items) == []
