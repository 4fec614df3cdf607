"""What may not stand in a log line? Data of a person is taken out here, whoever wrote it there."""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath

from common.errors import HaatError, InvalidInput

MASK = "***"

# fmt: off
_KEYS = frozenset({
    "affinities", "api_key", "address", "authorization", "client", "cookie", "cookies", "credentials", "email",
    "forwarded", "ip", "latitude", "longitude", "metadata", "password", "peer", "phone", "query", "query_string",
    "referer", "referrer", "remote_addr", "remote_address", "secret", "segments", "session", "set_cookie", "token",
    "user", "user_agent", "user_id", "username", "visitor", "wire", "x_forwarded_for",
})
# fmt: on
# A session, a visitor or a secret stays what it is under a longer name.
_KEY_ENDS = ("visitor_id", "session_id", "api_key", "_ip", "_email", "_token", "_secret", "_password", "_cookie")

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)([^\s\"'<>?#]*)([?#][^\s\"'<>]*)?")
_PATH_QUERY = re.compile(r"(/[^\s\"'<>?#]*)\?[^\s\"'<>]*")
_SECRET_IN_TEXT = re.compile(
    r"(?i)\b((?:x[-_])?api[-_]?key|visitor[-_]?id|session[-_]?id|token|password)(\s*[=:]\s*)\S+"
)
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_MAYBE_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w])")
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|b'[^'\n]*'")

_DEEPEST = 6
_LONGEST = 4096


def is_personal(key: str) -> bool:
    """Does a value under this key belong to a person or open a door?"""
    plain = key.lower().replace("-", "_")
    return plain in _KEYS or plain.endswith(_KEY_ENDS)


def clean(value: object, key: str = "", depth: int = 0) -> object:
    """The value as it may be logged: plain data with personal parts masked; of any other object only its type."""
    if value is None or isinstance(value, (bool, int, float)):
        return MASK if key and is_personal(key) and value is not None else value
    if key and is_personal(key):
        return MASK
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, (PurePath, datetime.date, datetime.timedelta)):
        return clean_text(str(value))
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {message_of(value)}"
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {clean_text(str(name)): clean(entry, str(name), depth + 1) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(entry, "", depth + 1) for entry in value]
    # A message or a value type prints all of its fields, so nothing of it is printed.
    return f"<{type(value).__name__}>"


def clean_text(text: str) -> str:
    """Text without queries of URLs, addresses of other machines, e-mail addresses and keys; cut at 4,096 characters."""
    text = text[:_LONGEST]
    text = _URL.sub(lambda found: found[1] + found[2].rpartition("@")[2] + ("?…" if found[3] else ""), text)
    text = _PATH_QUERY.sub(r"\1?…", text)
    text = _SECRET_IN_TEXT.sub(rf"\1\2{MASK}", text)
    text = _EMAIL.sub(MASK, text)
    return _MAYBE_ADDRESS.sub(_address, text)


def message_of(error: BaseException) -> str:
    """What an exception says, without what it quotes: refused input is named by its fields alone.

    Our own sentences and those of the operating system name files and remedies, so they keep their quotes.
    """
    if isinstance(error, InvalidInput):
        return "cannot take " + ", ".join(found.field for found in error.errors)
    said = clean_text(str(error))
    if isinstance(error, (HaatError, OSError, ImportError)):
        return said
    return _QUOTED.sub("'…'", said)


def _address(found: re.Match[str]) -> str:
    """Addresses of this machine tell nothing about a person: they stay, as does what only looks like an address."""
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return found[0]
    return found[0] if address.is_loopback or address.is_unspecified else MASK
