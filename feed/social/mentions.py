"""Which hashtags and mentions are in a text? One tokeniser for captions, comments and whoever links them."""

from __future__ import annotations

from typing import Final

import msgspec
import regex

from feed.post_rules import MAX_HASHTAG_CHARS, MAX_HASHTAGS, normalised_hashtags
from feed.social import handles

# Of one text; what comes beyond stays plain text, so that a post cannot ring at a thousand doors.
MOST_MENTIONS: Final = 20

# A mark begins a token only where a word could begin: not within addresses (`a@b.example`, `/#top`, `&#39;`).
_TOKEN: Final = regex.compile(
    r"(?<![\p{L}\p{M}\p{N}_@#/&.])(?:#(?P<tag>[\p{L}\p{M}\p{N}_]+)|@(?P<handle>[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}_]|\.(?=[\p{L}\p{N}]))*))"
)


class Token(msgspec.Struct, frozen=True):
    """A hashtag or a mention: text[begin:end] with its sign, and what it names, as it is compared."""

    begin: int
    end: int
    is_mention: bool
    name: str


class Tokens(msgspec.Struct, frozen=True):
    """The tokens of a text, in their order; hashtags and handles each once, at most 30 and 20."""

    tokens: tuple[Token, ...]

    @property
    def hashtags(self) -> tuple[str, ...]:
        """As they are compared: NFKC, lower case, without `#`."""
        return tuple(dict.fromkeys(token.name for token in self.tokens if not token.is_mention))

    @property
    def mentions(self) -> tuple[str, ...]:
        """Handles as they are compared, without `@`."""
        return tuple(dict.fromkeys(token.name for token in self.tokens if token.is_mention))


def tokens_of(text: str) -> Tokens:
    """Find hashtags and mentions. A number alone is no hashtag (`#1`), one that is too long is none either."""
    found: list[Token] = []
    counts: dict[bool, set[str]] = {False: set(), True: set()}
    for match in _TOKEN.finditer(text):
        handle = match["handle"]
        name = handles.normalised(handle) if handle else normalised_hashtags([match["tag"]])[0]
        if not _is_taken(name, is_mention=bool(handle)):
            continue
        known = counts[bool(handle)]
        if name not in known and len(known) >= (MOST_MENTIONS if handle else MAX_HASHTAGS):
            continue
        known.add(name)
        found.append(Token(match.start(), match.end(), bool(handle), name))
    return Tokens(tuple(found))


def _is_taken(name: str, *, is_mention: bool) -> bool:
    if is_mention:
        return handles.LEAST_CHARS <= len(name) <= handles.MOST_CHARS
    return 0 < len(name) <= MAX_HASHTAG_CHARS and not name.isnumeric()
