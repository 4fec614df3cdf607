"""What of a text was met by a search, and which part of it is shown? Marks are characters of private use."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

import regex

from feed.social.words import MARK_BEGIN, MARK_END

# So many characters of a long text are shown, with what was met first not far from the beginning.
EXCERPT_CHARS: Final = 160
_BEFORE_CHARS: Final = 40
_WORD: Final = regex.compile(r"[\p{L}\p{M}\p{N}]+")


def marked(text: str, words: Sequence[str]) -> str:
    """The text with marks around each word that is one of `words`, or begins as the last of them does.

    Case and accents do not matter, as they do not to the search. The text holds no marks of its own.
    """
    folded = {folded_word(word) for word in words}
    beginning = folded_word(words[-1]) if words else ""

    def mark(met: regex.Match[str]) -> str:
        word = folded_word(met[0])
        is_met = word in folded or (beginning and word.startswith(beginning))
        return f"{MARK_BEGIN}{met[0]}{MARK_END}" if is_met else met[0]

    return str(_WORD.sub(mark, text))


def excerpt(text: str) -> str:
    """A part of a marked text around what was met first; marks stay in pairs, cuts are shown by `…`."""
    if len(text) <= EXCERPT_CHARS:
        return text
    met = text.find(MARK_BEGIN)
    begin = max(0, met - _BEFORE_CHARS) if met > _BEFORE_CHARS else 0
    begin = text.find(" ", begin) + 1 if begin else 0
    begin = min(begin, met) if met >= 0 else begin
    end = begin + EXCERPT_CHARS
    part = text[begin:end]
    if end < len(text):
        part = part.rpartition(" ")[0] or part
    if part.count(MARK_BEGIN) > part.count(MARK_END):
        # A word that is longer than what is shown.
        part += MARK_END
    return ("…" if begin else "") + part + ("…" if begin + len(part) < len(text) else "")


def folded_word(word: str) -> str:
    """A word as it is compared: case folded, accents of the common block off."""
    plain = unicodedata.normalize("NFKD", word.casefold())
    return "".join(char for char in plain if not "\u0300" <= char <= "\u036f")
