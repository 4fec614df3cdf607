"""Every text field of every write over HTTP, as the description names them: a trick in each has a clear outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feed.moderation.subjects import SubjectKind
from tests.feed_builders import a_product
from tests.whole_haat import WholeHaat, whole_haat

pytestmark = pytest.mark.slow

XSS = "<script>alert(1)</script><img src=x onerror=x>&"
TURNED = "boots \u202egnp.exe"
PICTURE = "https://img.example/1.jpg"
POST = {"creator_id": "ana", "caption": "x", "image_urls": [PICTURE]}
PERSON = {"display_name": "Someone", "bio": "", "links": ["https://ana.example/"]}
VISITOR = {"session_id": "s", "visitor": {"visitor_id": "v", "segments": ["a=b"]}}


class Doors:
    """A haat with something of everything, and a valid body for each write."""

    def __init__(self, haat: WholeHaat) -> None:
        self.haat = haat
        haat.sell(a_product("shoe", tenant_id=haat.tenant))
        haat.join("ana")
        haat.join("bea", bio="Win https://bit.ly/3xYz12")
        self.moderator = haat.haat.accounts.create_key(haat.tenant, "moderator").plaintext
        haat.haat.keys.refresh()
        self.post_id = haat.post("ana", "A post", image_urls=[PICTURE])
        commented = {"idempotency_key": "c", "person_id": "bea", "text": "Nice"}
        self.comment_id = haat.ask("POST", f"/v1/posts/{self.post_id}/comments", commented)["comment_id"]
        self.case_id = haat.case_of(SubjectKind.PROFILE, "bea").case_id
        self.described = haat.ask("GET", "/openapi.json")

    def writes(self) -> dict[str, list[str]]:
        """The text fields of each write with a JSON body, by "METHOD path"."""
        found = {}
        for path, operations in self.described["paths"].items():
            for method, operation in operations.items():
                content = operation.get("requestBody", {}).get("content", {})
                if "application/json" in content:
                    schema = content["application/json"]["schema"]
                    texts = sorted(set(self._texts(schema, "", frozenset())))
                    found[f"{method.upper()} {path}"] = [text.lstrip(".") for text in texts]
        return found

    def body(self, write: str) -> dict[str, Any]:
        """A body that is taken, or at least read to its end."""
        decision = {"case_id": self.case_id, "outcome": "OUTCOME_CLEAN", "reason": "no_violation"}
        bodies: dict[str, dict[str, Any]] = {
            "POST /v1/posts": POST,
            "PUT /v1/posts/{post_id}": {**POST, "expected_revision": 1},
            "POST /v1/posts/{post_id}/publish": {"creator_id": "ana", "expected_revision": 1},
            "POST /v1/posts/{post_id}/withdraw": {"creator_id": "nobody"},
            "POST /v1/posts/{post_id}/appeal": {"creator_id": "ana", "text": "x"},
            "POST /v1/uploads": {"creator_id": "ana", "content_type": "image/jpeg", "size_bytes": 9},
            "POST /v1/uploads/finish": {"ticket": "x"},
            "POST /v1/feed/pages": {**VISITOR, "around": {}},
            "POST /v1/feed/actions": {**VISITOR, "actions": [
                {"action_id": self.haat.fresh(), "kind": "like", "subject_id": self.post_id}]},
            "PUT /v1/comments/{comment_id}": {"person_id": "bea", "text": "x", "revision": 1},
            "PUT /v1/comments/{comment_id}/hidden": {"person_id": "ana", "hidden": False},
            "PUT /v1/comments/{comment_id}/liked": {"person_id": "ana", "liked": True, "action_id": self.haat.fresh()},
            "POST /v1/people": {**PERSON, "idempotency_key": self.haat.fresh(), "consent": {"granted": ["remember"]},
                                "handle": f"u{self.haat.fresh().replace('-', '_')}"},
            "PUT /v1/people/{person_id}": {**PERSON, "handle": "ana", "revision": 1},
            "PUT /v1/people/{person_id}/notifications": {"unwanted": []},
            "POST /v1/people/{person_id}/notifications/read": {},
            "POST /v1/people/{person_id}/relations": {
                "kind": "mute_word", "subject": "x", "action_id": self.haat.fresh()},
            "POST /v1/posts/{post_id}/comments": {
                "idempotency_key": self.haat.fresh(), "person_id": "bea", "text": "x"},
            "PUT /v1/posts/{post_id}/comments": {"person_id": "ana", "closed": False},
            "POST /v1/posts/{post_id}/links": {
                "idempotency_key": self.haat.fresh(), "person_id": "ana", "product_id": "shoe"},
            "POST /v1/moderation/bans": {"image_hash": "0f" * 32, "reason": "x"},
            "POST /v1/moderation/bans/{image_hash}/lift": {"note": "x"},
            "POST /v1/moderation/bans:undo": {"position": 1},
            "POST /v1/moderation/cases/{case_id}/appeal": {"author_id": "bea", "text": "x"},
            "POST /v1/moderation/cases/{case_id}/claim": {"count": 1},
            "POST /v1/moderation/cases/{case_id}/decision": {"decision": decision},
            "POST /v1/moderation/cases/{case_id}/release": {},
            "POST /v1/moderation/cases/{case_id}/undo": {"note": "x"},
            "POST /v1/moderation/cases:claim": {"count": 1},
            "POST /v1/moderation/cases:decide": {"decisions": [decision], "dry_run": True},
            "POST /v1/moderation/reports": {
                "subject": {"kind": 1, "id": self.post_id}, "reason": 3, "session_id": self.haat.fresh()},
        }  # fmt: skip
        moderates = write.startswith("POST /v1/moderation/") and not write.endswith("/reports")
        body: dict[str, Any] = json.loads(json.dumps(bodies[write]))
        return {"idempotency_key": self.haat.fresh(), **body} if moderates else body

    def send(self, write: str, body: dict[str, Any]) -> Any:
        """The answer, as it came."""
        method, path = write.split(" ")
        path = path.format(
            post_id=self.post_id, comment_id=self.comment_id, person_id="ana", case_id=self.case_id,
            image_hash="0f" * 32,
        )  # fmt: skip
        moderates = path.startswith("/v1/moderation/") and not path.endswith(("/reports", "/appeal"))
        heard: list[Any] = []
        self.haat.listen(heard.append)
        try:
            self.haat.ask(method, path, body, key=self.moderator if moderates else "")
        except AssertionError:
            assert heard, "no answer at all"
        return heard[0]

    def _texts(self, schema: dict[str, Any], path: str, seen: frozenset[str]) -> Iterator[str]:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in seen:
                yield from self._texts(self.described["components"]["schemas"][name], path, seen | {name})
            return
        for part in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())):
            yield from self._texts(part, path, seen)
        if schema.get("type") == "string" and "enum" not in schema:
            yield path
        for name, part in schema.get("properties", {}).items():
            yield from self._texts(part, f"{path}.{name}", seen)
        if "items" in schema:
            yield from self._texts(schema["items"], f"{path}[]", seen)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder: Path = tmp_path_factory.mktemp("doors")
    with whole_haat(folder, unchecked_posts="show") as opened:
        yield Doors(opened)


def with_text(body: dict[str, Any], path: str, text: str) -> dict[str, Any]:
    """The body with `text` at a path such as `media[].alt_text`."""
    at: Any = body
    *parents, last = path.split(".")
    for parent in parents:
        name = parent.removesuffix("[]")
        if name == parent:
            at = at.setdefault(name, {})
        else:
            found = at.setdefault(name, [{}])
            at = found[0]
    name = last.removesuffix("[]")
    at[name] = text if name == last else [text]
    return body


def trouble(answer: Any) -> str:
    """What is wrong with an answer to hostile input; "" when nothing is."""
    wrong = {
        "an error of ours": answer.status_code >= 500,
        "the text comes back": len(answer.content) > 20_000,
        "markup": b"<script" in answer.content or b"<img" in answer.content,
        "turned round": "\u202e" in answer.text,
        "no JSON": not answer.headers["content-type"].startswith("application/json"),
        "no reason": answer.status_code >= 400 and not {"code", "error"} & answer.json().keys(),
    }
    return ", ".join(name for name, is_so in wrong.items() if is_so)


@pytest.mark.parametrize(
    "text", [XSS, TURNED, "b" * 1_000_000, "\0"], ids=["markup", "turned round", "a megabyte", "nul"]
)
def test_a_trick_in_any_text_field_is_taken_as_text_or_refused(doors: Doors, text: str) -> None:
    answers = [
        (f"{write} {field}", doors.send(write, with_text(doors.body(write), field, text)))
        for write, fields in doors.writes().items()
        for field in fields
    ]

    assert len(answers) > 90
    assert [(about, said, answer.text[:200]) for about, answer in answers if (said := trouble(answer))] == []
    pages: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/v1/posts", {"creator_id": "ana", "viewer_creator_id": "ana"}), ("/v1/post-cards", {"creator_id": "ana"}),
        (f"/v1/posts/{doors.post_id}/comments", {"viewer_id": "bea"}), ("/v1/people", {"person_id": "ana"}),
    )  # fmt: skip
    for path, query in pages:
        seen: list[Any] = []
        doors.haat.listen(seen.append)
        doors.haat.ask("GET", path, **query)
        assert b"<script" not in seen[0].content
        assert "\u202e" not in seen[0].text


def test_each_write_has_a_body_that_is_understood(doors: Doors) -> None:
    """The sweep above would hold if nothing got beyond the shape of its body."""
    for write in doors.writes():
        answer = doors.send(write, doors.body(write))
        assert answer.status_code < 500, f"{write}: {answer.text}"
        assert "unknown" not in [one.get("value") for one in answer.json().get("fields", ())], f"{write}: {answer.text}"
