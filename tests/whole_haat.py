"""A whole haat that is wired as it serves, asked over HTTP, whose jobs beside the calls are done by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.testclient import TestClient

from accounts.ports import Caller
from app.haat import Haat
from app.settings import Settings
from app.wiring import wire
from app.wiring_moderation import Moderation
from common.clock import SteppedClock
from feed.moderation.case_asking import DecisionAsked, ModeratorWrite
from feed.moderation.case_values import Case
from feed.moderation.subjects import Subject, SubjectKind
from feed.verdict import Outcome
from streams import schemas
from streams.product import Product
from tests.feed_builders import NOW_MS, a_product


class WholeHaat:
    """Everything that serves; `tenant` is a shop, `key` its storefront's."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.clock = SteppedClock(NOW_MS)
        self._numbers = count(1)
        self._settings = settings
        self._hear: Callable[[Any], object] = lambda answer: None
        self._open()
        self.tenant = self.haat.accounts.create_tenant("A shop").tenant_id
        self.key = self.haat.accounts.create_key(self.tenant, "storefront").plaintext
        self.haat.keys.refresh()

    def _open(self) -> None:
        chosen: dict[str, Any] = {"models_dir": self.folder / "none", "picture_hosts": ("img.example",)}
        self.haat: Haat = wire(Settings(data_dir=self.folder, **{**chosen, **self._settings}), self.clock)
        self._web = TestClient(Starlette(routes=self.haat.routes), follow_redirects=False)

    @property
    def moderation(self) -> Moderation:
        return self.haat.moderation

    def told(self, topic: str) -> list[Any]:
        """The events of a topic."""
        return [schemas.decode(topic, record) for record in self.haat.log.read(topic, 0, 10_000)]

    def close(self) -> None:
        self._web.close()
        self.haat.close()

    def reopen(self) -> None:
        self.close()
        self._open()
        self.haat.keys.refresh()

    def fresh(self) -> str:
        return f"key-{next(self._numbers)}"

    def settle(self) -> None:
        """What goes on beside the calls has gone on."""
        haat = self.haat
        while haat.relay.relay_once():
            pass
        haat.social.catch_up()
        haat.social.check_waiting()
        while haat.moderation.posts.count_once(haat.log) or haat.moderation.actions.count_once(haat.log):
            pass
        haat.moderation.effects.carry_out_unfinished()
        asyncio.run(haat.feed_server.posts.run_jobs())
        haat.social.index_erasure.forget_in(haat.feed_index)

    def listen(self, hear: Callable[[Any], object]) -> None:
        """Every answer from now on is told, as it came."""
        self._hear = hear

    def ask(
        self, method: str, path: str, body: Any = None, status: int | None = None, *, key: str = "", **query: Any
    ) -> Any:
        """A call over HTTP; its answer. Another status than 2xx, or than `status`, is a failure."""
        headers = {"x-api-key": key or self.key, "idempotency-key": self.fresh()}
        answer = self._web.request(method, path, json=body, params=query, headers=headers)
        self._hear(answer)
        assert (answer.status_code == status) if status else answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def fetch(self, url: str) -> int:
        """The status of what a browser fetches there."""
        parts = urlsplit(url)
        return self._web.get(f"{parts.path}?{parts.query}" if parts.query else parts.path).status_code

    def call(self, name: str, **fields: Any) -> Any:
        """Ask one operation of the social part by its name."""
        operation = next(one for one in self.haat.social.operations if one.name == name)
        return operation.answer(self.tenant, msgspec.convert(fields, operation.request))

    def join(self, *person_ids: str, **said: Any) -> None:
        for person_id in person_ids:
            fields = {"handle": person_id, "display_name": person_id.title(), **said}
            self.call("SignUp", idempotency_key=self.fresh(), consent={"granted": [1]}, person_id=person_id, **fields)

    def edit(self, person_id: str, **said: Any) -> Any:
        revision = self.call("GetProfile", person_id=person_id, viewer_id=person_id).person.revision
        fields = {"handle": person_id, "display_name": person_id.title(), **said}
        return self.call("EditPerson", person_id=person_id, revision=revision, **fields)

    def sell(self, *products: Product) -> None:
        chosen = products or (a_product(tenant_id=self.tenant),)
        self.haat.catalogue.put(self.tenant, list(chosen))

    def upload(self, creator_id: str, data: bytes, content_type: str = "image/jpeg") -> str:
        asked = {"creator_id": creator_id, "content_type": content_type, "size_bytes": len(data)}
        started = self.ask("POST", "/v1/uploads", asked)
        path = urlsplit(started["url"]).path
        put = self._web.put(path, content=data, headers=started["headers"])
        assert put.status_code == 201, put.text
        media_id: str = self.ask("POST", "/v1/uploads/finish", {"ticket": started["ticket"]})["media_id"]
        return media_id

    def post(self, creator_id: str, caption: str = "My new boots", **fields: Any) -> str:
        """Publish a post, and let all that follows from it happen."""
        made = self.ask("POST", "/v1/posts", {"creator_id": creator_id, "caption": caption, **fields})
        self.settle()
        post_id: str = made["post_id"]
        return post_id

    def view(self, post_id: str, viewer_id: str = "") -> Any:
        return self.ask("GET", f"/v1/posts/{post_id}", viewer_creator_id=viewer_id)

    def feed(self, session_id: str, **fields: Any) -> list[str]:
        """The posts of a page of the feed."""
        page = self.ask("POST", "/v1/feed/pages", {"session_id": session_id, **fields})
        return [item["post"]["post_id"] for item in page["items"] if item.get("post")]

    def write(self, who: str) -> ModeratorWrite:
        return ModeratorWrite(Caller(self.tenant, "moderator", who), self.tenant, self.fresh())

    def case_of(self, kind: SubjectKind, subject_id: str) -> Case:
        """The newest case of a subject."""
        found = self.moderation.cases._store.newest_case_of(self.tenant, Subject(kind, subject_id))
        assert found is not None, "there is no case of it"
        return found

    def decide(self, case: Case, outcome: Outcome, who: str = "ann") -> Case:
        reason = "no_violation" if outcome is Outcome.CLEAN else "terms_spam"
        asked = DecisionAsked(case.case_id, outcome, reason, "looked at it", 0)
        return self.moderation.cases.decide(self.write(who), asked)


@contextmanager
def whole_haat(folder: Path, **settings: Any) -> Iterator[WholeHaat]:
    """A haat in a folder, closed at the end."""
    opened = WholeHaat(folder, **settings)
    try:
        yield opened
    finally:
        opened.close()
