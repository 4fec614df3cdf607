"""What may stand in a text that people read: a name, a bio, a comment?"""

from __future__ import annotations

import unicodedata

import regex

from common.errors import FieldError
from feed.post_rules import has_control_characters, shown

# Marks piled on one letter beyond this run over the lines above and below.
_MOST_MARKS = 4
_PILED_MARKS = regex.compile(rf"\p{{M}}{{{_MOST_MARKS + 1},}}")
_INVISIBLE = regex.compile(r"^[\p{Z}\p{C}\p{M}\u3164\uffa0\u115f\u1160\u2800]*$")


def text_errors(
    field: str, text: str, most_chars: int, *, least_chars: int = 0, lines: bool = False
) -> list[FieldError]:
    """Is this text of bounded length, with something to see in it, and without characters that turn the writing
    direction around? Markup is no error: it is text here, and whoever shows it escapes it.
    """
    if len(text) > most_chars:
        return [FieldError(field, f"{len(text)} characters", f"give at most {most_chars}")]
    if len(text.strip()) < least_chars or (least_chars and _INVISIBLE.match(text)):
        return [FieldError(field, shown(text), f"give at least {least_chars} that can be seen")]
    if has_control_characters(text, allowed="\n" if lines else ""):
        remedy = "take out control characters and marks that turn the writing direction around"
        return [FieldError(field, shown(text), remedy)]
    if _PILED_MARKS.search(text):
        return [FieldError(field, shown(text), f"put at most {_MOST_MARKS} marks on one letter")]
    return []


def composed(text: str) -> str:
    """The text as it is stored: NFC, without blanks around it."""
    return unicodedata.normalize("NFC", text).strip()
