"""Can this text be taken? Names, words and addresses that advertisers send, bounded and put into one form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from common.errors import FieldError

MAX_NAME_CHARS = 200
MAX_VALUES = 200
MAX_VALUE_CHARS = 200
MAX_URL_CHARS = 2048
MAX_KEY_CHARS = 64

# What cannot be seen and could forge a line of a log or hide in a name: control, unassigned, surrogate, private use,
# line and paragraph separators, and characters that turn the direction of writing.
_UNSEEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

Errors = list[FieldError]


def checked_text(field: str, text: str, most_chars: int, errors: Errors) -> str:
    """Text without white space around it, at most so long and without unseen characters; it may be empty."""
    text = text.strip()
    if len(text) > most_chars:
        errors.append(FieldError(field, f"has {len(text)} characters", f"give at most {most_chars}"))
    elif any(unicodedata.category(character) in _UNSEEN or character in _TURNS for character in text):
        errors.append(FieldError(field, f"{text[:60]!r} holds control characters", "leave them out"))
    return text


def checked_name(field: str, name: str, errors: Errors) -> str:
    """A name: text that is not empty."""
    name = checked_text(field, name, MAX_NAME_CHARS, errors)
    if not name:
        errors.append(FieldError(field, "is empty", f"give 1 to {MAX_NAME_CHARS} characters"))
    return name


def check_key(field: str, key: str, errors: Errors) -> None:
    """An idempotency key: 1 to 64 characters that can be seen, none of them cut off or changed."""
    if not key:
        errors.append(FieldError(field, "is empty", "give each write a key of its own, as a UUID"))
    elif len(key) > MAX_KEY_CHARS:
        errors.append(FieldError(field, f"has {len(key)} characters", f"give at most {MAX_KEY_CHARS}"))
    elif not key.isprintable():
        errors.append(FieldError(field, f"{key!r} holds control characters", "leave them out"))


def checked_url(field: str, url: str, errors: Errors, *, required: bool) -> str:
    """An http or https address with a host and without a user name; empty where it is not required."""
    url = url.strip()
    if not url:
        if required:
            errors.append(FieldError(field, "is empty", "give an address that starts with https://"))
        return url
    complaint = _url_complaint(url)
    if complaint:
        errors.append(FieldError(field, complaint, "give an address as in https://shop.example/page"))
    return url


def _url_complaint(url: str) -> str:
    if len(url) > MAX_URL_CHARS:
        return f"has {len(url)} characters, more than {MAX_URL_CHARS}"
    # urlsplit forgives what browsers read otherwise, so what it forgives is refused first.
    if not url.isprintable() or any(character in ' "<>\\^`{|}' for character in url):
        return f"{url[:60]!r} holds characters that an address must escape"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"{url[:60]!r} is no address: {error}"
    if parts.scheme not in ("http", "https"):
        return f"{url[:60]!r} is neither http nor https"
    if "@" in parts.netloc:
        return f"of {host!r} carries a user name"
    if not host or port == 0 or not re.match(r"https?://[^/]", url, re.IGNORECASE):
        return f"{url[:60]!r} has no host"
    return ""


def checked_values(
    field: str,
    values: Sequence[str],
    errors: Errors,
    form: Callable[[str], str] = str,
    pattern: re.Pattern[str] | None = None,
    remedy: str = "",
) -> tuple[str, ...]:
    """Words of a targeting list: trimmed, in one `form`, each once, each of the `pattern`."""
    if len(values) > MAX_VALUES:
        errors.append(FieldError(field, f"has {len(values)} values", f"give at most {MAX_VALUES}"))
        return ()
    kept: dict[str, None] = {}
    for at, value in enumerate(values):
        here = f"{field}[{at}]"
        before = len(errors)
        value = form(checked_text(here, value, MAX_VALUE_CHARS, errors))
        if len(errors) > before:
            continue
        if not value:
            errors.append(FieldError(here, "is empty", "leave it out"))
        elif pattern and not pattern.fullmatch(value):
            errors.append(FieldError(here, f"is {value[:60]!r}", remedy))
        kept[value] = None
    return tuple(kept)
