from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.erased_records import LogErasure
from backends.reactions_sql import SqlReactionStore
from backends.sql import reading
from backends.sql_schema import METADATA
from common.errors import InvalidInput, NotFound
from feed.actions import ActionKind
from feed.actor import action_key, person_key
from feed.index import FeedIndex, Kind
from feed.ports import Reaction
from feed.post import PostState
from feed.social.calls import Relate
from feed.social.words import CommentState
from protos import events_pb2, exchange_pb2
from streams import schemas
from streams.erasures import Erasures, digest_of
from streams.feed_events import FeedActionTaken, FeedPageServed
from streams.schemas import NoticesTaken, NoticeTaken
from streams.topics import TOPICS
from tests.feed_builders import NOW_MS, TENANT, Shop, a_product
from tests.social_worlds import World, social_world

pytestmark = [pytest.mark.on_every_database, pytest.mark.slow]

# Nothing else holds these letters.
WHO = "zq-erased-person"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path / "data", ["bea", "cyd"]) as opened:
        opened.join(WHO, handle="erased_one", display_name="Zanzibar", bio="I sell zanzibars")
        yield opened


def live(world: World) -> dict[str, Any]:
    """Everything that somebody does: posts, comments, likes, follows, shares, and what is logged of it."""
    world.sell(a_product("shoe"))
    own = world.post(1, WHO, products=["shoe"], caption="boots #look with @bea")
    other = world.post(2, "bea", products=["shoe"], caption="for @erased_one")
    parent = world.comment(other, WHO, "zanzibar says hello @cyd")
    world.comment(other, "cyd", "a reply", parent.comment_id)
    world.comment(other, WHO, "zanzibar alone")
    world.comment(own, "cyd", "on the post of another")
    world.relate(WHO, Relate.FOLLOW, "bea")
    world.relate("cyd", Relate.FOLLOW, WHO)
    world.relate("bea", Relate.MUTE, WHO)
    world.relate(WHO, Relate.MUTE_WORD, "spoiler")
    world.call("LikeComment", person_id=WHO, comment_id=world.comment(other, "cyd").comment_id, liked=True,
               action_id="like")  # fmt: skip
    _like(world, other)
    world.part.recorded.liked(TENANT, WHO, "cyd", other, 0)
    world.call("ShareLink", idempotency_key="s1", person_id=WHO, post_id=other, disclosure=1)
    world.call("ShareLink", idempotency_key="s2", person_id="cyd", post_id=own, disclosure=1)
    world.profiles.put(WHO, ["taste=zanzibar"], {"shoe": 2.0})
    _log(world, own)
    world.settle()
    return {"own": own, "other": other, "parent": parent.comment_id}


def _like(world: World, post: str) -> None:
    one = Reaction(ActionKind.LIKE, post, action_key(TENANT, "session", "like"))
    SqlReactionStore(world.engine).react(TENANT, person_key(TENANT, WHO), [one], NOW_MS)


def _log(world: World, post: str) -> None:
    page = FeedPageServed(NOW_MS, TENANT, "page", "session", WHO, (post,), (1.0,), ("x",), (1.0,), "")
    like = FeedActionTaken(NOW_MS, TENANT, "session", WHO, 1, post, "a")
    follow = FeedActionTaken(NOW_MS, TENANT, "other", "", 5, WHO, "b")
    notice = NoticeTaken(3, "imp", 2, billed_micros=5, product_id="shoe", visitor_id=WHO)
    view = exchange_pb2.PageView(session_id="session")
    view.visitor.visitor_id = WHO
    view.visitor.segments.append("taste=zanzibar")
    held = events_pb2.AuctionsHeld(schema_version=1, page_view=[view.SerializeToString()], auction_id_high=[1])
    world.publisher.publish("feed_pages", [schemas.encode(page)])
    world.publisher.publish("feed_actions", [schemas.encode(like), schemas.encode(follow)])
    world.publisher.publish("notices", [schemas.encode(NoticesTaken(NOW_MS, (notice,)))])
    world.publisher.publish("auctions", [held.SerializeToString()])


def erase(world: World, person_id: str = WHO) -> dict[str, int]:
    answer = world.call("ErasePerson", person_id=person_id)
    return {one.what: one.count for one in answer.erased if one.count}


def everywhere(world: World) -> list[str]:
    """Where the person's id, name or words stand: tables, topics of the log, files of the search index.

    The handle is left out: others wrote it into texts of theirs, which stay.
    """
    marks = (WHO, "zanzibar", "Zanzibar")
    found = []
    with reading(world.engine) as connection:
        for table in METADATA.sorted_tables:
            rows = connection.execute(select(table)).all()
            found += [f"table {table.name}: {row}" for row in rows if any(mark in str(tuple(row)) for mark in marks)]
    for topic in TOPICS:
        records = world.log.read(topic, 0, 10_000)
        found += [f"topic {topic}" for one in records if any(mark.encode() in one.payload for mark in marks)]
    index = (world.folder / "search.sqlite").read_bytes()
    found += ["search index" for mark in marks if mark.encode() in index or mark.casefold().encode() in index]
    return found


def test_everything_goes_is_named_and_nothing_with_the_id_is_left(world: World) -> None:
    things = live(world)
    assert len({where.partition(":")[0] for where in everywhere(world)}) > 12

    erased = erase(world)
    world.settle()

    assert erased == {
        "posts": 1, "comments on posts": 1, "likes, saves, hides, reports and purchases": 2, "follows": 1,
        "followers": 1,
        "blocks and mutes": 2, "comments": 2, "mentions": 1, "notifications": erased["notifications"],
        "share links": 1, "accounts": 1, "profiles": 1, "search entries": 2,
        "event log records": erased["event log records"],
    }  # fmt: skip
    # Two pages and actions, the notice, the auction, and each change of the post.
    assert erased["event log records"] >= 6
    assert everywhere(world) == []
    assert world.profiles.look_up([WHO]) == [None]
    assert erase(world) == {}
    with pytest.raises(NotFound):
        world.call("GetProfile", handle="erased_one")
    assert world.call("ListPosts", creator_id=WHO).posts == ()
    assert world.found("boots") == []
    assert world.call("ListPosts", hashtag="look").posts == ()
    assert things["own"] not in [post.post_id for post in world.posts.all()]


def test_others_keep_what_is_theirs_and_their_counters_are_right(world: World) -> None:
    things = live(world)
    erase(world)

    (bea,) = world.call("ListPosts", creator_id="bea").posts
    assert (bea.likes, bea.comments) == (0, 2)
    listed = world.call("ListComments", post_id=things["other"]).comments
    assert [(one.text, one.author_id, one.state, one.replies, one.likes) for one in listed] == [
        ("", "", CommentState.DELETED, 1, 0), ("nice", "cyd", CommentState.CLEAN, 0, 0),
    ]  # fmt: skip
    assert world.comments(things["other"], parent_id=things["parent"]) == ["a reply"]
    assert world.call("GetProfile", person_id="bea").person.followers == 0
    assert world.call("GetProfile", person_id="cyd").person.following == 0


def test_money_and_counts_of_the_log_stay(world: World) -> None:
    live(world)
    erase(world)

    (notices,) = [schemas.decode("notices", one) for one in world.log.read("notices", 0)]
    assert notices == NoticesTaken(NOW_MS, (NoticeTaken(3, "imp", 2, billed_micros=5, product_id="shoe"),))
    like, follow = [schemas.decode("feed_actions", one) for one in world.log.read("feed_actions", 0)]
    assert isinstance(like, FeedActionTaken)
    assert isinstance(follow, FeedActionTaken)
    assert (like.visitor_id, like.kind, follow.subject_id) == ("", 1, "")
    assert LogErasure(world.log).erase(TENANT, WHO) == {"event log records": 0}


def test_a_rebuilt_index_does_not_bring_the_person_back(world: World) -> None:
    live(world)
    erase(world)
    world.settle()
    world.close()
    (world.folder / "search.sqlite").unlink()
    world._open()
    world.settle()

    assert everywhere(world) == []
    index = FeedIndex(products=Shop())
    index.fold(world.posts.all())
    assert index.shelf(TENANT).code((Kind.CREATOR, WHO)) < 0
    assert world.found("boots") == world.found("zanzibar") == []


def test_a_store_that_is_restored_from_before_forgets_again_at_the_start(world: World, database: str) -> None:
    if database != "sqlite":
        pytest.skip("what is restored here is a file")
    live(world)
    world.close()
    shutil.copytree(world.folder, world.folder.parent / "backup")
    world._open()
    world.clock.step(1)
    erase(world)
    world.close()
    for name in ("haat.sqlite", "search.sqlite"):
        for left_over in world.folder.glob(f"{name}*"):
            left_over.unlink()
        shutil.copy(world.folder.parent / "backup" / name, world.folder / name)
    world._open()
    world.settle()

    assert everywhere(world) == []
    assert world.call("GetProfile", person_id="bea").person.followers == 0


def test_who_comes_back_after_an_erasure_is_somebody_new(world: World) -> None:
    live(world)
    erase(world)
    world.clock.step(1_000)
    world.join(WHO, handle="erased_one")
    world.reopen()

    assert world.call("GetProfile", person_id=WHO).person.joined_at_ms == world.clock.now_ms()


def test_an_erasure_that_was_cut_short_is_finished_at_the_next_start(world: World) -> None:
    live(world)
    hook = world.part.index_erasure
    original = hook.erase
    # The process dies between two hooks.
    world.part.index_erasure.erase = _dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        erase(world)
    hook.erase = original  # type: ignore[method-assign]
    world.reopen()
    world.settle()

    assert everywhere(world) == []
    assert world.profiles.look_up([WHO]) == [None]


def _dies(tenant_id: str, person_id: str) -> dict[str, int]:
    raise KeyboardInterrupt


def test_somebody_who_was_only_remembered_as_a_visitor_is_erased_too(world: World) -> None:
    world.profiles.put("visitor", [], {"shoe": 1.0})
    world.part.recorded.relate(TENANT, "visitor", ActionKind.FOLLOW, WHO, b"k" * 16, 0)

    assert erase(world, "visitor") == {"profiles": 1, "follows": 1, "notifications": 1}
    assert world.call("GetProfile", person_id=WHO).person.followers == 0


def test_a_person_of_another_tenant_stays(world: World) -> None:
    world.join(WHO, handle="erased_one", tenant="b" * 32)
    world.call("ErasePerson", "b" * 32, person_id=WHO)

    assert world.call("GetProfile", person_id=WHO).person.handle == "erased_one"


def test_an_id_that_cannot_be_one_is_named(world: World) -> None:
    with pytest.raises(InvalidInput):
        world.call("ErasePerson", person_id="")


def test_the_feeds_index_forgets_what_a_creator_said(world: World) -> None:
    live(world)
    index = FeedIndex(products=Shop())
    index.fold(world.posts.all())
    erase(world)

    world.part.index_erasure.forget_in(index)

    shelf = index.shelf(TENANT)
    assert shelf.live_count == 1
    assert WHO not in str(shelf.posts) + str(shelf.term_of)
    assert {post.state for post in shelf.posts} == {PostState.CLEAN, PostState.WITHDRAWN}


def test_readers_of_old_records_know_who_was_erased_and_when(world: World) -> None:
    live(world)
    erase(world)
    erasures = Erasures()
    erasures.follow(world.log)
    at_ms = world.clock.now_ms()

    assert erasures.forgotten(TENANT, WHO, at_ms)
    assert not erasures.forgotten(TENANT, WHO, at_ms + 1)
    assert not erasures.forgotten("b" * 32, WHO, at_ms)
    assert not erasures.forgotten(TENANT, "bea", at_ms)
    assert not erasures.forgotten(TENANT, "", at_ms)
    assert digest_of(TENANT, WHO) != digest_of(TENANT + "z", WHO[1:])
