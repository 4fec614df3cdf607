"""How does a list go on? Cursors of the social part's lists: where the page before ended, readable by nobody else."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from common.errors import FieldError, InvalidInput
from feed.post_rules import shown

MOST_ON_A_PAGE = 50
DEFAULT_PAGE_SIZE = 20
_MAX_CURSOR_CHARS = 1_024
# Later than anything, for lists that begin with the newest.
FROM_THE_NEWEST = (1 << 62, "\U0010ffff")

_PLACE = msgspec.json.Decoder(tuple[str, int, str])


def size_of(page_size: int) -> int:
    """How many are on the page; InvalidInput when it is more than 50."""
    if not 0 <= page_size <= MOST_ON_A_PAGE:
        remedy = f"give 1 to {MOST_ON_A_PAGE}, or 0 for {DEFAULT_PAGE_SIZE}"
        raise InvalidInput([FieldError("page_size", str(page_size), remedy)])
    return page_size or DEFAULT_PAGE_SIZE


def cursor_of(listed: str, number: int, name: str) -> str:
    """The cursor after an entry of the list that is called `listed`: a number and a name say which."""
    return urlsafe_b64encode(msgspec.json.encode((listed, number, name))).decode().rstrip("=")


def place_of(listed: str, cursor: str, beginning: tuple[int, str]) -> tuple[int, str]:
    """Where the list goes on; `beginning` without a cursor. InvalidInput for a cursor of another list.

    A cursor opens nothing: what it leads to is looked at as any request is, so it need not be signed.
    """
    if not cursor:
        return beginning
    try:
        bounded = cursor if len(cursor) <= _MAX_CURSOR_CHARS and cursor.isascii() else ""
        of, number, name = _PLACE.decode(urlsafe_b64decode(bounded + "=" * (-len(bounded) % 4)))
    except (ValueError, msgspec.DecodeError):
        of, number, name = "", 0, ""
    if of != listed or not -(1 << 62) <= number <= 1 << 62:
        raise InvalidInput([FieldError("cursor", shown(cursor), "give next_cursor of the same list, or nothing")])
    return number, name
