"""How long is a page of a list of posts, and where does the next one begin?"""

from __future__ import annotations

from typing import Final

from common.errors import FieldError, InvalidInput
from feed.post import Post
from feed.post_rules import shown

MAX_PAGE: Final = 100
_USUAL_PAGE: Final = 20


def cursor_after(post: Post) -> str:
    """Where a list of posts goes on after this one."""
    return f"{post.published_at_ms}-{post.post_id}"


def place_of(cursor: str) -> tuple[int, str] | None:
    """(publication in ms since 1970, post id) that a cursor stands for; None for "", InvalidInput for what is none."""
    if not cursor:
        return None
    at, _, post_id = cursor.partition("-")
    if not (at.isascii() and at.isdecimal() and len(at) <= 15 and len(cursor) <= 64 and post_id.isalnum()):
        raise InvalidInput([FieldError("cursor", shown(cursor), "give next_cursor of the page before, or nothing")])
    return int(at), post_id


def page_size(limit: int) -> int:
    """How many posts a page has; InvalidInput beyond the bounds."""
    if not 0 <= limit <= MAX_PAGE:
        raise InvalidInput([FieldError("page_size", str(limit), f"give 1 to {MAX_PAGE}, or 0 for {_USUAL_PAGE}")])
    return limit or _USUAL_PAGE
