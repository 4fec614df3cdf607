"""Browsers become known to bidders in Prebid Server's words, and only where consent covers it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from common.clock import SteppedClock
from common.consent_policy import ConsentPolicy
from exchange.user_ids import MOST_IDS, UserIds, cookie_value, read_cookie
from exchange.user_sync import SyncPoint, UserSync

AGREED = {"us_privacy": "1YNN", "gdpr": 0}
REFUSED = {"us_privacy": "1YYN", "gdpr": 0}
SECTIONS = json.loads((Path(__file__).parents[2] / "samples" / "consent" / "gpp.json").read_text())["strings"]
# The national section of the US, in which nobody opted out of anything.
NATIONAL = next(str(said["gpp"]) for said in SECTIONS if (said["section"], said["said"]) == (7, None))


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def browser(clock: SteppedClock) -> TestClient:
    points = [
        SyncPoint("acme", "https://acme.example/sync?consent={{.GDPRConsent}}&back={{.RedirectURL}}"),
        SyncPoint("frame", "https://frame.example/sync?usp={{.USPrivacy}}&back={{.RedirectURL}}", in_frame=True),
        SyncPoint("silent", ""),
    ]
    sync = UserSync(points=points, policy=ConsentPolicy, clock=clock, public_url="https://ads.example")
    return TestClient(Starlette(routes=sync.routes()), base_url="https://ads.example")


def ask(browser: TestClient, **body: Any) -> dict[str, Any]:
    answer = browser.post("/cookie_sync", content=json.dumps(body), headers={"content-type": "text/plain"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_new_browser_is_sent_to_every_bidder_it_may_be_shown_to(browser: TestClient) -> None:
    answer = ask(browser, bidders=["acme", "frame", "silent", "nobody"], **AGREED)

    assert answer["status"] == "no_cookie"
    by_bidder = {status["bidder"]: status for status in answer["bidder_status"]}
    assert by_bidder["nobody"]["error"] == "Unsupported bidder"
    assert by_bidder["acme"]["usersync"]["type"] == "redirect"
    assert by_bidder["frame"]["usersync"]["type"] == "iframe"
    assert "usp=1YNN" in by_bidder["frame"]["usersync"]["url"]
    assert "silent" not in by_bidder


def test_the_way_there_and_back_makes_the_browser_known(browser: TestClient) -> None:
    (status,) = ask(browser, bidders=["acme"], **AGREED)["bidder_status"]
    back = parse_qs(urlsplit(status["usersync"]["url"]).query)["back"][0]

    answer = browser.get(unquote(back).replace("$UID", "their-id"))

    assert answer.headers["content-type"] == "image/gif"
    value = answer.headers["set-cookie"].partition("uids=")[2].partition(";")[0]
    assert all(word in answer.headers["set-cookie"] for word in ("Secure", "HttpOnly", "SameSite=None", "Partitioned"))
    assert read_cookie(value).living(0) == {"acme": "their-id"}
    assert browser.get("/getuids").json() == {"buyeruids": {"acme": "their-id"}}
    assert ask(browser, bidders=["acme"], **AGREED) == {"status": "ok", "bidder_status": []}

    browser.get("/setuid?bidder=acme&uid=&us_privacy=1YNN&gdpr=0")
    assert browser.get("/getuids").json() == {"buyeruids": {}}


@pytest.mark.parametrize("signals", [REFUSED, {"gdpr": 1}, {"gdpr": 1, "gdpr_consent": "broken"}, {}])
def test_without_consent_nothing_is_set_and_nobody_named(browser: TestClient, signals: dict[str, Any]) -> None:
    assert ask(browser, bidders=["acme", "frame"], **signals)["bidder_status"] == []

    query = "&".join(f"{name}={value}" for name, value in signals.items())
    answer = browser.get(f"/setuid?bidder=acme&uid=their-id&{query}")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_global_privacy_control_counts_as_a_refusal(browser: TestClient) -> None:
    answer = browser.get("/setuid?bidder=acme&uid=x&gdpr=0&us_privacy=1YNN", headers={"sec-gpc": "1"})

    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("settings", "synced"),
    [
        ({}, {"acme", "frame"}),
        ({"iframe": {"bidders": "*", "filter": "exclude"}}, {"acme"}),
        ({"image": {"bidders": ["acme"], "filter": "exclude"}}, {"frame"}),
        ({"iframe": {"bidders": ["other"], "filter": "include"}, "image": {"bidders": "*"}}, {"acme"}),
        ({"iframe": {"bidders": ["frame"], "filter": "include"}}, {"acme", "frame"}),
    ],
)
def test_a_page_says_which_kinds_of_address_it_takes_of_whom(
    browser: TestClient, settings: dict[str, Any], synced: set[str]
) -> None:
    answer = ask(browser, bidders=["acme", "frame"], filterSettings=settings, **AGREED)

    assert {status["bidder"] for status in answer["bidder_status"]} == synced


def test_bidders_that_a_page_does_not_name_fill_up_its_limit_where_it_says_so(browser: TestClient) -> None:
    def synced(**body: Any) -> list[str]:
        answer = ask(browser, bidders=["frame"], **AGREED, **body)
        return [status["bidder"] for status in answer["bidder_status"]]

    assert synced() == ["frame"]
    assert synced(coopSync=True) == ["frame", "acme"]
    assert synced(coopSync=True, limit=1) == ["frame"]


def test_settings_of_another_shape_are_refused(browser: TestClient) -> None:
    body = json.dumps({"filterSettings": {"iframe": {"bidders": 7, "filter": "maybe"}}})

    assert browser.post("/cookie_sync", content=body).status_code == 400


def test_ids_end(browser: TestClient, clock: SteppedClock) -> None:
    browser.get("/setuid?bidder=acme&uid=x&gdpr=0&us_privacy=1YNN")
    clock.step(15 * 86_400_000)

    assert browser.get("/getuids").json() == {"buyeruids": {}}


@pytest.mark.parametrize(
    "path",
    ["/setuid", "/setuid?bidder=nobody&uid=x", "/setuid?bidder=acme&uid=" + "x" * 300, "/setuid?bidder=acme&uid=a%00b"],
)
def test_what_cannot_be_taken_is_400_with_the_field(browser: TestClient, path: str) -> None:
    answer = browser.get(path)

    assert answer.status_code == 400
    assert "give" in answer.json()["error"]


def test_a_body_that_is_none_is_refused(browser: TestClient) -> None:
    assert browser.post("/cookie_sync", content=b"[1").status_code == 400
    assert browser.post("/cookie_sync", content=b'{"limit": "many"}').status_code == 400
    assert browser.post("/cookie_sync", content=b" " * 70_000).status_code == 413
    assert browser.post("/cookie_sync", content=b"").status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b'{"x":' + b"[" * 20_000,
        b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"bidders":["\xff\xfe"]}',
    ],
    ids=["deep and cut off", "deep", "no UTF-8"],
)
def test_a_hostile_body_is_400(browser: TestClient, content: bytes) -> None:
    assert browser.post("/cookie_sync", content=content).status_code == 400


def test_no_more_of_a_body_is_read_than_is_taken(browser: TestClient) -> None:
    def long() -> Iterator[bytes]:
        for _ in range(3):
            yield b" " * 32_768

    # Without a length, as chunks come.
    assert browser.post("/cookie_sync", content=long()).status_code == 413


@pytest.mark.parametrize(("gpp_sid", "known"), [("7", True), ("-1", True), ("9" * 6_000, False), ("usnat", False)])
def test_a_section_that_nobody_can_read_is_a_refusal(browser: TestClient, gpp_sid: str, known: bool) -> None:
    signals = {"us_privacy": "1YNN", "gdpr": "0", "gpp": NATIONAL, "gpp_sid": gpp_sid}

    answer = browser.get("/setuid", params={"bidder": "acme", "uid": "u", **signals})

    assert (answer.status_code, "set-cookie" in answer.headers) == (200, known)
    assert bool(ask(browser, bidders=["frame"], **signals | {"gdpr": 0})["bidder_status"]) == known


def test_a_flag_of_gdpr_that_is_neither_yes_nor_no_counts_as_yes(browser: TestClient) -> None:
    assert ask(browser, bidders=["acme"], us_privacy="1YNN", gdpr=7)["bidder_status"] == []


def test_taking_back_what_was_never_set_sets_nothing(browser: TestClient) -> None:
    assert "set-cookie" not in browser.get("/setuid?bidder=acme&uid=&us_privacy=1YYN&gdpr=0").headers
    browser.get("/setuid?bidder=acme&uid=u&us_privacy=1YNN&gdpr=0")

    assert "set-cookie" in browser.get("/setuid?bidder=acme&uid=&us_privacy=1YYN&gdpr=0").headers
    assert browser.get("/getuids").json() == {"buyeruids": {}}


def test_the_exact_origin_may_ask_with_its_cookies(browser: TestClient) -> None:
    answer = browser.post("/cookie_sync", content=b"{}", headers={"origin": "https://shop.example"})

    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert browser.options("/cookie_sync", headers={"origin": "https://shop.example"}).status_code == 204


@pytest.mark.parametrize(
    "content",
    ["[" * 5_000, '{"tempUIDs":{"acme":{"uid":"x","expires":"9999-12-31T23:59:59-23:59"}}}'],
    ids=["deep", "beyond the calendar"],
)
def test_a_hostile_cookie_is_no_ids(browser: TestClient, content: str) -> None:
    browser.cookies.set("uids", base64.urlsafe_b64encode(content.encode()).decode())

    assert browser.get("/getuids").json() == {"buyeruids": {}}
    assert browser.get("/setuid?bidder=frame&uid=u&us_privacy=1YNN&gdpr=0").status_code == 200


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: base64.urlsafe_b64encode(b).decode()))
def test_any_cookie_is_read_or_is_no_ids(value: str) -> None:
    assert isinstance(read_cookie(value), UserIds)


@given(st.lists(st.tuples(st.text("abcdefgh", min_size=1, max_size=6), st.text(min_size=1, max_size=250)), max_size=80))
def test_the_cookie_stays_small_and_is_read_as_it_was_written(pairs: list[tuple[str, str]]) -> None:
    ids = UserIds()
    for at, (bidder, uid) in enumerate(pairs):
        ids = ids.with_id(bidder, uid, 1_000 + at)

    value = cookie_value(ids)

    assert len(ids.ids) <= MOST_IDS
    assert len(value) <= 4_000
    assert read_cookie(value).ids.items() <= dict(ids.ids).items()
