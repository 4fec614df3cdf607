"""What does a field of somebody else's JSON say? Read tolerantly, cut to what the exchange takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from protos.common_pb2 import (
    PURPOSE_PERSONALISED_ADS,
    PURPOSE_PERSONALISED_CONTENT,
    PURPOSE_REMEMBER,
    PURPOSE_SHARE_WITH_BIDDERS,
)

ALL_PURPOSES = (
    PURPOSE_REMEMBER,
    PURPOSE_PERSONALISED_ADS,
    PURPOSE_PERSONALISED_CONTENT,
    PURPOSE_SHARE_WITH_BIDDERS,
)
# What the exchange takes; a longer one is cut or left out.
MAX_ID_CHARS = 64
MAX_WORD_CHARS = 64
MAX_URL_CHARS = 2048
MAX_DOMAIN_CHARS = 253
MAX_BLOCKED = 256


def of(parent: Any, name: str) -> Any:
    """A field of an object; None when there is no such field or no object."""
    return parent.get(name) if isinstance(parent, dict) else None


def items(value: Any) -> list[Any]:
    """The entries of a list; empty when it is none."""
    return value if isinstance(value, list) else []


def text(value: Any, max_chars: int) -> str:
    """A string or a whole number as text without control characters, cut; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    said = str(value)[: 4 * max_chars].encode("utf-8", "replace").decode("utf-8")
    return "".join(sign for sign in said if sign.isprintable())[:max_chars]


def texts(values: Iterable[Any], max_chars: int, most: int) -> list[str]:
    """Distinct texts in order, at most so many; those that are too long are left out."""
    found: dict[str, None] = {}
    for value in values:
        said = text(value, max_chars + 1).strip()
        if said and len(said) <= max_chars:
            found[said] = None
        if len(found) == most:
            break
    return list(found)


def whole(value: Any) -> int:
    """A whole number of at most 63 bits; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63 else 0


def flag(value: Any) -> bool:
    """Is it 1, "1" or true? Other values, 0 among them, are no."""
    return value in (1, "1", True)
