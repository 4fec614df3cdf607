from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.posts_sql import SqlPostStore
from backends.sql import open_engine, sqlite_url
from common.clock import SteppedClock
from common.errors import Conflict, InvalidInput, NotFound
from feed.post import PostState, ProductTag
from feed.posts import Posts
from tests.feed_builders import NOW_MS, TENANT, Shop, a_draft, a_product


@pytest.fixture
def shop() -> Shop:
    return Shop([a_product("shoe")])


@pytest.fixture
def posts(tmp_path: Path, shop: Shop) -> Iterator[Posts]:
    engine = open_engine(sqlite_url(tmp_path))
    yield Posts(store=SqlPostStore(engine), clock=SteppedClock(NOW_MS), products=shop)
    engine.dispose()


def fields_of(posts: Posts, key: str = "key", **changes: Any) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        posts.create(TENANT, key, a_draft(**changes))
    return [error.field for error in refused.value.errors]


def test_a_post_is_published_now_with_normalised_hashtags(posts: Posts) -> None:
    post = posts.create(TENANT, "key", a_draft(caption="Hi\nyou", hashtags=("#Boots", "boots", "ＲＥＤ", "हाट")))

    assert post.published_at_ms == NOW_MS
    assert post.hashtags == ("boots", "red", "हाट")
    assert post.state is PostState.PUBLISHED
    assert posts.get(TENANT, post.post_id) == post


def test_the_same_key_gives_the_same_post_and_another_request_a_conflict(posts: Posts) -> None:
    post = posts.create(TENANT, "key", a_draft())

    assert posts.create(TENANT, "key", a_draft()) == post
    with pytest.raises(Conflict):
        posts.create(TENANT, "key", a_draft(caption="other"))
    with pytest.raises(Conflict):
        posts.withdraw(TENANT, "key", post.post_id)
    assert posts.create("b" * 32, "key", a_draft()).post_id != post.post_id


def test_a_repeated_request_is_answered_even_when_the_product_is_gone(posts: Posts, shop: Shop) -> None:
    draft = a_draft(product_tags=(ProductTag("shoe", 0.5, 0.5),))
    post = posts.create(TENANT, "key", draft)
    shop.by_id.clear()

    assert posts.create(TENANT, "key", draft) == post


def test_every_field_that_cannot_be_taken_is_named_at_once(posts: Posts) -> None:
    fields = fields_of(
        posts,
        key="",
        creator_id="",
        caption="x" * 2201,
        image_urls=("https://img.example/1.jpg", "javascript:alert(1)"),
        product_tags=(
            ProductTag("shoe", 0, 1),
            ProductTag("unknown", 0.5, 0.5),
            ProductTag("shoe", math.nan, 1.01),
            ProductTag("", -0.1, math.inf),
        ),
        hashtags=("fine", "two words"),
        published_at_ms=NOW_MS + 10_000_000,
        claimed=("likes",),
    )

    assert sorted(fields) == sorted([
        "idempotency_key", "post.creator_id", "post.caption", "post.image_urls[1]", "post.product_tags[1].product_id",
        "post.product_tags[2].x", "post.product_tags[2].y", "post.product_tags[3].product_id",
        "post.product_tags[3].x", "post.product_tags[3].y", "post.hashtags[1]", "post.published_at_ms", "post.likes",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"caption": "bell \x07"}, "post.caption"),
        ({"caption": "turned \u202e round"}, "post.caption"),
        ({"caption": "nul \x00"}, "post.caption"),
        ({"image_urls": ()}, "post.image_urls"),
        ({"image_urls": ("https://img.example/1.jpg",) * 11}, "post.image_urls"),
        ({"image_urls": ("ftp://img.example/1.jpg",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://user:word@img.example/",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://img.example/a b",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://[broken/",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://img.example:99999/",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://img.example/" + "a" * 2048,)}, "post.image_urls[0]"),
        ({"product_tags": (ProductTag("shoe", 0.5, 0.5),) * 21}, "post.product_tags"),
        ({"hashtags": ("#",)}, "post.hashtags[0]"),
        ({"hashtags": ("a" * 101,)}, "post.hashtags[0]"),
        ({"hashtags": tuple(f"t{n}" for n in range(31))}, "post.hashtags"),
        ({"published_at_ms": -1}, "post.published_at_ms"),
        ({"creator_id": "a" * 65}, "post.creator_id"),
        ({"creator_id": "a\nb"}, "post.creator_id"),
    ],
)
def test_what_cannot_stand_in_a_post_is_refused_by_its_path(posts: Posts, changes: dict[str, Any], field: str) -> None:
    assert fields_of(posts, **changes) == [field]


@pytest.mark.parametrize("caption", ["", "x" * 2200, "two\nlines", "family 👨‍👩‍👧", "मेरी दुकान", "a\u200cb"], ids=ascii)
def test_captions_of_any_script_are_taken(posts: Posts, caption: str) -> None:
    assert posts.create(TENANT, "key", a_draft(caption=caption)).caption == caption


def test_withdrawing_is_final_and_idempotent(posts: Posts) -> None:
    post = posts.create(TENANT, "key", a_draft())
    withdrawn = posts.withdraw(TENANT, "key 2", post.post_id)

    assert (withdrawn.state, withdrawn.revision) == (PostState.WITHDRAWN, 2)
    assert posts.withdraw(TENANT, "key 2", post.post_id) == withdrawn
    assert posts.withdraw(TENANT, "key 3", post.post_id) == withdrawn


def test_another_tenants_post_does_not_exist(posts: Posts) -> None:
    post = posts.create(TENANT, "key", a_draft())

    for post_id, tenant in ((post.post_id, "b" * 32), ("f" * 32, TENANT), ("'; drop\x00", TENANT), ("", TENANT)):
        with pytest.raises(NotFound):
            posts.get(tenant, post_id)
        with pytest.raises(NotFound):
            posts.withdraw(tenant, "key 2", post_id)
