"""How is an engine's address read? Readers of URLs and brokers, and how one is shown without its password."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_HOST = r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?"
_HOSTS = re.compile(rf"{_HOST}(,{_HOST}){{0,99}}")
_BROKERS = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):\d{1,5}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# Up to the last @: in a password that nobody escaped anything may stand. Several URLs are looked at one by one.
_PASSWORD = re.compile(r"(?<=://)([^:@/]*):.*@|([?&;]password=)[^&;]*", re.IGNORECASE | re.DOTALL)
_NEXT_URL = re.compile(r",(?=[a-z+]+://)")


def without_password(text: str) -> str:
    """The text with `***` where a URL in it has a password."""
    return ",".join(
        _PASSWORD.sub(lambda found: found[2] + "***" if found[2] else f"{found[1]}:***@", url)
        for url in _NEXT_URL.split(text)
    )


def database(raw: object) -> str:
    """The URL of a PostgreSQL, of a SQLite file that nodes of one machine share, or nothing."""
    if isinstance(raw, str) and raw.startswith("sqlite:////") and raw.isprintable() and len(raw) <= 2048:
        return raw.strip()
    return _url(raw, ("postgresql", "postgresql+psycopg"), "postgresql://haat:PASSWORD@db.example:5432/haat", path=True)


def elasticsearch(raw: object) -> str:
    """One URL or several with commas, or nothing."""
    if not isinstance(raw, str):
        raise ValueError("give http:// or https:// and a host, as in https://USER:PASSWORD@search.example:9200")
    urls = [part.strip().rstrip("/") for part in raw.split(",") if part.strip()]
    return ",".join(_url(url, ("http", "https"), "https://USER:PASSWORD@search.example:9200") for url in urls)


def redis(raw: object) -> str:
    """The URL of a Redis, of its sentinels or of a cluster, or nothing."""
    schemes = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
    return _url(raw, schemes, "redis://:PASSWORD@cache.example:6379/0", path=True)


def brokers(raw: object) -> str:
    """Hosts with ports, several with commas or as a list, or nothing."""
    entries = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError("give brokers such as kafka-1.example:9092, several with commas")
    names = [entry.strip() for entry in entries if entry.strip()]
    if len(names) > 100 or not all(_BROKERS.fullmatch(name) for name in names):
        raise ValueError("give brokers such as kafka-1.example:9092, several with commas")
    return ",".join(names)


def name(raw: object) -> str:
    """What begins names of a shared engine, or names a node: small letters, digits, dashes."""
    if not isinstance(raw, str) or not _NAME.fullmatch(raw.strip()):
        raise ValueError("give 1 to 32 small letters, digits, dashes and underscores, a letter or digit first")
    return raw.strip()


def _url(raw: object, schemes: tuple[str, ...], example: str, *, path: bool = False) -> str:
    remedy = f"give an address such as {example}"
    if not isinstance(raw, str) or not raw.isprintable() or len(raw) > 2048:
        raise ValueError(remedy)
    text = raw.strip()
    if not text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(remedy) from None
    hosts = parts.netloc.rpartition("@")[2]
    if parts.scheme not in schemes or not _HOSTS.fullmatch(hosts) or any(char.isspace() for char in text):
        raise ValueError(remedy)
    if not path and parts.path:
        raise ValueError(remedy + ", without a path")
    return text
