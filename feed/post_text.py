"""What may a person's text hold, and in which form is it kept?

Text is kept as plain text: never markup, NFC (Unicode Standard Annex #15), without what nobody can see. Characters that
could make it look like another text are refused and not taken out, so that its writer knows.
"""

from __future__ import annotations

import unicodedata

from common.errors import FieldError

# Overrides, embeddings and isolates (UAX #9): they let a text show otherwise than it is stored.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What is not seen and belongs to no script: zero-width space, word joiner, invisible operators, fillers, old marks.
_INVISIBLE = dict.fromkeys(
    [
        *(0x00AD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x2028, 0x2029),
        *range(0x2060, 0x2066),
        *range(0x206A, 0x2070),
        *(0x3164, 0xFEFF, 0xFFA0),
        *range(0xFFF9, 0xFFFC),
        *range(0x1BCA0, 0x1BCA4),
        *range(0x1D173, 0x1D17B),
    ]
)
# Joiners shape letters of many scripts and hold emoji together; alone, or in a row, they only hide something.
_JOINERS = "\u200c\u200d"
# Tags spell the flags of England, Scotland and Wales after a black flag, and hidden messages anywhere else.
_TAGS = range(0xE0000, 0xE0080)
_BLACK_FLAG = "\U0001f3f4"
# More marks on one letter than any script needs cover the lines above and below.
_MOST_MARKS = 8
_MOST_SHOWN = 40


def clean(text: str) -> str:
    """The text as it is kept: NFC, without characters that nobody can see, and without blanks around it."""
    if text.isascii():
        return text.replace("\r\n", "\n").strip()
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").translate(_INVISIBLE))
    if any(char in text for char in _JOINERS) or any(ord(char) in _TAGS for char in text):
        text = _without_stray_marks(text)
    return text.strip()


def errors(field: str, text: str, most_chars: int, *, least_chars: int = 0, allowed: str = "\n") -> list[FieldError]:
    """What is wrong with `text` as it was sent: its length in characters, or what it holds."""
    if not least_chars <= len(text) <= most_chars:
        remedy = f"give {least_chars} to {most_chars}" if least_chars else f"give at most {most_chars}"
        return [FieldError(field, f"{len(text)} characters", remedy)]
    if has_control_characters(text.replace("\r\n", "\n"), allowed=allowed):
        return [FieldError(field, "holds control characters", "take them out; a line break is \\n")]
    if _most_marks(text) > _MOST_MARKS:
        return [FieldError(field, "heaps marks on a letter", f"give at most {_MOST_MARKS} in a row")]
    if least_chars and not clean(text):
        return [FieldError(field, "nothing that can be seen", "write something")]
    return []


def has_control_characters(text: str, *, allowed: str = "") -> bool:
    """Does `text` hold control characters, lone surrogates or marks that turn the direction of writing around?"""
    if text.isprintable():
        return False
    return any(_is_control(char) for char in text if char not in allowed)


def shown(text: str) -> str:
    """`text` as an error message may quote it: short, and without anything that is not printable."""
    return ascii(text) if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]!a}… ({len(text)} characters)"


def _is_control(char: str) -> bool:
    match unicodedata.category(char):
        case "Cc" | "Cs" | "Co":
            return True
        case "Cf":
            return char in _BIDI
        case "Cn":
            # What is not assigned yet to this Python may be an emoji of this year; noncharacters never are.
            return ord(char) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF
        case _:
            return False


def _without_stray_marks(text: str) -> str:
    kept: list[str] = []
    in_flag = False
    for at, char in enumerate(text):
        if ord(char) in _TAGS:
            if in_flag:
                kept.append(char)
            continue
        in_flag = char == _BLACK_FLAG
        if char in _JOINERS:
            after = text[at + 1] if at + 1 < len(text) else " "
            if not kept or kept[-1].isspace() or kept[-1] in _JOINERS or after.isspace():
                continue
        kept.append(char)
    return "".join(kept)


def _most_marks(text: str) -> int:
    if text.isascii():
        return 0
    most = row = 0
    for char in text:
        row = row + 1 if unicodedata.combining(char) else 0
        most = max(most, row)
    return most
