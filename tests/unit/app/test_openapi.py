"""Do the routes of the feed, people, moderation and media and their description agree?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from tests.whole_haat import WholeHaat, whole_haat

OURS = ("/v1/", "/media/", "/s/")


@pytest.fixture(scope="module")
def haat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeHaat]:
    folder: Path = tmp_path_factory.mktemp("openapi")
    with whole_haat(folder) as opened:
        yield opened


def served(haat: WholeHaat) -> list[tuple[str, str]]:
    return [
        (route.path, method)
        for route in haat.haat.routes
        if isinstance(route, Route) and route.path.startswith(OURS)
        for method in sorted(route.methods or ())
        if method not in ("HEAD", "OPTIONS")
    ]


def described(haat: WholeHaat) -> dict[str, Any]:
    document: dict[str, Any] = haat.ask("GET", "/openapi.json")
    return document


def test_every_route_is_described_and_everything_described_is_served(haat: WholeHaat) -> None:
    document = described(haat)
    told = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}

    assert set(served(haat)) == told
    assert document["openapi"] == "3.1.0"
    for prefix in ("/v1/posts", "/v1/uploads", "/v1/feed/pages", "/v1/people", "/v1/moderation/bans", "/media/", "/s/"):
        assert any(path.startswith(prefix) for path, _ in told), prefix


def test_no_route_hides_another(haat: WholeHaat) -> None:
    routes = served(haat)
    assert len(set(routes)) == len(routes)
    for at, (path, method) in enumerate(routes):
        plain = re.sub(r"\{\w+\}", "x", path)
        for earlier, of_method in routes[:at]:
            if of_method == method:
                assert not re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", earlier), plain), (earlier, path)


def test_every_reference_leads_to_a_schema_and_every_path_names_its_parameters(haat: WholeHaat) -> None:
    document = described(haat)
    names = set(document["components"]["schemas"])
    assert set(re.findall(r"#/components/schemas/([\w.]+)", str(document))) <= names
    operation_ids = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            operation_ids.append(operation["operationId"])
            in_path = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path)), path
            assert operation["summary"], path
    assert len(set(operation_ids)) == len(operation_ids)


def test_posts_under_a_hashtag_are_reached_over_http_with_their_pictures_and_labels(haat: WholeHaat) -> None:
    from tests.media_builders import a_picture

    medium = haat.upload("ana", a_picture())
    post = haat.post(
        "ana", "My new boots", hashtags=["boots"], disclosure="gifted", partner="Bruma",
        media=[{"media_id": medium, "alt_text": "Boots"}],
    )  # fmt: skip
    [card] = haat.ask("GET", "/v1/post-cards", hashtag="boots")["posts"]
    assert (card["post_id"], card["disclosure"]) == (post, "gifted")
    assert haat.fetch(card["image_urls"][0]) == 200

    [item] = haat.ask("POST", "/v1/feed/pages", {"session_id": "s"})["items"]
    shown = item["post"]
    assert (shown["disclosure"], shown["partner"]) == ("gifted", "Bruma")
    assert shown["media"][0]["alt_text"] == "Boots"
    assert haat.fetch(shown["media"][0]["renditions"][0]["url"]) == 200


def test_a_report_over_http_says_what_is_wrong(haat: WholeHaat) -> None:
    post = haat.post("ana", "A look of mine")
    acted = {"kind": "report", "subject_id": post, "action_id": "r", "detail": "nonsense"}
    refused = haat.ask("POST", "/v1/feed/actions", {"session_id": "s2", "actions": [acted]}, 400)
    assert "actions[0].detail" in str(refused)
    haat.ask("POST", "/v1/feed/actions", {"session_id": "s2", "actions": [{**acted, "detail": "spam"}]})
