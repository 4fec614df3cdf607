from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from backends.budget_ledger_sql import SqlBudgetLedger
from common.clock import SteppedClock
from common.errors import BackendUnavailable
from exchange.billing import Notice, NoticeOutcome
from exchange.budgets import BudgetBook
from exchange.conversion_endpoints import ConversionEndpoints, sign, sign_pixel
from exchange.creatives.templates import EventUrls
from exchange.event_endpoints import PIXEL, EventEndpoints
from exchange.event_urls import SignedUrls
from exchange.holds import Holds, Terms
from exchange.invalid_traffic import Agents, Limits
from exchange.networks import Networks
from exchange.notices import Notices
from exchange.ports import CAMPAIGN_ACCOUNTS
from exchange.postback_answers import Answered, RememberedAnswers
from exchange.request import PricingModel
from exchange.tokens import SigningKey, TokenKind, Tokens, tenant_bytes
from streams.schemas import NoticesTaken, NoticeTaken
from tests.databases import open_database
from tests.won_batches import Sold, a_batch, campaign_of, reserve


class Kept:
    """An AnswerStore in memory."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Answered] = {}

    def find(self, tenant_id: str, key: str, from_ms: int) -> Answered | None:
        row = self.rows.get((tenant_id, key))
        return row if row is not None and row.at_ms >= from_ms else None

    def keep(self, tenant_id: str, key: str, answered: Answered) -> None:
        self.rows[tenant_id, key] = answered


BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TERMS = Terms(unseen_ms=10_000, seen_ms=60_000, clicked_ms=600_000)
TENANT = "0" * 31 + "a"
SECRET = "s" * 64
CPM, CPC = Sold(3, 2_500), Sold(1, 400_000, PricingModel.CPC)
CPA = Sold(2, 3_000_000, PricingModel.CPA)


class Desk:
    """Both kinds of endpoints over real notices, without a server."""

    def __init__(self, folder: Path, parameter: str = "") -> None:
        self.engine = open_database(folder)
        self.clock = SteppedClock()
        self.book = BudgetBook(SqlBudgetLedger(self.engine), "a", self.clock)
        self.holds = Holds(TERMS)
        self.log: list[NoticesTaken] = []
        self.fails = False
        self.notices = Notices(
            holds=self.holds, book=self.book, clock=self.clock, record=self.log.append, sync=lambda: None,
            remember=lambda *_: None, carried={},
        )  # fmt: skip
        self.tokens = Tokens(lambda: (SigningKey(1, b"k" * 32),))
        self.events = EventEndpoints(
            tokens=self.tokens, holds=self.holds, take=self.take, clock=self.clock, tenant_of=self.tenant_of,
            agents=Agents(), data_centres=Networks(["203.0.113.0/24"]), proxies=Networks(["127.0.0.0/8"]),
            limits=Limits(network_per_minute=50), click_id_parameter=parameter,
        )  # fmt: skip
        conversions = ConversionEndpoints(
            tokens=self.tokens, take=self.take, clock=self.clock, answers=RememberedAnswers(Kept()),
            secrets=lambda tenant: [SECRET] if tenant == tenant_bytes(TENANT) else ["other"],
        )  # fmt: skip
        self.client = TestClient(
            Starlette(routes=[*self.events.routes(), *conversions.routes()]),
            base_url="http://haat",
            headers={"user-agent": BROWSER},
            follow_redirects=False,
            client=("127.0.0.1", 1),
        )

    async def take(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        if self.fails:
            raise BackendUnavailable("the disk is full")
        return await self.notices.take(notices)

    async def tenant_of(self, line_item_number: int) -> str:
        return TENANT

    def sell(self, *sold: Sold) -> list[str]:
        for entry in sold:
            for account in (entry.line_item, CAMPAIGN_ACCOUNTS + campaign_of(entry.line_item)):
                self.book.row_of(account)
        asyncio.run(self.book.top_up())
        assert all(reserve(self.book, entry) for entry in sold)
        batch, ids = a_batch(self.book, self.clock.now_ms(), sold)
        self.holds.add(batch)
        return ids

    def urls(self, impression_id: str) -> EventUrls:
        return EventUrls(SignedUrls(self.tokens, "", TERMS), impression_id)

    def taken(self) -> list[NoticeTaken]:
        return [notice for event in self.log for notice in event.notices]

    def said(self) -> list[tuple[str, int, int]]:
        return [(notice.impression_id, notice.kind, notice.validity) for notice in self.taken()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with made.client:
        yield made
    made.engine.dispose()


def test_a_pixel_is_billed_once_and_leaves_nothing_in_the_browser(desk: Desk) -> None:
    (ad,) = desk.sell(CPM)
    url = desk.urls(ad).event("impression")

    first, second = desk.client.get(url), desk.client.post(url)

    assert first.content == second.content == PIXEL
    assert first.headers["content-type"] == "image/gif"
    assert first.headers["cache-control"].startswith("no-store")
    assert first.headers["access-control-allow-origin"] == "*"
    assert "set-cookie" not in first.headers
    assert [notice.billed_micros for notice in desk.taken()] == [2]
    assert desk.events.heard == {"accepted": 1, "duplicate": 1}


async def test_browser_and_server_bill_an_ad_once_between_them(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (ad,) = await asyncio.to_thread(desk.sell, CPM)
    with desk.client:
        await asyncio.to_thread(desk.client.get, desk.urls(ad).event("impression"))
    await desk.notices.take([Notice(1, ad)])

    assert [notice.billed_micros for notice in desk.taken()] == [2]
    desk.engine.dispose()


def test_viewable_and_video_are_counted_once_and_cost_nothing(desk: Desk) -> None:
    (ad,) = desk.sell(CPM)
    urls = desk.urls(ad)
    names = ("impression", "viewable", "viewable", "start", "firstQuartile", "midpoint", "thirdQuartile", "complete")

    statuses = [desk.client.get(urls.event(name)).status_code for name in (*names, "loaded", "skip", "error")]

    assert set(statuses) == {200}
    assert desk.said() == [(ad, kind, 0) for kind in (1, 4, 5, 6, 7, 8, 9)]
    assert sum(notice.billed_micros for notice in desk.taken()) == 2


def test_a_viewable_ad_was_shown(desk: Desk) -> None:
    (ad,) = desk.sell(CPM)

    desk.client.get(desk.urls(ad).event("viewable"))

    assert [(notice.kind, notice.billed_micros) for notice in desk.taken()] == [(1, 2), (4, 0)]


def test_a_click_leads_to_the_ads_own_page_and_is_billed(desk: Desk) -> None:
    (ad,) = desk.sell(CPC)
    urls = desk.urls(ad)
    desk.client.get(urls.event("impression"))
    desk.clock.step(500)

    answer = desk.client.get(urls.click("https://shop.example/coat?a=1&b=ü#top"))

    assert answer.status_code == 302
    assert answer.headers["location"] == "https://shop.example/coat?a=1&b=%C3%BC#top"
    assert desk.said() == [(ad, 1, 0), (ad, 2, 0)]
    assert desk.taken()[1].billed_micros == 400_000


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/", "https://shop.example/coat2", "//evil.example", "javascript:alert(1)", "",
        "https://shop.example/coat\r\nx: y", "https://shop.example/coat%00", "https://shop.example@evil.example/",
    ],
)  # fmt: skip
def test_a_click_leads_nowhere_else(desk: Desk, elsewhere: str) -> None:
    (ad,) = desk.sell(CPC)
    path = urlsplit(desk.urls(ad).click("https://shop.example/coat")).path

    answer = desk.client.get(f"{path}?to={quote(elsewhere, safe='')}")

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert desk.taken() == []


@pytest.mark.parametrize("page", ["ftp://shop.example/", "https://", "no page at all", "https://a.example/\r\nx: y"])
def test_a_landing_page_that_is_none_is_not_redirected_to(desk: Desk, page: str) -> None:
    (ad,) = desk.sell(CPC)

    assert desk.client.get(desk.urls(ad).click(page)).status_code == 404


def test_whoever_clicks_too_late_gets_there_all_the_same(desk: Desk) -> None:
    (ad,) = desk.sell(CPC)
    url = desk.urls(ad).click("https://shop.example/coat")
    desk.clock.step(10 * 60_000)

    answer = desk.client.get(url)

    assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example/coat")
    assert desk.taken() == []


def test_a_broken_log_costs_the_visitor_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    (ad,) = desk.sell(CPC)
    desk.fails = True

    assert desk.client.get(desk.urls(ad).event("impression")).status_code == 503
    assert desk.client.get(desk.urls(ad).click("https://shop.example/")).status_code == 302


def test_tokens_of_others_are_refused(desk: Desk) -> None:
    (ad,) = desk.sell(CPM)
    foreign = Tokens(lambda: (SigningKey(1, b"x" * 32),)).sign(TokenKind.EVENT, ad, 2_000_000_000)
    expired = desk.tokens.sign(TokenKind.EVENT, ad, 1)
    click = urlsplit(desk.urls(ad).click("")).path.removeprefix("/c/")

    statuses = [desk.client.get(f"/e/{token}").status_code for token in (foreign, expired, click, "x", "%ff" * 10)]

    assert statuses == [400, 410, 400, 400, 400]
    assert desk.client.get(desk.urls(ad).event("nonsense")).status_code == 404
    assert desk.taken() == []


@pytest.mark.parametrize(
    ("headers", "validity"),
    [
        ({"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, 1),
        ({"user-agent": ""}, 1),
        ({"x-forwarded-for": "203.0.113.9"}, 2),
        ({"sec-purpose": "prefetch;prerender"}, 3),
    ],
)
def test_invalid_traffic_is_recorded_once_and_neither_counted_nor_billed(
    desk: Desk, headers: dict[str, str], validity: int
) -> None:
    (ad,) = desk.sell(CPM)
    url = desk.urls(ad).event("impression")

    for _ in range(3):
        assert desk.client.get(url, headers=headers).status_code == 200
    assert desk.said() == [(ad, 1, validity)]
    assert desk.taken()[0].billed_micros == 0
    # The person who comes after it is counted.
    desk.client.get(url)
    assert desk.said() == [(ad, 1, validity), (ad, 1, 0)]
    assert desk.taken()[1].billed_micros == 2


def test_a_click_before_its_impression_or_right_after_it_is_nobodys(desk: Desk) -> None:
    first, second = desk.sell(CPC, Sold(1, 400_000, PricingModel.CPC, index=1))
    desk.client.get(desk.urls(first).click("https://shop.example/"))
    desk.client.get(desk.urls(second).event("impression"))
    desk.clock.step(99)
    desk.client.get(desk.urls(second).click("https://shop.example/"))

    assert desk.said() == [(first, 2, 5), (second, 1, 0), (second, 2, 6)]
    assert sum(notice.billed_micros for notice in desk.taken()) == 0


def test_who_clicks_the_same_line_item_again_and_again_counts_three_times(desk: Desk) -> None:
    ads = desk.sell(*(Sold(1, 400_000, PricingModel.CPC, page=at) for at in range(6)))
    for ad in ads:
        desk.client.get(desk.urls(ad).event("impression"))
        desk.clock.step(1_000)
        desk.client.get(desk.urls(ad).click("https://shop.example/"))

    clicks = [notice.validity for notice in desk.taken() if notice.kind == 2]
    assert clicks == [0, 0, 0, 7, 7, 7]


def test_an_impression_that_another_network_repeats_is_no_second_viewer(desk: Desk) -> None:
    (ad,) = desk.sell(CPC)
    here, there = ({"x-forwarded-for": address} for address in ("198.51.100.7", "192.0.2.9"))
    desk.client.get(desk.urls(ad).event("impression"), headers=here)
    desk.clock.step(1_000)
    desk.client.get(desk.urls(ad).click("https://shop.example/"), headers=there)
    desk.client.get(desk.urls(ad).click("https://shop.example/"), headers={"x-forwarded-for": "198.51.100.200"})

    assert desk.said() == [(ad, 1, 0), (ad, 2, 8), (ad, 2, 0)]


def test_a_network_that_sends_more_than_people_do_is_told_apart(desk: Desk) -> None:
    ads = desk.sell(*(Sold(3, 1_000, page=at) for at in range(60)))
    for ad in ads:
        desk.client.get(desk.urls(ad).event("impression"))

    assert [notice.validity for notice in desk.taken()] == [0] * 50 + [4] * 10


def test_nothing_of_the_caller_is_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (ad,) = desk.sell(CPM)
    desk.fails = True
    desk.client.get(desk.urls(ad).event("impression"), headers={"x-forwarded-for": "198.51.100.77"})

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("exchange")]
    assert ours
    assert not any("198.51" in line or "Firefox" in line or ad in line for line in ours)


def clicked(desk: Desk, sold: Sold = CPA, landing_url: str = "https://shop.example/?id=${CLICK_ID}") -> str:
    """The click id that a landing page got."""
    (ad,) = desk.sell(sold)
    desk.client.get(desk.urls(ad).event("impression"))
    desk.clock.step(1_000)
    answer = desk.client.get(desk.urls(ad).click(landing_url))
    return parse_qs(urlsplit(answer.headers["location"]).query)["id"][0]


def post(desk: Desk, body: object, **headers: str) -> tuple[int, dict[str, object]]:
    data = json.dumps(body).encode()
    signature = sign(SECRET, data, desk.clock.now_ms() // 1000)
    answer = desk.client.post(
        "/conversion",
        content=data,
        headers={"x-signature": signature, **{n.replace("_", "-"): v for n, v in headers.items()}},
    )
    return answer.status_code, answer.json()


def test_a_click_id_leads_from_the_click_to_the_order(desk: Desk) -> None:
    click_id = clicked(desk)
    body = {"tenant_id": TENANT, "conversions": [{"click_id": click_id, "order_id": "o-1"}] * 2}

    status, answer = post(desk, body)

    accepted = {"verdict": "accepted", "billed_micros": 3_000_000, "currency": "EUR"}
    assert (status, answer["outcomes"]) == (200, [accepted, {**accepted, "verdict": "duplicate", "billed_micros": 0}])


def test_a_click_id_is_added_where_the_setting_says_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path, parameter="id")
    with desk.client:
        assert clicked(desk, landing_url="https://shop.example/coat?x=1#top")
    desk.engine.dispose()


def test_pixel_and_server_bill_an_order_once_between_them(desk: Desk) -> None:
    click_id = clicked(desk)
    query = {"click_id": click_id, "order_id": "o-1", "sig": sign_pixel(SECRET, click_id, "o-1")}

    pixel = desk.client.get("/conversion", params=query)
    _, answer = post(desk, {"tenant_id": TENANT, "conversions": [{"click_id": click_id, "order_id": "o-1"}]})
    unsigned = desk.client.get("/conversion", params={**query, "order_id": "o-2"})

    assert pixel.content == PIXEL
    assert [entry["verdict"] for entry in answer["outcomes"]] == ["duplicate"]  # type: ignore[attr-defined]
    assert unsigned.status_code == 401


def test_another_tenants_click_is_not_found(desk: Desk) -> None:
    click_id = clicked(desk)
    data = json.dumps({"tenant_id": "thief", "conversions": [{"click_id": click_id, "order_id": "1"}]}).encode()
    answer = desk.client.post(
        "/conversion", content=data, headers={"x-signature": sign("other", data, desk.clock.now_ms() // 1000)}
    )

    assert [entry["verdict"] for entry in answer.json()["outcomes"]] == ["unknown"]


@pytest.mark.parametrize("wrong", ["age", "future", "body", "secret", "none", "form"])
def test_only_fresh_unchanged_signatures_count(desk: Desk, wrong: str) -> None:
    click_id = clicked(desk)
    data = json.dumps({"tenant_id": TENANT, "conversions": [{"click_id": click_id, "order_id": "1"}]}).encode()
    at_s = desk.clock.now_ms() // 1000 + {"age": -301, "future": 302}.get(wrong, 0)
    signature = sign("nobody" if wrong == "secret" else SECRET, data + (b" " if wrong == "body" else b""), at_s)
    headers = {} if wrong == "none" else {"x-signature": signature[:-1] if wrong == "form" else signature}

    assert desk.client.post("/conversion", content=data, headers=headers).status_code == 401
    assert [notice.kind for notice in desk.taken()] == [1, 2]


def test_an_idempotency_key_gets_the_first_answer_again(desk: Desk) -> None:
    click_id = clicked(desk)
    body = {"tenant_id": TENANT, "conversions": [{"click_id": click_id, "order_id": "1"}]}

    first, again = post(desk, body, idempotency_key="k"), post(desk, body, idempotency_key="k")
    other = post(desk, {**body, "conversions": [{"click_id": click_id, "order_id": "2"}]}, idempotency_key="k")

    assert first == again
    assert first[1]["outcomes"][0]["verdict"] == "accepted"  # type: ignore[index]
    assert other[0] == 422
    desk.clock.step(86_400_000)
    assert post(desk, body, idempotency_key="k")[1]["outcomes"][0]["verdict"] != "accepted"  # type: ignore[index]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"tenant_id": 1}', b"[" * 100_000, b'{"tenant_id": "a", "conversions": [1]}', b"\xff" * 20],
)
def test_a_body_that_is_none_is_refused(desk: Desk, body: bytes) -> None:
    assert desk.client.post("/conversion", content=body).status_code == 400


def test_a_large_body_is_not_read(desk: Desk) -> None:
    assert desk.client.post("/conversion", content=b" " * 300_000).status_code == 413


def test_every_wrong_order_is_named(desk: Desk) -> None:
    wrong = [{"click_id": "", "order_id": order} for order in ("", "x" * 65, "a\nb", "good")]

    status, answer = post(desk, {"tenant_id": TENANT, "conversions": wrong})

    assert status == 400
    assert [error["field"] for error in answer["errors"]] == [f"conversions[{at}].order_id" for at in range(3)]  # type: ignore[attr-defined]
    assert post(desk, {"tenant_id": TENANT, "conversions": []})[0] == 400
