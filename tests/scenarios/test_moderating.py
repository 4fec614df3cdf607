"""A post is held, decided, taken back, appealed and decided by somebody else, in a running haat, through its doors."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from typing import Any

import pytest

from app.call import call
from app.demo_keys import DemoKeys
from common.errors import HaatError
from tests.scenarios.conftest import Serve, until

pytestmark = pytest.mark.slow


def haat(*arguments: str) -> Any:
    """Run a command; its JSON."""
    command = [sys.executable, "-m", "app", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_post_goes_through_two_moderators(serve: Serve, keys: DemoKeys) -> None:
    shop = keys.shop
    # Without a checker every post is held until a person has looked.
    with serve(set="unchecked_posts=hold") as served:
        data_dir = str(served.data_dir)
        names = {found["tenant_id"]: found["name"] for found in haat("key", "tenants", "--data-dir", data_dir)}
        ann, bob = (
            haat("key", "create", names[shop.tenant_id], "--role", "moderator", "--data-dir", data_dir)["api_key"]
            for _ in range(2)
        )

        def of(key: str) -> tuple[str, ...]:
            return ("--target", served.target, "--set", f"api_key={key}")

        def ask(method: str, request: dict[str, Any], key: str = shop.key) -> dict[str, Any]:
            return call(served.target, key, method, json.dumps(request))

        def state() -> str:
            return str(ask("GetPost", {"post_id": post_id, "viewer_creator_id": "maker"})["state"])

        def feed() -> list[str]:
            page = ask("GetFeed", {"session_id": f"s-{time.monotonic_ns()}"})
            return [item["post"]["post_id"] for item in page.get("items", []) if "post" in item]

        draft = {
            "creator_id": "maker",
            "caption": "Boots: https://bit.ly/3xYz12",
            "image_urls": ["https://img.example/1.jpg"],
        }
        post_id = ask("CreatePost", {"idempotency_key": "p", "post": draft})["post_id"]
        assert feed() == []

        # A key is known to a running server within a second.
        def waiting() -> list[dict[str, Any]]:
            try:
                return list(ask("ListCases", {}, ann).get("cases", []))
            except HaatError:
                return []

        [case] = until(waiting)
        assert case["subject"]["id"] == post_id
        case_id = case["case_id"]
        decided = haat("moderation", "decide", case_id, "--outcome", "removed", "--reason", "terms_spam", *of(ann))
        assert decided[0]["case"]["outcome"] == "OUTCOME_REMOVED"
        assert state() == "STATE_REMOVED"
        assert haat("moderation", "undo", case_id, *of(ann))["state"] == "STATE_OPEN"
        assert state() == "STATE_CHECKING"
        haat("moderation", "decide", case_id, "--outcome", "removed", "--reason", "terms_spam", *of(ann))

        said = ask("ModerationService/GetStatement", {"case_id": case_id, "author_id": "maker"})
        assert "no spam" in said["text"]
        ask("AppealPost", {"post_id": post_id, "creator_id": "maker", "text": "It is my own.", "idempotency_key": "a"})
        [appealed] = until(lambda: list(ask("ListCases", {"origin": "ORIGIN_APPEAL"}, bob).get("cases", [])))
        assert appealed["appeal_text"] == "It is my own."
        asked = {"case_id": case_id, "outcome": "OUTCOME_CLEAN", "reason": "no_violation"}
        with pytest.raises(HaatError, match="somebody else"):
            ask("DecideCase", {"idempotency_key": "1", "decision": asked}, ann)
        assert ask("DecideCase", {"idempotency_key": "2", "decision": asked}, bob)["state"] == "STATE_FINAL"
        assert state() == "STATE_CLEAN"
        assert until(feed) == [post_id]

        audit = haat("moderation", "audit", "--verify", *of(bob))
        assert "first_break" not in audit
        assert [entry["action"] for entry in audit["entries"]] == [
            "checked", "decided", "carried_out", "undone", "carried_out", "decided", "carried_out", "appealed",
            "decided", "carried_out",
        ]  # fmt: skip
        explained = haat("reputation", "explain", "maker", *of(bob))
        assert [event["kind"] for event in explained["events"]] == ["post_cleared"]
        queue = urllib.request.Request(f"http://{served.http}/v1/moderation/queue", headers={"x-api-key": bob})
        with urllib.request.urlopen(queue, timeout=10) as answer:
            figures = json.loads(answer.read())
        assert (figures["waiting"], figures["overturned"]) == (0, 1)

        erased = {one["what"]: int(one.get("count", 0)) for one in ask("ErasePerson", {"person_id": "maker"})["erased"]}
        assert erased["moderation cases"] == 1
        assert erased["posts"] == 1
