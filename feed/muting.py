"""Does this text hold a word that somebody does not want to read? One rule for pages, ads, comments and searches."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import regex

from feed.post import Post

# Vowel signs and accents belong to the words of many scripts.
_BETWEEN_WORDS = regex.compile(r"[^\p{L}\p{M}\p{N}]+")


def plain_word(word: str) -> str:
    """A word or words as they are muted: folded, single blanks between. Example: "Weight-Loss" is "weight loss"."""
    return folded(word).strip()


def folded(text: str) -> str:
    """A text as muted words are compared with it: NFKC and without case, its words between single blanks.

    What is neither letter, digit nor a mark on one ends a word: "#Diet", "diet-free" and "don’t" hold "diet" and "t".
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return f" {_BETWEEN_WORDS.sub(' ', plain).strip()} "


def muted(words: tuple[str, ...], text: str) -> bool:
    """Does `text`, which is folded, hold one of `words`, as a word of its own?

    Example: "diet" mutes "My #Diet week" and leaves "dietary advice"; "weight loss" mutes "weight-loss" too.
    """
    pattern = _pattern(words)
    return pattern is not None and pattern.search(text) is not None


def text_of(post: Post) -> str:
    """All that a post says in words, also to those who do not see its pictures; not folded."""
    return "\n".join((post.caption, *post.hashtags, *(medium.alt_text for medium in post.media), post.partner))


@lru_cache(maxsize=1_024)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    plain = {plain_word(word) for word in words} - {""}
    alternatives = "|".join(map(re.escape, sorted(plain, key=lambda word: (-len(word), word))))
    # The pattern is made of escaped literals alone: it runs in linear time whatever the words are.
    return re.compile(f" (?:{alternatives}) ") if alternatives else None
