"""Is a session of the feed one session on all nodes, whatever becomes of Redis and of what was under way?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.page_ads_redis import RedisPageAds
from backends.redis_connection import RedisConnection
from backends.session_impressions_redis import RedisSessionImpressions
from backends.sessions_redis import RedisSessions
from feed.actions import Action, ActionKind
from feed.cursor import Chain
from feed.kept_ads import key_of
from feed.ports import FeedAd
from tests.examples import examples
from tests.feed_builders import NOW_MS, SESSION, TENANT, Feed, a_post, a_product, ids, shown
from tests.redis_servers import redis_servers, until
from tests.redis_worlds import LosesAnswers, redis_at
from tests.services.proxy import Proxy, proxy_before

pytestmark = pytest.mark.services

NUMBERS = range(1, 41)
KINDS = ("shoe", "bag", "hat")


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with proxy_before(redis_url) as proxy:
        yield proxy


@pytest.fixture
def hot(redis_url: str, proxy: Proxy, redis: RedisConnection) -> Iterator[RedisConnection]:
    """What pages ask: it waits little, and nobody looks for Redis but the test."""
    with redis_at(proxy.before(redis_url), prefix=redis.prefix, wait_ms=500) as connection:
        yield connection


def a_node(redis: RedisConnection, *, backwards: bool = False) -> Feed:
    """A feed whose posts came in some order, so that its rows are its own."""
    posts = [a_post(number, products=[KINDS[number % 3]]) for number in NUMBERS]
    products = [a_product(kind, brand=f"brand {kind}", category=f"{kind}s") for kind in KINDS]
    return Feed(posts[::-1] if backwards else posts, products, sessions=RedisSessions(redis))


def test_a_scroll_that_goes_from_node_to_node_repeats_nothing_and_knows_what_was_done(redis: RedisConnection) -> None:
    nodes = [a_node(redis), a_node(redis, backwards=True)]
    seen: list[int] = []
    for turn in range(6):
        # Each page begins a scroll of its own: what was seen before, the session alone knows.
        page = nodes[turn % 2].page(chain=Chain(100 + turn), page_size=6)
        assert not set(shown(page)) & set(seen)
        seen += shown(page)
    assert len(seen) == 36

    hidden = 40
    assert nodes[0].act(ActionKind.HIDE, *ids([hidden]))
    assert not nodes[1].act(ActionKind.HIDE, *ids([hidden]))
    page = nodes[1].page(chain=Chain(200), page_size=40)
    assert len(shown(page)) == 39
    assert hidden not in shown(page)


def test_a_page_that_is_asked_for_again_is_the_same_on_another_node(redis: RedisConnection) -> None:
    here, there = a_node(redis), a_node(redis, backwards=True)
    first = here.page(chain=Chain(7))
    assert first.next_chain is not None
    second = here.page(chain=first.next_chain)

    for before in (first, second):
        again = there.page(chain=before.chain)
        assert again.replayed
        assert again.page_id == before.page_id
        assert [pick.post_id for pick in again.picks] == [pick.post_id for pick in before.picks]
        assert [there.shelf.posts[pick.row].post_id for pick in again.picks] == [pick.post_id for pick in again.picks]
        assert again.next_chain == before.next_chain

    # What was done on one node changes the page on the other.
    there.act(ActionKind.LIKE, first.picks[0].post_id)
    assert not here.page(chain=first.chain).replayed


@pytest.mark.parametrize("fault", ["cut", "stall", "slow"])
def test_pages_go_on_without_redis_and_it_hears_of_them_afterwards(
    proxy: Proxy, hot: RedisConnection, redis: RedisConnection, fault: str
) -> None:
    here, there = a_node(hot), a_node(redis)
    before = here.page(chain=Chain(1), page_size=6)
    proxy.slow(60_000) if fault == "slow" else getattr(proxy, fault)()
    asked = hot.counts["asked"]

    meanwhile = [here.page(chain=Chain(2 + turn), page_size=6) for turn in range(3)]
    here.act(ActionKind.LIKE, before.picks[0].post_id)
    elsewhere = there.page(chain=Chain(9), page_size=6)

    # One of them waited.
    assert hot.counts["asked"] == asked + 1
    posts = [number for page in (before, *meanwhile) for number in shown(page)]
    assert len(set(posts)) == 24
    sessions = here.sessions
    assert isinstance(sessions, RedisSessions)
    assert sessions.bring_later(NOW_MS) == 1

    proxy.heal()
    until(hot.breaker.look_now)
    assert sessions.bring_later(NOW_MS) == 0

    session = there.session
    assert set(session.served) == {pick.post_id for page in (before, *meanwhile, elsewhere) for pick in page.picks}
    assert list(session.liked) == [before.picks[0].post_id]
    assert set(here.session.served) == set(session.served)


def test_sessions_that_redis_has_lost_are_told_to_it_again(redis: RedisConnection) -> None:
    here, there = a_node(redis), a_node(redis)
    page = here.page(chain=Chain(1))
    redis.ask([("DEL", key) for key in redis.scan(f"{redis.prefix}:session:*")])
    assert not there.session.served

    here.act(ActionKind.LIKE, page.picks[0].post_id)

    assert set(there.session.served) == {pick.post_id for pick in page.picks}
    assert there.page(chain=Chain(2), page_size=30).picks[0].post_id not in there.session.liked


def test_what_was_kept_and_not_answered_counts_once(redis_url: str, redis: RedisConnection) -> None:
    loses = LosesAnswers(redis_url, redis.prefix)
    here, there = a_node(loses), a_node(redis)
    page = here.page(chain=Chain(1))
    assert loses.lost == {"session_read", "session_keep"}
    here.act(ActionKind.LIKE, page.picks[0].post_id)

    for node in (here, there):
        session = node.session
        assert list(session.served) == [pick.post_id for pick in page.picks]
        assert (list(session.liked), session.revision) == ([page.picks[0].post_id], 1)
    loses.close()


@pytest.mark.parametrize("field", ["state", "pages"])
@pytest.mark.parametrize("bytes_", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa1a\x01", b"x" * 10_000])
def test_a_session_that_cannot_be_understood_is_begun_anew(redis: RedisConnection, field: str, bytes_: bytes) -> None:
    here, there = a_node(redis), a_node(redis)
    here.page(chain=Chain(1))
    (key,) = redis.scan(f"{redis.prefix}:session:*")
    redis.ask([("HSET", key, field, bytes_, "mark", b"other")])

    there.page(chain=Chain(2))

    assert there.session.served
    assert here.session.served


def test_scripts_that_were_flushed_are_sent_again() -> None:
    with redis_servers() as servers:
        port = servers.start()
        with redis_at(f"redis://127.0.0.1:{port}/0") as connection:
            feed = a_node(connection)
            feed.page(chain=Chain(1))
            servers.client(port).script_flush()
            feed.page(chain=Chain(2))
            assert len(a_node(connection).session.served) == 24
            assert connection.breaker.closed


ACTS = st.tuples(
    st.integers(0, 2), st.sampled_from(["act", "page", "cut", "heal", "lose", "later"]), st.integers(0, 30)
)


@settings(max_examples=examples(40))
@given(steps=st.lists(ACTS, max_size=25))
def test_nothing_that_was_done_anywhere_is_missing_in_the_end(
    redis_url: str, steps: list[tuple[int, str, int]]
) -> None:
    """Nodes are cut off one by one, and work on. In the end all know of all that was done, if Redis lost nothing."""
    with ExitStack() as stack:
        shared = stack.enter_context(redis_at(redis_url))
        connections = [stack.enter_context(redis_at(redis_url, prefix=shared.prefix)) for _ in range(3)]
        stores = [RedisSessions(connection) for connection in connections]
        taken: set[str] = set()
        lost = False
        for turn, (at, what, number) in enumerate(steps):
            store, connection = stores[at], connections[at]
            if what == "cut":
                connection.breaker.closed = False
            elif what == "heal":
                connection.breaker.closed = True
            elif what == "later":
                store.bring_later(NOW_MS)
            elif what == "lose":
                shared.ask([("DEL", key) for key in shared.scan(f"{shared.prefix}:session:*")])
                lost = True
            else:
                session = store.read(TENANT, SESSION, NOW_MS)
                action = Action(ActionKind.CLICK, f"p{number}", f"{number if what == 'act' else turn + 100}")
                session.take(action, [], learn=True)
                taken.add(action.action_id)
                store.keep(TENANT, SESSION, session, NOW_MS)
        for connection in connections:
            connection.breaker.closed = True
        for store in stores:
            assert store.bring_later(NOW_MS) == 0

        found = [set(store.read(TENANT, SESSION, NOW_MS).taken) for store in stores]
        if lost:
            # What nobody has served since nobody has told Redis again.
            assert all(one <= taken for one in found)
        else:
            assert found == [taken] * 3


def test_ads_of_a_page_are_this_nodes_alone_while_redis_is_away(
    proxy: Proxy, hot: RedisConnection, redis: RedisConnection
) -> None:
    here, there = RedisPageAds(hot), RedisPageAds(redis)
    pages = [key_of("t", "s", Chain(1, number), 1) for number in range(3)]
    ads = {0: FeedAd(0, "auction", "impression")}
    here.keep(pages[0], ads, NOW_MS)
    proxy.cut()

    here.keep(pages[1], ads, NOW_MS)

    assert [here.recall(page, NOW_MS) for page in pages] == [ads, ads, None]
    assert [there.recall(page, NOW_MS) for page in pages] == [ads, None, None]
    assert (here.counts["unkept"], here.counts["unasked"]) == (1, 1)


def test_impressions_of_sessions_are_told_to_redis_when_it_is_back(
    redis_url: str, proxy: Proxy, redis: RedisConnection
) -> None:
    with (
        redis_at(proxy.before(redis_url), prefix=redis.prefix, wait_ms=500) as hot,
        redis_at(proxy.before(redis_url), prefix=redis.prefix, wait_ms=300, watch=True) as patient,
    ):
        here, there = RedisSessionImpressions(hot, patient), RedisSessionImpressions(redis, redis)
        here.remember("s", 1, 1, 1_000)
        here.flush()
        proxy.cut()
        for number in range(30):
            here.remember("s", 2, number, 2_000 + number)

        (seen,) = here.read(["s"])
        assert seen is not None
        assert len(seen.at_ms) == 31
        proxy.heal()
        here.flush()

        (seen,) = there.read(["s"])
        assert seen is not None
        assert seen.at_ms == [1_000, *range(2_000, 2_030)]
        here.close()
        there.close()
