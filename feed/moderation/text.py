"""What does a text say, once it is written the plain way? And which characters of it said so?

`plain` undoes what is invisible or mere form: NFKC, small letters, zero-width and bidi characters, piled-up marks.
`folded` also undoes disguise: letters of other scripts among Latin ones, digits for letters, letters with gaps between
them, masked and stretched words. Both keep a map to the original, so that evidence quotes what was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from feed.moderation import words
from feed.moderation.confusables import AMONG_LATIN, ANYWHERE, LEET, LEET_SECOND

# What is beyond is not read: the checker holds such a text for a person.
MOST_CHARACTERS: Final = 10_000
_MOST_MARKS: Final = 2

_URL: Final = re.compile(r"\S*(?:://|www\.)\S*|\S+\.(?:com|net|org|info|biz|co|io|ru|me|tv|tk|ly|shop|xyz)\b\S*")
_TOKEN: Final = re.compile(r"\S+")
_EDGES: Final = re.compile(r"^[^\w@$!|+*]*|[^\w@$!|+*]*$")
# Single letters with one and the same kind of gap: "s p a m", "s.p.a.m", "s-p-a-m"; two blanks end a word.
_SPACED: Final = re.compile(r"(?<![^\W_])[^\W\d_](?:([ .\-_*~·•,/|])[^\W\d_])(?:\1[^\W\d_])+(?![^\W_])")
_STRETCHED: Final = re.compile(r"([^\W\d_])\1{2,}")
_LATIN: Final = re.compile(r"[a-z]")
_MASK: Final = re.compile(r"^[a-z]+[*#%_.\-]+[a-z]+$")


@dataclass(frozen=True, slots=True)
class Mapped:
    """A text and, for each of its characters, the place in the original that it comes from."""

    text: str
    origin: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where [start, end) stands in the original."""
        if not self.origin or start >= end:
            return (0, 0)
        return self.origin[start], self.origin[min(end, len(self.origin)) - 1] + 1

    def replaced(self, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> Mapped:
        """Each match written anew; what a match becomes points at all of the match."""
        parts: list[str] = []
        origin: list[int] = []
        at = 0
        for match in pattern.finditer(self.text):
            fresh = by(match)
            if fresh == match[0]:
                continue
            start, end = match.span()
            parts += (self.text[at:start], fresh)
            origin += self.origin[at:start]
            size = end - start
            # The last new character stands for the last old one, so that a quotation is never cut short.
            places = [start + min(number, size - 1) for number in range(len(fresh))]
            if places:
                places[-1] = end - 1
            origin += [self.origin[place] for place in places]
            at = end
        if not parts:
            return self
        return Mapped("".join([*parts, self.text[at:]]), (*origin, *self.origin[at:]))


@dataclass(frozen=True, slots=True)
class NormalisedText:
    """`hidden` counts characters that nobody sees, `turned` those that turn the direction of reading round.

    Joiners, which many scripts and emoji need, are not counted. `length` is that of the whole text, of which `original`
    was read.
    """

    original: str
    length: int
    plain: Mapped
    folded: Mapped
    hidden: int
    turned: int

    def quote(self, view: Mapped, start: int, end: int, most: int = 80) -> str:
        """What was written where `view` says [start, end), made safe to show: at most `most` characters."""
        first, last = view.span(start, end)
        seen = "".join(" " if _unseen(letter) else letter for letter in self.original[first:last])
        return seen if len(seen) <= most else seen[: most - 1] + "…"


def normalise(text: str, most: int = MOST_CHARACTERS) -> NormalisedText:
    """Both readings of a text; takes anything, in time that grows with at most `most` characters."""
    original = text[:most]
    plain, hidden = _plain(original)
    latin_around = _LATIN.search(plain.text) is not None
    folded = plain if plain.text.isascii() else plain.replaced(_TOKEN, lambda match: _latin_of(match[0], latin_around))
    folded = folded.replaced(_SPACED, _joined).replaced(_TOKEN, lambda match: _undisguised(match[0]))
    turned = 0 if original.isascii() else sum(letter in _TURNING for letter in original)
    return NormalisedText(original, len(text), plain, folded, hidden, turned)


def spelled(text: str) -> str:
    """The text as a browser reads addresses in it: NFKC, small letters, nothing hidden, and every letter kept.

    `plain` and `folded` would turn a name with an accent into the one that it pretends to be.
    """
    if text.isascii() and text.isprintable():
        return text.lower()
    letters = (" " if letter.isspace() else "" if _unseen(letter) else letter for letter in text)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", "".join(letters)).casefold())


def _plain(original: str) -> tuple[Mapped, int]:
    if original.isascii() and original.isprintable():
        return Mapped(original.lower(), tuple(range(len(original)))), 0
    parts: list[str] = []
    origin: list[int] = []
    hidden = marks = 0
    for place, letter in enumerate(original):
        form = _form(letter)
        if form == _MARK:
            marks += 1
            # A mark belongs to its letter where words are spelled with marks, and decorates Latin, Greek and Cyrillic.
            if marks <= _MOST_MARKS and parts and parts[-1] and ord(parts[-1][-1]) >= 0x0590:
                parts.append(letter)
                origin.append(place)
            hidden += marks > _MOST_MARKS
            continue
        marks = 0
        if not form:
            hidden += letter not in _JOINERS
            continue
        parts.append(form)
        origin += [place] * len(form)
    return Mapped("".join(parts), tuple(origin)), hidden


_MARK: Final = "\u0300"
_JOINERS: Final = frozenset("\u200c\u200d\ufe0e\ufe0f\u00ad\ufeff\u200e\u200f")
# Overrides, which no language needs; embeddings and isolates are for mixed text and stay.
_TURNING: Final = frozenset("\u202d\u202e")


@lru_cache(maxsize=65_536)
def _form(letter: str) -> str:
    """How one character is read: "" when it is not seen, _MARK when it is a mark upon the one before."""
    category = unicodedata.category(letter)
    if letter in "\t\n\r\v\f\x85\u2028\u2029" or category == "Zs":
        return " "
    if category in ("Cc", "Cf", "Cs", "Cn", "Co") or letter in _BLANKS:
        return ""
    if category in ("Mn", "Me"):
        # Variation selectors choose how an emoji looks.
        return "" if "\ufe00" <= letter <= "\ufe0f" else _MARK
    form = unicodedata.normalize("NFKC", letter).casefold()
    form = "".join(ANYWHERE.get(part, part) for part in form)
    if ord(form[0]) < 0x0530 or 0x1E00 <= ord(form[0]) < 0x2000:
        bare = "".join(part for part in unicodedata.normalize("NFKD", form) if unicodedata.category(part) != "Mn")
        # й and ё are letters of their own.
        form = bare if bare and letter.casefold() not in "йїў" else form
    return "".join(" " if part.isspace() else part for part in form)


# Letters by category, blank to the eye.
_BLANKS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")


def _unseen(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Cn", "Co") or letter in _BLANKS


def _latin_of(token: str, latin_around: bool) -> str:
    """Look-alikes of other scripts become Latin in a word that has Latin letters, or that is all look-alikes."""
    if token.isascii():
        return token
    if not any(letter in AMONG_LATIN for letter in token):
        return token
    letters = [letter for letter in token if letter.isalpha()]
    mixed = _LATIN.search(token) is not None
    if mixed or (latin_around and all(letter in AMONG_LATIN for letter in letters)):
        return "".join(AMONG_LATIN.get(letter, letter) for letter in token)
    return token


def _joined(match: re.Match[str]) -> str:
    spaced = match[0]
    letters = spaced[::2]
    # Three single letters by blanks are often just that ("u r a"): only a listed word is meant then.
    if len(letters) == 3 and match[1] == " " and letters not in words.COARSE:
        return spaced
    return letters


def _undisguised(token: str) -> str:
    # Most are words of letters alone, in which nothing can be disguised but by stretching them.
    if token.isalpha() and not _STRETCHED.search(token):
        return token
    if len(token) > words.LONGEST + 30 or _URL.fullmatch(token):
        return token
    edges = _EDGES.match(token)
    start = edges.end() if edges else 0
    end = len(token) - len(_trailing(token[start:]))
    core = token[start:end]
    if not core:
        return token
    return token[:start] + _word(core) + token[end:]


def _trailing(token: str) -> str:
    at = len(token)
    while at and not (token[at - 1].isalnum() or token[at - 1] in "@$!|+*"):
        at -= 1
    return token[at:]


def _word(core: str) -> str:
    if core in words.COARSE or (core.isalpha() and not _STRETCHED.search(core)):
        return core
    if "*" in core or _MASK.match(core):
        found = _unmasked(core)
        if found:
            return found
    if not core.isalpha() and any(letter.isalpha() for letter in core):
        core = _letters_for_digits(core)
    if _STRETCHED.search(core):
        once = _STRETCHED.sub(r"\1", core)
        core = once if once in words.COARSE else _STRETCHED.sub(r"\1\1", core)
    return core


def _letters_for_digits(core: str) -> str:
    """Signs between letters are read as letters; at the ends only where that makes a listed word."""
    bare = core.rstrip("!")
    for table in (LEET, {**LEET, **LEET_SECOND}):
        for form in (core, bare):
            whole = "".join(table.get(letter, letter) for letter in form)
            for word in (whole, _STRETCHED.sub(r"\1", whole), _STRETCHED.sub(r"\1\1", whole)):
                if word in words.COARSE and any(letter.isalpha() for letter in form):
                    return word
    first = next(at for at, letter in enumerate(core) if letter.isalpha())
    last = next(at for at in range(len(core) - 1, -1, -1) if core[at].isalpha())
    middle = core[first : last + 1]
    # More digits than letters is a number, a size or a code.
    signs = sum(letter in LEET and not letter.isalpha() for letter in middle)
    if not signs or signs > len(middle) - signs or ("@" in middle and "." in middle):
        return core
    return core[:first] + "".join(LEET.get(letter, letter) for letter in middle) + core[last + 1 :]


@lru_cache(maxsize=4_096)
def _unmasked(core: str) -> str:
    """The first listed word that a mask such as "f**k" leaves open; "" when there is none, or too much is masked."""
    pattern = re.compile("".join("." if letter in "*#%_-." else re.escape(letter) for letter in core))
    shown = sum(letter.isalpha() for letter in core)
    if shown < 2 or shown * 2 < len(core):
        return ""
    return next((word for word in words.IN_ORDER if len(word) == len(core) and pattern.fullmatch(word)), "")
