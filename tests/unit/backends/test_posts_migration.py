"""Do posts that were stored before they had states and media go on as they were?"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text

from backends.posts_sql import SqlPostStore
from feed.post import PostState
from feed.post_states import Reach
from tests.databases import open_database
from tests.feed_builders import NOW_MS, TENANT, a_post

ADDED = ("reach", "publish_at_ms", "verdict", "decided_by", "appeal")


def test_posts_of_before_are_seen_by_everybody_and_withdrawn_ones_by_nobody(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    seen, gone = a_post(1), a_post(2, creator_id="creator-1", state=PostState.WITHDRAWN, revision=2)
    for post in (seen, gone):
        SqlPostStore(engine).create(post, post.post_id, "digest", NOW_MS)
    with engine.begin() as connection:
        for index in ("ix_posts_creator", "ix_posts_publish_at", "ix_posts_state", "ix_post_writes_post"):
            connection.execute(text(f"DROP INDEX {index}"))
        for column in ADDED:
            connection.execute(text(f"ALTER TABLE posts DROP COLUMN {column}"))
        for table in ("post_revisions", "post_history", "post_media", "media"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0006_pacing'"))
    engine.dispose()

    engine = open_database(tmp_path)
    store = SqlPostStore(engine)

    assert list(store.all()) == [seen, gone]
    assert store.by_creator(TENANT, "creator-1", Reach.EVERYBODY, None, 9) == [seen]
    assert store.unchecked(9) == []
    names = {index["name"] for index in inspect(engine).get_indexes("posts")}
    assert {"ix_posts_creator", "ix_posts_publish_at", "ix_posts_state"} <= names
    engine.dispose()
