"""What may a handle be, and which handles look alike?"""

from __future__ import annotations

import unicodedata
from typing import Final

import regex

from common.errors import FieldError
from feed.post_rules import shown

LEAST_CHARS: Final = 3
MOST_CHARS: Final = 30

# Names that would speak for the shop or open a page of its own.
RESERVED: Final = frozenset(
    {
        "about", "abuse", "account", "admin", "administrator", "api", "billing", "careers", "contact", "everyone",
        "explore", "feed", "haat", "help", "here", "home", "hostmaster", "info", "legal", "login", "logout", "me",
        "moderation", "moderator", "news", "null", "official", "postmaster", "press", "privacy", "root", "sales",
        "search", "security", "settings", "shop", "signup", "staff", "status", "support", "system", "team", "terms",
        "undefined", "user", "verified", "webmaster", "www",
    }
)  # fmt: skip

_FORM = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}_.]*")
_SCRIPTS = ("Latin", "Cyrillic", "Greek", "Devanagari", "Arabic", "Hebrew", "Han", "Hiragana", "Katakana", "Hangul",
            "Bengali", "Tamil", "Telugu", "Thai", "Armenian", "Georgian", "Gujarati", "Gurmukhi", "Kannada",
            "Malayalam", "Ethiopic", "Khmer", "Lao", "Myanmar", "Sinhala")  # fmt: skip
_OF_SCRIPT = {script: regex.compile(rf"\p{{Script={script}}}") for script in _SCRIPTS}
# Scripts that are written together in one word.
_TOGETHER: Final = (frozenset({"Han", "Hiragana", "Katakana"}), frozenset({"Han", "Hangul"}))

# Letters that look like others: to the Latin letter that they look like. Of Unicode's confusables those that a handle
# can hold; several letters that read as one come first.
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_LOOKS_LIKE: Final = str.maketrans(
    "01345789" + "ilj" + "авсеһіјӏкмнорѕтухѵԁԛԝьзгёїўбп" + "αβγεηικνορτυχωμ" + "ßøđłħŧıȷæœþðŋ",
    "oieastbg" + "iii" + "abcehiiikmhopstyxvdqwbereiybn" + "abyenikvoptuxwu" + "bodlhtiiaepdn",
)  # fmt: skip
_SEPARATORS: Final = str.maketrans("", "", "_.")


def normalised(handle: str) -> str:
    """The handle as it is stored and compared: NFKC, lower case, without `@`."""
    return unicodedata.normalize("NFKC", handle).removeprefix("@").casefold()


def skeleton(handle: str) -> str:
    """What the handle looks like, at most 64 characters: handles that look alike have the same.

    Example: `p0lice`, `роlice` (with Cyrillic letters) and `po.lice` look like `police`.
    """
    plain = unicodedata.normalize("NFKD", normalised(handle))
    plain = "".join(char for char in plain if not _is_accent(char)).translate(_SEPARATORS).translate(_LOOKS_LIKE)
    for pair, letter in _PAIRS:
        plain = plain.replace(pair, letter)
    return plain[:64]


def errors(field: str, handle: str) -> list[FieldError]:
    """Why this handle cannot be had, whoever has which others."""
    if len(handle) > 4 * MOST_CHARS:
        return [FieldError(field, f"{len(handle)} characters", f"give {LEAST_CHARS} to {MOST_CHARS}")]
    plain = normalised(handle)
    if not LEAST_CHARS <= len(plain) <= MOST_CHARS:
        return [FieldError(field, shown(handle), f"give {LEAST_CHARS} to {MOST_CHARS} characters")]
    if not _FORM.fullmatch(plain) or plain.endswith(".") or ".." in plain:
        remedy = "give letters, digits, `_` and single `.`, beginning with a letter or digit"
        return [FieldError(field, shown(handle), remedy)]
    if not _of_one_script(plain):
        return [FieldError(field, shown(handle), "give letters of one script: mixed ones pass for others")]
    if skeleton(plain) in _RESERVED_SKELETONS:
        return [FieldError(field, shown(handle), "give another: this one speaks for the shop, or looks as if")]
    return []


def _of_one_script(handle: str) -> bool:
    letters = [char for char in handle if unicodedata.category(char)[0] == "L"]
    scripts = {next((name for name, one in _OF_SCRIPT.items() if one.match(char)), "") for char in letters}
    return "" not in scripts and (len(scripts) <= 1 or any(scripts <= family for family in _TOGETHER))


def _is_accent(char: str) -> bool:
    # Vowel signs of Indic scripts are marks too, and say something: only accents of the common block are looks.
    return "\u0300" <= char <= "\u036f"


_RESERVED_SKELETONS: Final = frozenset(skeleton(name) for name in RESERVED)
