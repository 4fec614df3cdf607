"""Does every store of sessions keep the promises of feed.ports.SessionStore?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from backends.redis_connection import RedisConnection
from backends.sessions_redis import RedisSessions
from feed.actions import Action, ActionKind
from feed.cursor import Chain
from feed.index import Kind
from feed.page import Page, Pick
from feed.sessions import InProcessSessions, Session
from tests.feed_builders import NOW_MS, SESSION, TENANT

TTL_MS = 60_000


class Store(Protocol):
    def read(self, tenant_id: str, session_id: str, now_ms: int) -> Session: ...

    def keep(self, tenant_id: str, session_id: str, session: Session, now_ms: int) -> None: ...

    def forget(self, tenant_id: str, session_id: str) -> bool: ...


# Another store over the same sessions: of another node, where the backend is shared.
Open = Callable[[], Store]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
def another(request: pytest.FixtureRequest) -> Open:
    if request.param == "redis":
        redis: RedisConnection = request.getfixturevalue("redis")
        return lambda: RedisSessions(redis, ttl_ms=TTL_MS)
    one = InProcessSessions(ttl_ms=TTL_MS)
    return lambda: one


def do(session: Session, kind: ActionKind, subject: str, *, learn: bool = True) -> bool:
    terms = [(Kind.CREATOR, f"of {subject}"), (Kind.HASHTAG, f"tag {subject}")]
    return session.take(Action(kind, subject, f"{kind.name} {subject}"), terms, learn=learn)


def a_page(number: int, *posts: str, fingerprint: int = 7) -> Page:
    picks = tuple(Pick(post, at, 1.5 - at, "newest", 0.25, ("newest: because", "é")) for at, post in enumerate(posts))
    chain = Chain(11, number, tuple(range(number)))
    return Page(f"page-{number}", picks, chain, chain.after([1]), fingerprint, ranker="hand-weighted")


def told(page: Page | None) -> object:
    """What of a page all nodes have alike."""
    if page is None:
        return None
    picks = [(pick.post_id, pick.score, pick.source, pick.propensity, pick.why) for pick in page.picks]
    return page.page_id, picks, page.chain.place, page.next_chain is not None, page.fingerprint, page.ranker


def test_what_a_session_has_done_and_seen_is_there_on_any_node(another: Open) -> None:
    here, there = another(), another()
    session = here.read(TENANT, SESSION, NOW_MS)
    assert not session.served
    for kind in ActionKind:
        do(session, kind, f"p{kind}")
    for number in range(6):
        session.note_served(a_page(number, f"a{number}", f"b{number}"))
    expected = {name: getattr(session, name) for name in Session.__slots__}
    here.keep(TENANT, SESSION, session, NOW_MS + 5)

    found = there.read(TENANT, SESSION, NOW_MS + 10)

    for name in set(Session.__slots__) - {"pages", "unsaved", "mark", "touched_at_ms"}:
        value = getattr(found, name)
        assert value == expected[name], name
        if isinstance(value, dict):
            assert list(value) == list(expected[name]), name
    assert found.touched_at_ms == NOW_MS + 5
    assert [told(page) for page in found.pages.values()] == [told(page) for page in expected["pages"].values()]
    assert told(found.kept_page((11, 5), 7)) == told(a_page(5, "a5", "b5"))
    assert found.kept_page((11, 5), 8) is None
    assert found.kept_page((11, 0), 7) is None
    assert not do(found, ActionKind.LIKE, f"p{ActionKind.LIKE}")


def test_a_session_that_was_not_kept_or_is_another_tenants_is_new(another: Open) -> None:
    here, there = another(), another()
    session = here.read(TENANT, SESSION, NOW_MS)
    do(session, ActionKind.LIKE, "p")
    assert not there.read(TENANT, SESSION, NOW_MS).liked
    here.keep(TENANT, SESSION, session, NOW_MS)

    assert there.read(TENANT, SESSION, NOW_MS).liked
    assert not there.read("b" * 32, SESSION, NOW_MS).liked
    assert not there.read(TENANT, "session-2", NOW_MS).liked


def test_a_session_is_over_after_its_time_and_begins_anew(another: Open) -> None:
    here, there = another(), another()
    session = here.read(TENANT, SESSION, NOW_MS)
    do(session, ActionKind.LIKE, "p")
    here.keep(TENANT, SESSION, session, NOW_MS)
    for store in (here, there):
        assert store.read(TENANT, SESSION, NOW_MS + TTL_MS).liked
        assert not store.read(TENANT, SESSION, NOW_MS + TTL_MS + 1).liked

    fresh = there.read(TENANT, SESSION, NOW_MS + TTL_MS + 1)
    do(fresh, ActionKind.SAVE, "q")
    there.keep(TENANT, SESSION, fresh, NOW_MS + TTL_MS + 1)

    found = here.read(TENANT, SESSION, NOW_MS + TTL_MS + 2)
    assert (list(found.liked), list(found.saved)) == ([], ["q"])


def test_a_session_that_was_forgotten_is_new(another: Open) -> None:
    here, there = another(), another()
    session = here.read(TENANT, SESSION, NOW_MS)
    do(session, ActionKind.LIKE, "p")
    here.keep(TENANT, SESSION, session, NOW_MS)

    assert there.forget(TENANT, SESSION)
    assert not there.forget(TENANT, SESSION)
    assert not there.read(TENANT, SESSION, NOW_MS).liked


@pytest.mark.services
def test_nodes_that_serve_one_session_at_once_lose_nothing(redis: RedisConnection) -> None:
    here, there = RedisSessions(redis), RedisSessions(redis)
    first, second = here.read(TENANT, SESSION, NOW_MS), there.read(TENANT, SESSION, NOW_MS)
    do(first, ActionKind.LIKE, "p")
    first.note_served(a_page(0, "a"))
    here.keep(TENANT, SESSION, first, NOW_MS + 1)
    do(second, ActionKind.HIDE, "q")
    second.note_served(a_page(1, "b"))
    there.keep(TENANT, SESSION, second, NOW_MS + 2)

    for store in (here, there, RedisSessions(redis)):
        found = store.read(TENANT, SESSION, NOW_MS + 3)
        assert (list(found.liked), list(found.hidden), list(found.served)) == (["p"], ["q"], ["a", "b"])
        assert found.revision == 2
        assert found.kept_page((11, 0), 7) is not None
        assert found.kept_page((11, 1), 7) is not None
        assert found.taste[Kind.HASHTAG, "tag p"] > 0 > found.taste[Kind.HASHTAG, "tag q"]
    assert there.counts["merged"] == 1
