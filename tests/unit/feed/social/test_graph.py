from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.errors import InvalidInput, NotFound
from feed.actions import ActionKind
from feed.social.calls import Relate
from feed.social.sights import Sight
from tests.feed_builders import TENANT
from tests.social_worlds import World, social_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana", "bea", "cyd"]) as opened:
        yield opened


def followers(world: World, person_id: str) -> int:
    return int(world.call("GetProfile", person_id=person_id).person.followers)


def test_a_late_repetition_of_a_follow_does_not_undo_the_unfollow(world: World) -> None:
    assert world.relate("bea", Relate.FOLLOW, "ana", "first")
    assert world.relate("bea", Relate.UNFOLLOW, "ana", "second")

    assert not world.relate("bea", Relate.FOLLOW, "ana", "first")
    assert followers(world, "ana") == 0


def test_a_block_ends_following_both_ways_and_makes_each_invisible_to_the_other(world: World) -> None:
    world.relate("bea", Relate.FOLLOW, "ana")
    world.relate("ana", Relate.FOLLOW, "bea")
    post = world.post(1, caption="boots for @bea")
    world.comment(post, "cyd")

    world.relate("ana", Relate.BLOCK, "bea")

    assert (followers(world, "ana"), followers(world, "bea")) == (0, 0)
    for viewer, other in (("ana", "bea"), ("bea", "ana")):
        with pytest.raises(NotFound):
            world.call("GetProfile", viewer_id=viewer, person_id=other)
        assert other not in world.found(other, viewer_id=viewer)
        with pytest.raises(NotFound):
            world.relate(viewer, Relate.FOLLOW, other)
    assert world.call("ListPosts", viewer_id="bea", creator_id="ana").posts == ()
    assert world.found("boots", viewer_id="bea") == []
    assert world.found("boots", viewer_id="cyd") == [post]
    for refused in (lambda: world.comments(post, "bea"), lambda: world.comment(post, "bea")):
        with pytest.raises(NotFound):
            refused()
    assert world.comments(post, "cyd") == ["nice"]


def test_an_unblock_shows_each_to_the_other_again(world: World) -> None:
    post = world.post(1)
    world.relate("ana", Relate.BLOCK, "bea")
    world.relate("ana", Relate.UNBLOCK, "bea")

    assert world.comment(post, "bea").text == "nice"


def test_comments_of_blocked_people_are_not_seen_on_posts_of_others(world: World) -> None:
    post = world.post(1, "cyd")
    world.comment(post, "ana", "by ana")
    world.comment(post, "bea", "by bea")
    world.relate("ana", Relate.BLOCK, "bea")

    assert world.comments(post, "ana") == ["by ana"]
    assert world.comments(post, "bea") == ["by bea"]
    assert world.comments(post, "cyd") == ["by ana", "by bea"]


def test_muting_hides_from_the_one_who_mutes_alone(world: World) -> None:
    post = world.post(1, "cyd")
    world.comment(post, "bea", "by bea")
    world.relate("ana", Relate.MUTE, "bea")

    assert world.comments(post, "ana") == []
    assert world.comments(post, "bea") == ["by bea"]
    assert world.call("GetProfile", viewer_id="ana", person_id="bea").muted_by_viewer


def test_muted_words_hide_texts_that_hold_them_as_words(world: World) -> None:
    world.relate("bea", Relate.MUTE_WORD, "  Spoiler   Alert ")
    world.relate("bea", Relate.MUTE_WORD, "art")
    post = world.post(1)
    for text in ("SPOILER, alert! she wins", "a party", "modern ART."):
        world.comment(post, "cyd", text)

    assert world.comments(post, "bea") == ["a party"]
    assert len(world.comments(post, "ana")) == 3
    assert world.call("ListRelations", person_id="bea", which=5).subjects == ("art", "spoiler alert")


def test_a_muted_word_may_be_of_any_script() -> None:
    sight = Sight(muted_words=("हाट",))

    assert sight.mutes("आज हाट, है")
    assert not sight.mutes("हाटवाली")


@pytest.mark.parametrize(
    ("kind", "subject", "field"),
    [(Relate.FOLLOW, "ana", "subject"), (Relate.BLOCK, "", "subject"), (Relate.MUTE_WORD, "!!", "subject"),
     (Relate.MUTE_WORD, "w" * 101, "subject")],
)  # fmt: skip
def test_what_cannot_be_related_to_is_named(world: World, kind: Relate, subject: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.relate("ana", kind, subject)
    assert [error.field for error in refused.value.errors] == [field]


def test_strangers_and_people_of_another_tenant_are_not_there(world: World) -> None:
    world.join("zoe", tenant="b" * 32)

    for person, subject in (("ana", "zoe"), ("zoe", "ana"), ("nobody", "ana")):
        with pytest.raises(NotFound):
            world.relate(person, Relate.FOLLOW, subject)


def test_lists_are_paged(world: World) -> None:
    for person in ("bea", "cyd"):
        world.relate(person, Relate.FOLLOW, "ana")

    first = world.call("ListRelations", person_id="ana", which=2, page_size=1)
    second = world.call("ListRelations", person_id="ana", which=2, page_size=1, cursor=first.next_cursor)

    assert (first.subjects, second.subjects) == (("bea",), ("cyd",))


def test_what_is_done_in_the_feed_lasts_for_people_who_are_remembered(world: World) -> None:
    recorded = world.part.recorded
    recorded.relate(TENANT, "bea", ActionKind.FOLLOW, "ana", b"1" * 16, 0)
    recorded.relate(TENANT, "bea", ActionKind.MUTE, "cyd", b"2" * 16, 0)
    relations = recorded.of(TENANT, "bea")
    assert (relations.follows, relations.blocked) == (("ana",), frozenset({"cyd"}))

    recorded.relate(TENANT, "ana", ActionKind.BLOCK, "bea", b"3" * 16, 0)

    relations = recorded.of(TENANT, "bea")
    assert (relations.follows, relations.blocked) == ((), frozenset({"ana", "cyd"}))
    recorded.relate(TENANT, "bea", ActionKind.FOLLOW, "ana", b"4" * 16, 0)
    assert recorded.of(TENANT, "bea").follows == ()


@pytest.mark.slow
def test_followers_are_exact_when_eight_follow_and_unfollow_at_the_same_time(world: World) -> None:
    fans = [f"fan{number}" for number in range(8)]
    world.join(*fans)

    def follow(fan: str) -> None:
        for number in range(15):
            kind = Relate.UNFOLLOW if number % 2 else Relate.FOLLOW
            world.relate(fan, kind, "ana", f"{fan}-{number}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(follow, fans))

    assert followers(world, "ana") == 8
    assert len(world.call("ListRelations", person_id="ana", which=2).subjects) == 8
