from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from app.demo_feed_summary import moderated
from app.demo_posts import make_posts
from app.demo_seed import seed_into
from app.settings import load
from backends.posts_sql import SqlPostStore
from backends.sql import open_engine, sqlite_url
from protos import catalogue_pb2 as catalogue

pytestmark = pytest.mark.slow

PRODUCTS = [
    catalogue.Product(
        product_id=f"p-{n}", name=f"Boxy parka {n}", brand="House", category=f"kind {n % 4}", price_micros=1_000_000,
        currency="EUR", landing_url="https://shop.example/p", in_stock=True,
    )
    for n in range(12)
]  # fmt: skip


def test_posts_pass_the_checks_at_their_own_times_and_are_copied_the_next_time(tmp_path: Path) -> None:
    settings, told = load({"data_dir": str(tmp_path / "unused")}), Counter[str]()
    posts = make_posts(PRODUCTS, 1_000, seed=1)[:200]

    def seed(folder: str, drafts: int = 200) -> object:
        (tmp_path / folder).mkdir()
        return seed_into(
            settings, tmp_path / folder, tmp_path / "kept", PRODUCTS, posts[:drafts], {},
            lambda what, count: told.update({what: count}),
        )  # fmt: skip

    first = seed("first")
    assert told == {"posts": 200, "creators": 200}

    assert seed("second") == first
    assert told["posts of before"] == 200
    stored = [list(SqlPostStore(open_engine(sqlite_url(tmp_path / name))).all()) for name in ("first", "second")]
    assert stored[0] == stored[1]
    assert len({post.published_at_ms for post in stored[0]}) > 190
    of_moderation = moderated(tmp_path / "second", waiting=0, posted_before=0)
    assert of_moderation.states["published"] > 180
    assert sum(of_moderation.states.values()) == 200

    # Other posts are made anew, in place of those.
    seed("third", drafts=20)
    assert told["posts of before"] == 200


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "letter.txt").write_text("mine")
    (tmp_path / "data").mkdir()

    seeded = seed_into(
        load({"data_dir": str(tmp_path / "unused")}), tmp_path / "data", kept, PRODUCTS,
        make_posts(PRODUCTS, 5, seed=1), {}, lambda what, count: None,
    )  # fmt: skip

    assert seeded.posts == 5
    assert [file.name for file in kept.iterdir()] == ["letter.txt"]
