"""A social part to start a test from: the one that is served, over stores in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select, update

from app.bridges import tell_outbox
from app.settings import load
from app.wiring_social import SocialPart, wire_social
from backends import outbox_sql
from backends.event_log_lmdb import LmdbEventLog
from backends.outbox_sql import OutboxRelay
from backends.posts_sql import SqlPostStore
from backends.profiles_lmdb import LmdbProfileStore
from backends.reactions_sql import SqlReactionStore
from backends.sql import writing
from backends.sql_tables_posts import POSTS
from common.clock import SteppedClock
from common.errors import BackendUnavailable
from feed.index import FeedIndex
from feed.post import Post, PostState
from feed.recording import Recorder
from feed.sessions import InProcessSessions
from feed.social import calls, calls_said
from feed.social.words import Person
from feed.verdict import Finding, Label, Outcome, Verdict
from feed.visitors import RememberedVisitors
from streams.catalogue import Catalogue
from streams.product import Product
from streams.profiles import Profiles
from streams.publisher import Publisher
from tests.databases import open_database
from tests.feed_builders import NOW_MS, TENANT, a_post, a_product


class Checker:
    """A SocialChecker whose judgement stands in the text: "vile" is removed, "spam" limited, "odd" held."""

    def __init__(self) -> None:
        self.away = False
        self.asked: list[str] = []

    def check_text(self, fields: Mapping[str, str], *, tenant_id: str, author_id: str) -> Verdict:
        if self.away:
            raise BackendUnavailable("moderation does not answer")
        text = " ".join(fields.values())
        self.asked.append(text)
        for word, outcome, label in (
            ("vile", Outcome.REMOVED, Label.HATE), ("spam", Outcome.LIMITED, Label.SPAM),
            ("odd", Outcome.HELD, Label.CLICKBAIT),
        ):  # fmt: skip
            if word in text:
                return Verdict(outcome, 0.9, (Finding(label, 0.9, 0.5, "text", word),), "test")
        return Verdict(Outcome.CLEAN, 0.0, (), "test")

    def check_profile(
        self, fields: Mapping[str, str], links: Sequence[str], picture_id: str, person: Person
    ) -> Verdict:
        said = {**fields, "links": " ".join(links), "picture": picture_id}
        verdict = self.check_text(said, tenant_id=person.tenant_id, author_id=person.person_id)
        # Only comments are told by `asked`.
        self.asked.pop()
        return verdict


class Statements:
    """Why moderation decided: one sentence for every post."""

    def statement(self, tenant_id: str, post_id: str) -> str:
        return "It reads as advertising."


class World:
    """The social part, what is below it, and short ways to ask it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SteppedClock(NOW_MS)
        self.checker = Checker()
        self._numbers = count(1)
        self._open()

    def _open(self) -> None:
        self.log = LmdbEventLog(self.folder / "log", map_size_bytes=1 << 26)
        self.profile_store = LmdbProfileStore(self.folder / "profiles", map_size_bytes=1 << 24)
        self.engine = open_database(self.folder)
        self.publisher = Publisher(self.log, self.clock)
        self.catalogue = Catalogue(self.log, self.publisher)
        self.catalogue.load()
        self.profiles = Profiles(self.profile_store, self.clock)
        self.posts = SqlPostStore(self.engine)
        self.part: SocialPart = wire_social(
            load({"data_dir": str(self.folder)}), self.clock, engine=self.engine, log=self.log,
            publisher=self.publisher, catalogue=self.catalogue, profiles=self.profiles, checker=self.checker,
            statements=Statements(),
        )  # fmt: skip
        self._relay = OutboxRelay(
            engine=self.engine, clock=self.clock, publish=lambda events: tell_outbox(self.publisher, events)
        )

    def close(self) -> None:
        self.part.search.close()
        self.engine.dispose()
        self.profile_store.close()
        self.log.close()

    def reopen(self) -> None:
        self.close()
        self._open()

    def call(self, name: str, tenant: str = TENANT, **fields: Any) -> Any:
        """Ask one operation by its name."""
        operation = next(one for one in self.part.operations if one.name == name)
        return operation.answer(tenant, msgspec.convert(fields, operation.request))

    def fresh(self) -> str:
        return f"key-{next(self._numbers)}"

    def join(self, *person_ids: str, tenant: str = TENANT, **fields: Any) -> None:
        for person_id in person_ids:
            said = {"handle": person_id, "display_name": person_id.title(), **fields}
            self.call(
                "SignUp", tenant, idempotency_key=self.fresh(), consent={"granted": [1]}, person_id=person_id, **said
            )

    def relate(
        self, person_id: str, kind: calls.Relate, subject: str, action_id: str = "", tenant: str = TENANT
    ) -> bool:
        answer = self.call(
            "Relate", tenant, person_id=person_id, kind=int(kind), subject=subject, action_id=action_id or self.fresh()
        )
        return bool(answer.changed)

    def post(self, number: int, creator_id: str = "ana", **changes: Any) -> str:
        """Publish a post, and let all that follows from it happen."""
        post: Post = a_post(number, creator_id=creator_id, **{"published_at_ms": NOW_MS - 1_000 + number, **changes})
        self.posts.create(post, f"post-{post.tenant_id}-{number}", "digest", self.clock.now_ms())
        self.settle()
        return post.post_id

    def put_state(self, post_id: str, state: PostState) -> None:
        """Moderation decides, or the creator withdraws."""
        with writing(self.engine) as connection:
            own = POSTS.c.post_id == post_id
            connection.execute(update(POSTS).where(own).values(state=int(state), revision=POSTS.c.revision + 1))
            row = connection.execute(select(POSTS).where(own)).one()
            event = {
                "changed_at_ms": self.clock.now_ms(), "tenant_id": row.tenant_id, "post_id": post_id,
                "creator_id": row.creator_id, "state": int(state), "revision": row.revision,
            }  # fmt: skip
            outbox_sql.append(connection, "posts", [event], self.clock.now_ms())
        self.settle()

    def settle(self) -> None:
        """What goes on beside the calls has gone on."""
        while self._relay.relay_once():
            pass
        self.part.catch_up()

    def sell(self, *products: Product) -> None:
        self.catalogue.put(products[0].tenant_id, list(products or [a_product()]))
        self.settle()

    def comment(self, post_id: str, person_id: str, text: str = "nice", parent_id: str = "") -> calls_said.Comment:
        # Ids are in the order of time; within a millisecond they are in none.
        self.clock.step(1)
        answer: calls_said.Comment = self.call(
            "AddComment", idempotency_key=self.fresh(), person_id=person_id, post_id=post_id, text=text,
            parent_id=parent_id,
        )  # fmt: skip
        return answer

    def comments(self, post_id: str, viewer_id: str = "", **fields: Any) -> list[str]:
        """The texts that a viewer sees."""
        answer = self.call("ListComments", post_id=post_id, viewer_id=viewer_id, **fields)
        return [one.text for one in answer.comments]

    def found(self, words: str, viewer_id: str = "", **fields: Any) -> list[str]:
        """The ids that are found."""
        answer = self.call("Search", words=words, viewer_id=viewer_id, **fields)
        return [hit.id for hit in answer.hits]

    def told(self, person_id: str) -> list[tuple[str, str, int]]:
        """(kind, subject, actors) of a person's notifications, newest first."""
        answer = self.call("ListNotifications", person_id=person_id)
        return [(one.kind.name, one.subject_id, one.actor_count) for one in answer.notifications]


@contextmanager
def social_world(folder: Path, people: Sequence[str] = ()) -> Iterator[World]:
    """A world in a folder, in which these people have signed up."""
    world = World(folder)
    try:
        world.join(*people)
        yield world
    finally:
        world.close()


def recorder_of(world: World) -> Recorder:
    """What visitors do in the feed is recorded by it, over the posts of the world as they are now."""

    class Products:
        def products(self, tenant_id: str, product_ids: object) -> list[None]:
            return [None]

    index = FeedIndex(products=Products())
    index.fold(world.posts.all())
    return Recorder(
        index=index, sessions=InProcessSessions(), reactions=SqlReactionStore(world.engine),
        profiles=RememberedVisitors(world.profiles), clock=world.clock, publish=world.publisher.publish,
        social=world.part.recorded,
    )  # fmt: skip
