from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import InvalidInput
from feed.post import PostState
from feed.social.calls import Relate
from tests.feed_builders import TENANT, a_product
from tests.social_worlds import World, social_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana", "bea", "cyd"]) as opened:
        yield opened


def test_posts_products_and_people_are_found_by_one_word(world: World) -> None:
    world.sell(a_product("boot-1", name="Winter boots"), a_product("boot-2", name="Boots", in_stock=False))
    post = world.post(1, caption="my boots", hashtags=("boots",))
    world.join("dee", display_name="Boots & Co")

    assert set(world.found("boots")) == {"boot-1", post, "dee"}
    assert world.found("boots", kinds=[3]) == ["dee"]
    assert world.found("boots", hashtag="#Boots") == [post]
    assert world.found("boots", creator_id="ana") == [post]


def test_what_is_not_clean_is_never_found_even_while_the_index_is_behind(world: World) -> None:
    post = world.post(1, caption="boots")
    assert world.found("boots") == [post]
    for state in (PostState.LIMITED, PostState.CHECKING, PostState.REMOVED, PostState.APPEALED, PostState.WITHDRAWN):
        # Not followed: the index still holds the post.
        catch_up, world.settle = world.settle, lambda: None  # type: ignore[method-assign]
        world.put_state(post, state)
        assert world.found("boots") == world.found("boots", viewer_id="ana") == [], state
        world.settle = catch_up  # type: ignore[method-assign]
        world.settle()
        assert world.found("boots") == []
        world.put_state(post, PostState.CLEAN)
        assert world.found("boots") == [post]


def test_a_product_that_sells_out_is_not_found_and_found_again_when_it_is_back(world: World) -> None:
    world.sell(a_product("boot", name="Boots"))
    assert world.found("boots") == ["boot"]
    world.catalogue.put(TENANT, [a_product("boot", name="Boots", in_stock=False)])
    assert world.found("boots") == []
    world.catalogue.put(TENANT, [a_product("boot", name="Boots")])
    assert world.found("boots") == ["boot"]


def test_muted_words_and_people_are_not_found(world: World) -> None:
    mine, hers = world.post(1, "ana", caption="boots for art"), world.post(2, "bea", caption="boots")
    world.relate("cyd", Relate.MUTE_WORD, "art")
    assert world.found("boots", viewer_id="cyd") == [hers]
    world.relate("cyd", Relate.MUTE, "bea")

    assert world.found("boots", viewer_id="cyd") == []
    assert set(world.found("boots")) == {mine, hers}


def test_muted_words_hold_for_hashtags_products_and_people_too(world: World) -> None:
    post = world.post(1, "ana", caption="boots", hashtags=("fur",))
    world.sell(a_product("boot", name="Boots", brand="Fur & Co"))
    world.join("dee", display_name="Boots of fur")
    assert set(world.found("boots", viewer_id="cyd")) == {post, "boot", "dee"}

    world.relate("cyd", Relate.MUTE_WORD, "#Fur")

    assert world.found("boots", viewer_id="cyd") == []
    assert not world.call("ListPosts", viewer_id="cyd", hashtag="fur").posts
    assert set(world.found("boots", viewer_id="ana")) == {post, "boot", "dee"}


def test_markup_in_what_is_found_is_escaped(world: World) -> None:
    world.post(1, caption="<script>alert('boots')</script> & <img src=x onerror=boots>")
    world.join("dee", display_name="<b>boots</b>", bio="\"'><svg onload=boots()>")

    hits = world.call("Search", words="boots").hits

    assert len(hits) == 2
    for hit in hits:
        for shown in (hit.title_html, hit.snippet_html):
            plain = shown.replace("<mark>", "").replace("</mark>", "")
            assert not set(plain) & set("<>\"'"), shown
        assert "<mark>boots</mark>" in hit.title_html + hit.snippet_html


def test_pages_go_on_without_gaps_and_repetitions(world: World) -> None:
    posts = {world.post(number, caption="boots", state=PostState.CLEAN if number % 3 else PostState.LIMITED)
             for number in range(1, 20)}  # fmt: skip
    seen: list[str] = []
    cursor = ""
    while True:
        page = world.call("Search", words="boots", page_size=3, cursor=cursor)
        seen += [hit.id for hit in page.hits]
        cursor = page.next_cursor
        if not cursor:
            break

    assert len(seen) == len(set(seen)) == 13
    assert set(seen) < posts


def test_a_new_handle_is_found_and_the_old_one_no_longer(world: World) -> None:
    world.call("EditPerson", person_id="ana", revision=1, handle="zoe", display_name="Zoe")

    assert (world.found("zoe"), world.found("ana")) == (["ana"], [])


def test_a_lost_index_is_made_again_from_the_records(world: World) -> None:
    world.sell(a_product("boot", name="Boots"))
    world.post(1, caption="boots")
    world.post(2, caption="boots", state=PostState.REMOVED)
    before = set(world.found("boots"))
    world.close()
    (world.folder / "search.sqlite").unlink()
    world._open()

    assert set(world.found("boots")) == before
    assert len(before) == 2


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"words": ""}, "words"), ({"words": "!?"}, "words"), ({"words": "x" * 201}, "words"),
     ({"words": "x", "creator_id": "\n"}, "creator_id"), ({"words": "x", "page_size": 51}, "page_size"),
     ({"words": "x", "hashtag": "h" * 1_000_000}, "hashtag")],
)  # fmt: skip
def test_what_cannot_be_asked_is_named(world: World, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.call("Search", **asked)
    assert [error.field for error in refused.value.errors] == [field]


def test_another_tenants_things_are_not_found(world: World) -> None:
    world.post(1, caption="boots")

    assert world.call("Search", "b" * 32, words="boots").hits == ()
