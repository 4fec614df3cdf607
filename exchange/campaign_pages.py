"""Which part of a list comes next? Pages in the order in which things were made, by a token that only we can read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec

from common.errors import FieldError

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
_MAX_TOKEN_CHARS = 200


class Numbered(Protocol):
    """Anything that the store gave a number."""

    @property
    def number(self) -> int:
        """Grows with each thing that is made."""


NumberedT = TypeVar("NumberedT", bound=Numbered)


class Page(msgspec.Struct, Generic[NumberedT], frozen=True):
    """A part of a list; `next_page_token` is empty on the last one."""

    items: list[NumberedT]
    next_page_token: str


class PageAsked(msgspec.Struct, frozen=True):
    """Which page: at most `size` things of the list `of` beyond the number `after`."""

    of: str
    size: int
    after: int

    def cut(self, read: Callable[[int, int], list[NumberedT]]) -> Page[NumberedT]:
        """The page; `read(after_number, limit)` is asked for one thing more than fits, to see if the list goes on."""
        found = read(self.after, self.size + 1)
        if len(found) <= self.size:
            return Page(found, "")
        items = found[: self.size]
        return Page(items, _token(self.of, items[-1].number))


def asked_page(of: str, page_size: int, page_token: str, errors: list[FieldError]) -> PageAsked:
    """The page that a request asks for; `of` names the list, as a token of one list does not fit another."""
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        errors.append(FieldError("page_size", f"is {page_size}", f"give 1 to {MAX_PAGE_SIZE}, or 0 for the default"))
    after = _after(of, page_token) if page_token else 0
    if after is None:
        errors.append(FieldError("page_token", "is not one of this list", "send next_page_token of the last answer"))
    return PageAsked(of, page_size or DEFAULT_PAGE_SIZE, after or 0)


def _token(of: str, number: int) -> str:
    return base64.urlsafe_b64encode(f"{of} {number}".encode()).decode().rstrip("=")


def _after(of: str, token: str) -> int | None:
    if len(token) > _MAX_TOKEN_CHARS:
        return None
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    list_name, _, number = text.rpartition(" ")
    if list_name != of or not number.isdecimal() or len(number) > 18:
        return None
    return int(number)
