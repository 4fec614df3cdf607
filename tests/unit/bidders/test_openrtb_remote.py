"""An outside bidder over OpenRTB on a real connection: what it is told, what is read, and what its faults come to."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from bidders.openrtb_remote import OpenRtbRemote
from common.consent import Permission
from common.consent_signals import ConsentSignals
from exchange.eligibility import CODE_INDEX
from exchange.refusals import Refusal
from exchange.request import Deal, Format, VideoTerms
from tests.builders import BANNER, LISTING, Market, a_line_item, a_page_view, a_placement

Answer = Callable[[web.Request, dict[str, Any]], Any]


def an_answer(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A bid at 9.00 for each impression."""
    bids = [
        {
            "id": "b1", "impid": imp["id"], "price": 9.0, "adm": "<b>hello</b>", "crid": "their-creative",
            "adomain": ["Outside.example"], "w": 300, "h": 250, **changes,
        }
        for imp in request["imp"]
    ]  # fmt: skip
    return {"id": request["id"], "cur": "EUR", "seatbid": [{"seat": "s1", "bid": bids}]}


class Service:
    """Answers as it is told; remembers what it was asked."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.connections: set[object] = set()
        self.gate: asyncio.Event | None = None
        self._answer = answer or (lambda _, request: web.json_response(an_answer(request)))

    async def bid(self, request: web.Request) -> Any:
        content = await request.json()
        self.asked.append(content)
        self.headers.append(request.headers)
        self.connections.add(request.transport)
        if self.gate is not None:
            await self.gate.wait()
        said = self._answer(request, content)
        return await said if asyncio.iscoroutine(said) else said


@contextlib.asynccontextmanager
async def bidder(
    service: Service, share: bool = True, currency: str = "EUR", seats: tuple[str, ...] = ()
) -> AsyncIterator[OpenRtbRemote]:
    app = web.Application()
    app.router.add_post("/bid", service.bid)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]

    def may_share_with(signals: ConsentSignals, vendor_id: int) -> bool:
        return share and vendor_id == 7

    remote = OpenRtbRemote(
        name="acme", target=f"http://127.0.0.1:{port}/bid", currency=currency, own_currency="EUR", timeout_ms=5_000,
        may_share_with=may_share_with, vendor_id=7, seats=seats,
    )  # fmt: skip
    try:
        yield remote
    finally:
        if service.gate is not None:
            service.gate.set()
        await remote.close()
        await runner.cleanup()


async def test_each_page_view_is_one_request_and_bids_come_back_with_their_places() -> None:
    service = Service()
    page = (a_placement("a"), a_placement("b", floor_micros=70_000))
    async with bidder(service) as remote:
        said = await remote.ask(["x", "y"], [a_page_view(placements=page)] * 2, 1_000)

    assert sorted(request["id"] for request in service.asked) == ["x", "y"]
    bids = said.bids
    assert said.troubles == [Refusal.WON] * 2
    assert [(bid.auction_id, bid.placement_id, bid.bid_micros) for bid in bids] == [
        ("x", "a", 9_000_000), ("x", "b", 9_000_000), ("y", "a", 9_000_000), ("y", "b", 9_000_000)
    ]  # fmt: skip
    assert (bids[0].seat, bids[0].advertiser_domain, bids[0].currency) == ("s1", "outside.example", "EUR")
    assert service.headers[0]["x-openrtb-version"] == "2.6"
    assert 0 < service.asked[0]["tmax"] <= 1_000
    assert [(imp["bidfloor"], imp["bidfloorcur"]) for imp in service.asked[0]["imp"]] == [(0.5, "EUR"), (0.07, "EUR")]


async def test_a_page_view_of_our_own_is_told_in_the_standards_words() -> None:
    service = Service()
    deal = Deal("d1", 2_000_000, 3, ("s1",), ("brand.example",), True)
    placement = a_placement(
        "top", shapes=(BANNER, (int(Format.VIDEO), 640, 360), LISTING),
        deals=(deal,), private_auction=True, blocked_categories=("toys",), blocked_attributes=(3,), secure=True,
        video=VideoTerms(mimes=("video/webm",), most_duration_s=30, skippable=0),
    )  # fmt: skip
    view = a_page_view(
        placements=(placement, a_placement("b", blocked_categories=("toys", "cars"))), categories=("garden",),
        keywords=("oak", "chair"), test=True, visitor_id="ann", permissions=int(Permission.SHARE),
    )  # fmt: skip
    async with bidder(service, currency="USD") as remote:
        await remote.ask(["x"], [view], 1_000)

    (asked,) = service.asked
    imp = asked["imp"][0]
    assert imp["banner"] == {"w": 300, "h": 250, "format": [{"w": 300, "h": 250}], "battr": [3]}
    assert imp["video"] == {
        "mimes": ["video/webm"], "w": 640, "h": 360, "maxduration": 30, "skip": 0, "battr": [3]
    }  # fmt: skip
    assert json.loads(imp["native"]["request"])["context"] == 3
    assert imp["ext"] == {"prodfeed": {}}
    assert imp["secure"] == 1
    assert imp["pmp"] == {
        "private_auction": 1,
        "deals": [
            {
                "id": "d1", "bidfloor": 2.0, "bidfloorcur": "EUR", "at": 3, "wseat": ["s1"],
                "wadomain": ["brand.example"], "guar": 1,
            }
        ],
    }  # fmt: skip
    assert asked["bcat"] == ["toys"]
    assert (asked["cur"], asked["at"], asked["test"]) == (["USD"], 2, 1)
    assert asked["site"] == {"page": "https://shop.example/", "cat": ["garden"], "keywords": "oak,chair"}
    assert asked["device"] == {"devicetype": 4, "language": "de", "geo": {"country": "DEU"}}
    assert asked["user"] == {"id": "ann"}


async def test_the_visitor_is_named_only_with_consent_to_share() -> None:
    service = Service()
    keeps = a_page_view(visitor_id="bob", permissions=int(Permission.REMEMBER | Permission.PERSONALISE_ADS))
    async with bidder(service) as remote:
        await remote.ask(["y"], [keeps], 1_000)

    assert "bob" not in json.dumps(service.asked)


@pytest.mark.parametrize("share", [True, False])
async def test_a_request_goes_on_as_it_came_with_ids_only_for_a_vendor_that_may_have_them(share: bool) -> None:
    service = Service()
    came = {
        "id": "theirs", "tmax": 900, "cur": ["USD"],
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "ext": {"a": 1}}],
        "user": {"id": "ann", "consent": "TC"}, "device": {"ifa": "ifa-1", "ip": "203.0.113.77"},
        "regs": {"gdpr": 1}, "site": {"page": "https://shop.example/"},
    }  # fmt: skip
    view = a_page_view(openrtb=json.dumps(came).encode())
    async with bidder(service, share) as remote:
        bids = (await remote.ask(["x"], [view], 500)).bids

    (asked,) = service.asked
    assert (asked["id"], asked["cur"], asked["imp"][0]["id"]) == ("x", ["EUR"], "top")
    assert asked["tmax"] <= 500
    assert asked["imp"][0]["ext"] == {"a": 1}
    assert asked["user"] == ({"id": "ann", "consent": "TC"} if share else {"consent": "TC"})
    assert asked["device"] == ({"ifa": "ifa-1", "ip": "203.0.113.77"} if share else {"ip": "203.0.113.0"})
    assert [bid.placement_id for bid in bids] == ["top"]


async def test_it_is_late_when_the_time_is_over() -> None:
    service = Service()
    service.gate = asyncio.Event()
    async with bidder(service) as remote:
        said = await remote.ask(["x"], [a_page_view()], 50)

    assert (said.bids, said.troubles) == ([], [Refusal.BIDDER_LATE])


async def _one_hangs_and_one_fails(_: web.Request, request: dict[str, Any]) -> web.Response:
    if request["device"]["geo"]["country"] == "IND":
        await asyncio.Event().wait()
    if request["device"]["geo"]["country"] == "FRA":
        return web.Response(status=500)
    return web.json_response(an_answer(request))


async def test_what_came_in_time_counts_and_each_other_page_view_says_why_it_has_no_answer() -> None:
    views = [a_page_view(country=country) for country in ("IN", "DE", "FR")]
    async with bidder(Service(_one_hangs_and_one_fails)) as remote:
        said = await remote.ask(["x", "y", "z"], views, 400)

    assert [bid.auction_id for bid in said.bids] == ["y"]
    assert said.troubles == [Refusal.BIDDER_LATE, Refusal.WON, Refusal.BIDDER_FAILED]


async def test_page_views_that_were_not_answered_are_recorded_and_each_request_counts_for_health() -> None:
    views = [a_page_view(country=country, tmax_ms=600) for country in ("IN", "DE", "FR", "IN")]
    async with bidder(Service()) as remote:
        # The first auction of all may be compiled while the bidder waits.
        await Market([a_line_item(1)], outside=[remote]).ask_one(tmax_ms=5_000)
    async with bidder(Service(_one_hangs_and_one_fails)) as remote:
        market = Market([a_line_item(1)], outside=[remote])
        answers = await market.ask(*views)

    won_by = [answer.placements[0].ad.bidder for answer in answers if answer.placements[0].ad is not None]
    assert won_by == ["brand_campaign", "acme", "brand_campaign", "brand_campaign"]
    assert market.tally.outcomes is not None
    late, failed = CODE_INDEX[Refusal.BIDDER_LATE], CODE_INDEX[Refusal.BIDDER_FAILED]
    assert (market.tally.outcomes[late], market.tally.outcomes[failed]) == (2, 1)
    record = market.published[0]
    told = zip(record.more_page_view.tolist(), record.more_outcome.tolist(), record.more_count.tolist(), strict=True)
    assert sorted(told) == [
        (0, Refusal.BIDDER_LATE, 1), (2, Refusal.BIDDER_FAILED, 1), (3, Refusal.BIDDER_LATE, 1)
    ]  # fmt: skip
    assert market.tally.bidders == [
        ("acme", 1, 1, Refusal.WON), ("acme", 2, 0, Refusal.BIDDER_LATE), ("acme", 1, 0, Refusal.BIDDER_FAILED)
    ]  # fmt: skip
    (callout,) = market.callouts
    assert callout.gate.health == pytest.approx(1 - (1 - (31 / 32) ** 4) * 3 / 4)
    assert not callout.gate.open


def _bomb(_: web.Request, request: dict[str, Any]) -> web.Response:
    body = gzip.compress(b" " * 50_000_000 + json.dumps(an_answer(request)).encode())
    return web.Response(body=body, headers={"content-encoding": "gzip"})


@pytest.mark.parametrize(
    "answer",
    [
        lambda *_: web.Response(status=500),
        lambda *_: web.Response(status=302, headers={"location": "http://127.0.0.1:9/"}),
        lambda *_: web.Response(body=b"{"),
        lambda *_: web.Response(body=b"[" * 200_000),
        lambda *_: web.Response(body=b'{"seatbid":[{"bid":[{"price":NaN}]}]}'),
        lambda *_: web.Response(body=b"[]"),
        lambda *_: web.Response(body=b" " * 5_000_000),
        _bomb,
        lambda *_: web.Response(body=b"no gzip", headers={"content-encoding": "gzip"}),
    ],
    ids=["500", "redirect", "cut", "deep", "NaN", "array", "large", "bomb", "packed"],
)
async def test_a_fault_is_a_failure_and_the_next_is_asked_again(answer: Answer) -> None:
    broken = True
    service = Service(lambda http, request: answer(http, request) if broken else web.json_response(an_answer(request)))
    async with bidder(service) as remote:
        said = await remote.ask(["x"], [a_page_view()], 5_000)
        assert (said.bids, said.troubles) == ([], [Refusal.BIDDER_FAILED])
        broken = False
        said = await remote.ask(["x"], [a_page_view()], 5_000)
        assert (len(said.bids), said.troubles) == (1, [Refusal.WON])


@pytest.mark.parametrize(
    "answer",
    [
        lambda *_: web.Response(status=204),
        lambda *_: web.Response(),
        lambda *_: web.json_response({}),
        lambda *_: web.json_response({"id": "x", "nbr": 2}),
        lambda *_: web.json_response({"id": "x", "seatbid": []}),
    ],
)
async def test_no_bid_has_many_forms(answer: Answer) -> None:
    async with bidder(Service(answer)) as remote:
        said = await remote.ask(["x"], [a_page_view()], 5_000)
    assert (said.bids, said.troubles) == ([], [Refusal.WON])


async def test_a_packed_answer_is_unpacked() -> None:
    def packed(_: web.Request, request: dict[str, Any]) -> web.Response:
        body = gzip.compress(json.dumps(an_answer(request)).encode())
        return web.Response(body=body, headers={"content-encoding": "gzip"})

    async with bidder(Service(packed)) as remote:
        assert len((await remote.ask(["x"], [a_page_view()], 5_000)).bids) == 1


@pytest.mark.slow
async def test_connections_are_few_and_kept() -> None:
    service = Service()
    async with bidder(service) as remote:
        ids = [f"a{n}" for n in range(300)]
        assert len((await remote.ask(ids, [a_page_view()] * 300, 10_000)).bids) == 300
        assert len((await remote.ask(ids, [a_page_view()] * 300, 10_000)).bids) == 300
    assert len(service.connections) <= 64


async def test_nobody_there_is_a_failure() -> None:
    remote = OpenRtbRemote(
        name="ghost", target="http://127.0.0.1:9/bid", currency="EUR", own_currency="EUR", timeout_ms=5_000,
        may_share_with=lambda *_: True,
    )  # fmt: skip
    said = await remote.ask(["x"], [a_page_view()], 5_000)
    await remote.close()

    assert (said.bids, said.troubles) == ([], [Refusal.BIDDER_FAILED])


async def test_its_bid_wins_a_whole_auction() -> None:
    async with bidder(Service()) as remote:
        market = Market([a_line_item(1)], outside=[remote])
        # The first auction of all may be compiled while the bidder waits.
        await market.ask_one(tmax_ms=5_000)
        answer = await market.ask_one(tmax_ms=5_000)

    ad = answer.placements[0].ad
    assert ad is not None
    assert (ad.bidder, ad.advertiser_domain, ad.price_micros) == ("acme", "outside.example", 2_010_000)


@pytest.mark.parametrize(
    ("changes", "wseat"),
    [
        ({}, ["s1", "s2"]),
        ({"allowed_seats": ("s2", "s9")}, ["s2"]),
        ({"blocked_seats": ("s2", "s9")}, ["s1"]),
    ],
)
async def test_a_bidder_with_seats_is_asked_for_those_that_may_buy_and_never_with_two_lists(
    changes: dict[str, Any], wseat: list[str]
) -> None:
    service = Service()
    passed = json.dumps({"id": "r", "imp": [{"id": "1"}], "site": {}, "bseat": ["s2"]}).encode()
    views = [a_page_view(**changes), a_page_view(openrtb=passed, **changes)]
    async with bidder(service, seats=("s1", "s2")) as remote:
        await remote.ask(["x", "y"], views, 1_000)

    assert [(asked["wseat"], "bseat" in asked) for asked in service.asked] == [(wseat, False)] * 2


@pytest.mark.parametrize("share", [True, False])
async def test_a_bidder_hears_its_own_id_of_the_visitor_where_it_may_have_it(share: bool) -> None:
    service = Service()
    came = {"id": "r", "imp": [{"id": "1"}], "site": {}, "user": {"id": "ann"}, "regs": {"gdpr": 1}}
    view = a_page_view(buyer_ids=(("other", "o-7"), ("acme", "a-7")), openrtb=json.dumps(came).encode())
    nameless = replace(view, openrtb=json.dumps({"id": "r", "imp": [{"id": "1"}], "site": {}}).encode())
    async with bidder(service, share) as remote:
        await remote.ask(["x", "y"], [view, nameless], 1_000)

    users = [asked.get("user") for asked in service.asked]
    assert users == ([{"id": "ann", "buyeruid": "a-7"}, {"buyeruid": "a-7"}] if share else [None, None])
    assert "o-7" not in json.dumps(service.asked)


async def test_a_floor_that_the_exchange_raised_is_what_a_bidder_is_told() -> None:
    service = Service()
    ranges = [{"mindur": 1, "maxdur": 15, "bidfloor": 0.2}, {"mindur": 16, "maxdur": 60, "bidfloor": 4.0}]
    film = {"mimes": ["video/mp4"], "w": 640, "h": 360, "durfloors": ranges}
    came = {
        "id": "theirs", "site": {}, "regs": {"gdpr": 0},
        "imp": [
            {"id": "1", "bidfloor": 0.1, "bidfloorcur": "USD", "banner": {"w": 300, "h": 250}},
            {"id": "2", "bidfloor": 0.1, "bidfloorcur": "USD", "video": film},
            {"id": "3", "bidfloor": 0.1, "bidfloorcur": "USD", "banner": {"w": 300, "h": 250}},
        ],
    }  # fmt: skip
    terms = VideoTerms(mimes=("video/mp4",), floor_ranges=((1, 15, 180_000), (16, 60, 3_600_000)))
    page = (
        a_placement("a", floor_micros=750_000, floor_raised=True),
        a_placement("b", shapes=((3, 640, 360),), floor_micros=750_000, floor_raised=True, video=terms),
        a_placement("c", floor_micros=90_000),
    )
    async with bidder(service) as remote:
        await remote.ask(["x"], [a_page_view(placements=page, openrtb=json.dumps(came).encode())], 1_000)

    first, second, third = service.asked[0]["imp"]
    assert (first["bidfloor"], first["bidfloorcur"]) == (second["bidfloor"], second["bidfloorcur"]) == (0.75, "EUR")
    assert second["video"]["durfloors"] == [
        {"mindur": 1, "maxdur": 15, "bidfloor": 0.75}, {"mindur": 16, "maxdur": 60, "bidfloor": 3.6}
    ]  # fmt: skip
    assert (third["bidfloor"], third["bidfloorcur"]) == (0.1, "USD")
