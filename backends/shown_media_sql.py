"""May others than its creator fetch a medium? When something they see shows it, and no moderator took it away."""

from __future__ import annotations

from sqlalchemy import Engine, exists, or_, select

from backends.sql import reading
from backends.sql_tables_media import MEDIA
from backends.sql_tables_posts import POST_MEDIA, POSTS
from backends.sql_tables_social import PEOPLE
from feed.post_states import Reach
from feed.verdict import Outcome


class SqlShownMedia:
    """One look for each file that is fetched; may be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def is_shown(self, media_id: str) -> bool:
        """In a post that others see, or in what others see of a profile."""
        in_post = exists().where(
            POST_MEDIA.c.media_id == media_id,
            POSTS.c.post_id == POST_MEDIA.c.post_id,
            POSTS.c.reach > int(Reach.AUTHOR),
        )
        in_profile = exists().where(PEOPLE.c.shown_picture_id == media_id)
        taken = exists().where(MEDIA.c.media_id == media_id, MEDIA.c.outcome > int(Outcome.CLEAN))
        with reading(self._engine) as connection:
            return bool(connection.execute(select(or_(in_post, in_profile) & ~taken)).scalar())
