from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from backends.people_sql import SqlPeopleStore
from backends.sql import open_engine, sqlite_url
from feed.social.words import Person, ProfileState


def test_who_signed_up_before_is_kept_and_waits_to_be_checked(tmp_path: Path) -> None:
    engine = open_engine(sqlite_url(tmp_path))
    store = SqlPeopleStore(engine)
    store.sign_up(Person("a" * 32, "ana", "ana", display_name="Ana", tracking_id="t"), "ana", "k", "d")
    with engine.begin() as connection:
        for index in ("ix_people_state", "ix_people_shown_picture", "ix_media_outcome"):
            connection.execute(sa.text(f"DROP INDEX {index}"))
        for table in ("sales_waiting", "upload_days"):
            connection.execute(sa.text(f"DROP TABLE {table}"))
        for column in ("picture", "state", "reasons", "decided_by", "shown", "shown_picture_id"):
            connection.execute(sa.text(f"ALTER TABLE people DROP COLUMN {column}"))
        for column in ("outcome", "decided_by", "revision"):
            connection.execute(sa.text(f"ALTER TABLE media DROP COLUMN {column}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0012_social'"))
    engine.dispose()

    for _ in range(2):
        engine = open_engine(sqlite_url(tmp_path))
        person = SqlPeopleStore(engine).get("a" * 32, "ana")
        assert person is not None
        assert (person.display_name, person.state, person.shown) == ("Ana", ProfileState.CHECKING, None)
        assert SqlPeopleStore(engine).in_state(ProfileState.CHECKING, ("", ""), 5) == [person]
        assert {"sales_waiting", "upload_days"} <= set(sa.inspect(engine).get_table_names())
        engine.dispose()
