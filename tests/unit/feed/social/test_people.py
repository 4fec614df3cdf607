from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import Conflict, InvalidInput, NotFound
from feed.post import PostState
from feed.social import handles
from feed.social.calls import Relate
from tests.feed_builders import NOW_MS, a_product
from tests.social_worlds import World, social_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana", "bea"]) as opened:
        yield opened


def fields_of(refused: pytest.ExceptionInfo[InvalidInput]) -> list[str]:
    return [error.field for error in refused.value.errors]


def sign_up(world: World, **fields: Any) -> Any:
    said = {"idempotency_key": "k", "consent": {"granted": [1]}, "handle": "someone", "display_name": "Some One"}
    return world.call("SignUp", **{**said, **fields})


def test_signing_up_twice_with_one_key_is_signing_up_once(world: World) -> None:
    first = sign_up(world)

    assert sign_up(world) == first
    assert len(first.person_id) == 32
    assert first.handle == "someone"
    with pytest.raises(Conflict):
        sign_up(world, display_name="Another")


def test_a_key_a_person_and_a_handle_belong_to_their_tenant(world: World) -> None:
    world.join("ana", tenant="b" * 32)

    assert world.call("GetProfile", "b" * 32, person_id="ana").person.handle == "ana"
    with pytest.raises(NotFound):
        world.call("GetProfile", "c" * 32, person_id="ana")


def test_an_id_signs_up_once(world: World) -> None:
    with pytest.raises(Conflict):
        sign_up(world, person_id="ana", handle="someone_else")


@pytest.mark.parametrize("handle", ["ana", "Ana", "аna", "a.n_a", "@ana", "ａｎａ"])
def test_a_handle_that_looks_like_one_that_is_taken_cannot_be_had(world: World, handle: str) -> None:
    with pytest.raises((Conflict, InvalidInput)):
        sign_up(world, handle=handle)


@pytest.mark.parametrize(
    "handle",
    ["ab", "x" * 31, "x" * 10_000, "admin", "4dmin", "аdmin", "h-a", "a b c", "_ana", "ana.", "a..b", "ana\u202e",
     "<b>x", "анна1x", "हाट_market"],
)  # fmt: skip
def test_what_cannot_be_a_handle(handle: str) -> None:
    assert [error.field for error in handles.errors("handle", handle)] == ["handle"]


@pytest.mark.parametrize("handle", ["ana_b", "हाटवाली", "анна", "東京ごはん", "j.r_99", "José"])
def test_what_can_be_a_handle(handle: str) -> None:
    assert handles.errors("handle", handle) == []


@pytest.mark.parametrize(
    ("one", "other"), [("police", "p0l1ce"), ("police", "роliсе"), ("modern", "modem"), ("сосо", "coco")]
)
def test_handles_that_look_alike_have_one_skeleton(one: str, other: str) -> None:
    assert handles.skeleton(one) == handles.skeleton(other)


def test_without_consent_nobody_signs_up(world: World) -> None:
    for consent in ({}, {"granted": [3]}, {"granted": [1], "child_directed": True}):
        with pytest.raises(InvalidInput) as refused:
            sign_up(world, consent=consent, person_id="zoe")
        assert fields_of(refused) == ["consent.granted"]
    with pytest.raises(NotFound):
        world.call("GetProfile", person_id="zoe")


def test_every_field_that_cannot_be_taken_is_named_at_once(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        sign_up(
            world, idempotency_key="", person_id="x" * 65, handle="a", display_name="", bio="b" * 301,
            links=["javascript:alert(1)", "https://ana.example", *["https://x.example"] * 4],
        )  # fmt: skip

    assert fields_of(refused) == [
        "idempotency_key", "person_id", "handle", "display_name", "bio", "links", "links[0]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["\u200b\u200b", "   ", "ana\u202egnp", "a\u0000b", "z\u0300\u0301\u0302\u0303\u0304", "\u3164"]
)
def test_a_name_has_something_to_see_and_does_not_turn_the_writing_around(world: World, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        sign_up(world, display_name=name)
    assert fields_of(refused) == ["display_name"]


def test_a_megabyte_of_text_is_refused_by_its_length(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        sign_up(world, bio="b" * 1_000_000)
    assert [error.value for error in refused.value.errors] == ["1000000 characters"]


def test_markup_is_text_and_comes_back_as_it_was(world: World) -> None:
    bio = "<script>alert(1)</script> & \"quotes\" 'here'"

    assert sign_up(world, bio=bio).bio == bio


def test_an_edit_of_an_older_revision_is_a_conflict(world: World) -> None:
    edited = world.call("EditPerson", person_id="ana", revision=1, handle="ana_new", display_name="Ana")
    assert (edited.revision, edited.handle) == (2, "ana_new")

    with pytest.raises(Conflict):
        world.call("EditPerson", person_id="ana", revision=1, handle="ana_newer", display_name="Ana")
    with pytest.raises(Conflict):
        world.call("EditPerson", person_id="ana", revision=2, handle="bea", display_name="Ana")
    world.call("EditPerson", person_id="bea", revision=1, handle="ana", display_name="Bea")


def test_a_profile_counts_what_everybody_sees_and_shows_the_products(world: World) -> None:
    world.sell(a_product("shoe"), a_product("hat"))
    for number, products in enumerate((["shoe"], ["shoe", "hat"], ["car"]), start=1):
        world.post(number, products=[one for one in products if one != "car"], likes=number)
    hidden = world.post(4, likes=50, products=["hat"], state=PostState.CHECKING)

    profile = world.call("GetProfile", handle="@Ana")

    assert (profile.posts, profile.likes, profile.product_ids) == (3, 6, ("shoe", "hat"))
    assert profile.person.tracking_id == ""
    assert len(world.call("GetProfile", viewer_id="ana", person_id="ana").person.tracking_id) == 32
    assert hidden not in [post.post_id for post in world.call("ListPosts", creator_id="ana").posts]
    own = {post.post_id: post.state for post in world.call("ListPosts", creator_id="ana", viewer_id="ana").posts}
    assert own[hidden] == "checking"


def test_a_handle_that_only_looks_like_hers_is_not_hers(world: World) -> None:
    with pytest.raises(NotFound):
        world.call("GetProfile", handle="аna")


def test_lists_of_posts_go_on_without_gaps_and_repetitions(world: World) -> None:
    posts = [
        world.post(number, hashtags=("look",), state=PostState.CLEAN if number % 3 else PostState.REMOVED)
        for number in range(1, 12)
    ]
    wanted = [post for number, post in enumerate(posts, start=1) if number % 3][::-1]

    for asked in ({"creator_id": "ana"}, {"hashtag": "#Look"}):
        seen: list[str] = []
        cursor = ""
        while True:
            page = world.call("ListPosts", page_size=2, cursor=cursor, **asked)
            seen += [post.post_id for post in page.posts]
            cursor = page.next_cursor
            if not cursor:
                break
        assert seen == wanted


def test_a_cursor_of_another_list_is_refused(world: World) -> None:
    for number in (1, 2):
        world.post(number)
    cursor = world.call("ListPosts", creator_id="ana", page_size=1).next_cursor

    for wrong in (cursor, "x", "ééé", "A" * 5_000):
        with pytest.raises(InvalidInput) as refused:
            world.call("ListPosts", creator_id="bea", cursor=wrong)
        assert fields_of(refused) == ["cursor"]


def test_followers_are_counted_exactly(world: World) -> None:
    world.join("cyd")
    for person in ("bea", "cyd"):
        assert world.relate(person, Relate.FOLLOW, "ana")
        assert not world.relate(person, Relate.FOLLOW, "ana")
    assert world.call("GetProfile", person_id="ana", viewer_id="bea").followed_by_viewer
    assert world.call("GetProfile", person_id="ana").person.followers == 2

    assert world.relate("bea", Relate.UNFOLLOW, "ana")

    assert world.call("GetProfile", person_id="ana").person.followers == 1
    assert world.call("GetProfile", person_id="bea").person.following == 0
    assert world.clock.now_ms() == NOW_MS
