"""Whom somebody blocked finds nothing of them, by whichever door, and leaves nothing with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.feed_builders import a_product
from tests.whole_haat import WholeHaat, whole_haat

AGREED = {"granted": ["remember"]}


@pytest.fixture
def haat(tmp_path: Path) -> Iterator[WholeHaat]:
    with whole_haat(tmp_path) as opened:
        opened.join("ana", "bea", "cyd")
        opened.sell(a_product("shoe", tenant_id=opened.tenant))
        yield opened


def relate(haat: WholeHaat, person_id: str, kind: str, subject: str) -> None:
    haat.ask("POST", f"/v1/people/{person_id}/relations", {"kind": kind, "subject": subject, "action_id": haat.fresh()})


def listed(haat: WholeHaat, creator_id: str, viewer_id: str) -> int:
    return len(haat.ask("GET", "/v1/posts", creator_id=creator_id, viewer_creator_id=viewer_id)["posts"])


@pytest.mark.parametrize("who", ["ana", "bea"])
def test_a_post_is_found_by_neither_of_two_of_whom_one_blocked_the_other(haat: WholeHaat, who: str) -> None:
    posts = {person: haat.post(person) for person in ("ana", "bea")}
    relate(haat, who, "block", "bea" if who == "ana" else "ana")

    for viewer, creator in (("ana", "bea"), ("bea", "ana")):
        haat.ask("GET", f"/v1/posts/{posts[creator]}", status=404, viewer_creator_id=viewer)
        assert listed(haat, creator, viewer) == 0
        assert haat.view(posts[viewer], viewer)["post_id"] == posts[viewer]
        assert (listed(haat, viewer, viewer), listed(haat, creator, "cyd")) == (1, 1)

    relate(haat, who, "unblock", "bea" if who == "ana" else "ana")
    assert haat.view(posts["ana"], "bea")["post_id"] == posts["ana"]


@pytest.mark.parametrize("who", ["ana", "bea"])
def test_who_is_blocked_leaves_no_likes_with_a_post_and_may_report_it(haat: WholeHaat, who: str) -> None:
    post = haat.post("ana")

    def act(kind: str, status: int = 200) -> Any:
        action = {"kind": kind, "subject_id": post, "action_id": haat.fresh()}
        said = {"session_id": "s", "visitor": {"visitor_id": "bea"}, "consent": AGREED, "actions": [action]}
        return haat.ask("POST", "/v1/feed/actions", said, status)

    act("like")
    relate(haat, who, "block", "bea" if who == "ana" else "ana")

    for kind in ("like", "save", "share"):
        assert act(kind, 400)["fields"][0]["value"] == f"unknown post '{post}'"
    for kind in ("unlike", "report", "hide"):
        assert act(kind)["recorded"] == 1
    assert (haat.view(post)["likes"], haat.view(post)["saves"]) == (0, 0)
