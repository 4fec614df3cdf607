"""How does a text, or a value of a TOML file, become the value of a setting? Each reader says what it takes.

A reader raises ValueError whose message is the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

from app.durations import duration_ms
from common import money
from common.errors import InvalidInput
from common.nodes import checked_node
from exchange.openrtb.publishers import ANY_ORIGIN, Publisher

T = TypeVar("T")
Reader = Callable[[object], T]

_WHOLE = re.compile(r"[+-]?\d{1,19}")
_DECIMAL = re.compile(r"\d{1,9}(\.\d{1,9})?")
_ADDRESS = re.compile(r"([A-Za-z0-9.-]{1,200}|\[[0-9A-Fa-f:.]{2,45}\]):\d{1,5}")
_PUBLISHER = re.compile(r"[\x21-\x3a\x3c\x3e-\x7e]{1,64}")
_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]{1,253}(:\d{1,5})?")
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")
_PUBLIC_URL = re.compile(r"https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")


def whole(least: int, most: int) -> Reader[int]:
    """A whole number within `least`..`most`."""
    remedy = f"give a whole number within {least}..{most}"

    def read(raw: object) -> int:
        if isinstance(raw, str) and _WHOLE.fullmatch(raw.strip()):
            raw = int(raw)
        if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw <= most:
            raise ValueError(remedy)
        return raw

    return read


def seconds(least: int, most: int) -> Reader[int]:
    """Whole seconds within `least`..`most`; takes "2m" too."""
    return _duration("s", 1000, least, most)


def milliseconds(least: int, most: int) -> Reader[int]:
    """Whole milliseconds within `least`..`most`; takes "1s" too."""
    return _duration("ms", 1, least, most)


def node(raw: object) -> str:
    """The name of a node."""
    if not isinstance(raw, str):
        raise ValueError("give a name")
    try:
        return checked_node(raw)
    except InvalidInput as error:
        raise ValueError(error.errors[0].remedy) from None


def optional_address(raw: object) -> str:
    """host:port, or nothing."""
    if not isinstance(raw, str) or (raw and not _ADDRESS.fullmatch(raw)):
        raise ValueError("give host:port, as 10.0.0.7:50051")
    return raw


def _duration(unit: str, unit_ms: int, least: int, most: int) -> Reader[int]:
    remedy = f'give {least}..{most} {unit}, as a number or with a unit ("500ms", "30s", "2m")'

    def read(raw: object) -> int:
        if isinstance(raw, str):
            try:
                total_ms = duration_ms(raw, bare_unit=unit)
            except ValueError:
                raise ValueError(remedy) from None
            if total_ms % unit_ms:
                raise ValueError(remedy)
            raw = total_ms // unit_ms
        if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw <= most:
            raise ValueError(remedy)
        return raw

    return read


def share(least: float, most: float) -> Reader[float]:
    """A part of a whole within `least`..`most`."""
    remedy = f"give a number within {least}..{most}"

    def read(raw: object) -> float:
        if isinstance(raw, str) and _DECIMAL.fullmatch(raw.strip()):
            raw = float(raw)
        # A comparison with NaN is false, so NaN is refused here too.
        if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not least <= raw <= most:
            raise ValueError(remedy)
        return float(raw)

    return read


def choice(*names: str) -> Reader[str]:
    """One of `names`."""

    def read(raw: object) -> str:
        if not isinstance(raw, str) or raw.strip().lower() not in names:
            raise ValueError("give one of " + ", ".join(names))
        return raw.strip().lower()

    return read


def host(raw: object) -> str:
    """A host name or an address to listen on."""
    if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,253}", raw.strip()):
        raise ValueError("give a host name or an address, such as 127.0.0.1")
    return raw.strip().strip("[]")


def currency(raw: object) -> str:
    """An ISO 4217 code."""
    if not isinstance(raw, str) or not money.is_currency(raw.strip()):
        raise ValueError("give an ISO 4217 code in capitals, such as EUR")
    return raw.strip()


def hosts(raw: object) -> tuple[str, ...]:
    """Names of hosts with commas or as a list; `*` is any."""
    entries = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError("give names of hosts, such as cdn.shop.example, or *")
    names = tuple(entry.strip().lower() for entry in entries if entry.strip())
    if not all(name == "*" or re.fullmatch(r"[a-z0-9._-]{1,253}", name) for name in names):
        raise ValueError("give names of hosts, such as cdn.shop.example, or *")
    return names


def bucket(raw: object) -> str:
    """A name of a bucket, or nothing."""
    if not isinstance(raw, str) or (raw and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", raw)):
        raise ValueError("give 3 to 63 small letters, digits, dots and hyphens")
    return raw


def word(raw: object) -> str:
    """Letters, digits and hyphens, or nothing."""
    if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9-]{0,64}", raw):
        raise ValueError("give letters, digits and hyphens")
    return raw


def public_url(raw: object) -> str:
    """An http or https address without a path; nothing for none."""
    if not isinstance(raw, str) or (raw and not _PUBLIC_URL.fullmatch(raw.rstrip("/"))):
        raise ValueError(
            "give http:// or https:// and a host, with a port if it needs one, as in https://ads.shop.example"
        )
    return raw.rstrip("/")


def secret(raw: object) -> str:
    """A key, or nothing when empty."""
    if not isinstance(raw, str) or not re.fullmatch(r"[\x21-\x7e]{0,512}", raw.strip()):
        raise ValueError("give a key of at most 512 visible ASCII characters")
    return raw.strip()


def path(raw: object) -> Path:
    """A file or a folder; `~` is the home folder."""
    if isinstance(raw, Path):
        raw = str(raw)
    if not isinstance(raw, str) or not raw.strip() or not raw.isprintable() or len(raw) > 4096:
        raise ValueError("give the path of a file or folder")
    try:
        return Path(raw.strip()).expanduser()
    except RuntimeError:
        raise ValueError("there is no such home folder: write the path in full") from None


def optional_file(raw: object) -> Path | None:
    """A file, or nothing when empty."""
    return None if raw is None or raw == "" else path(raw)


def query_name(raw: object) -> str:
    """The name of a query parameter, or nothing when empty."""
    if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{0,32}", raw.strip()):
        raise ValueError("give at most 32 letters, digits, dots, dashes and underscores, such as click_id")
    return raw.strip()


def prefixes(raw: object) -> tuple[str, ...]:
    """Networks, from a list or a text with commas."""
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise ValueError("give networks such as 10.0.0.0/8, several with commas")
    found = tuple(part.strip() for part in parts if part.strip())
    try:
        for part in found:
            ip_network(part, strict=False)
    except ValueError:
        raise ValueError(f"{part[:60]!r} is no network: write 10.0.0.0/8, several with commas") from None
    return found


def domain(raw: object) -> str:
    """A domain in lower case, or nothing when empty."""
    if not isinstance(raw, str) or (raw.strip() and not _DOMAIN.fullmatch(raw.strip().lower())):
        raise ValueError("give a domain, such as ads.shop.example, or nothing")
    return raw.strip().lower()


def openrtb_publishers(raw: object) -> tuple[Publisher, ...]:
    """Publishers from tables of the TOML file, or from text `id=tenant,origin[,origin]`, several with `;`."""
    if isinstance(raw, str):
        raw = [_publisher_table(entry) for entry in raw.split(";") if entry.strip()]
    if not isinstance(raw, (list, tuple)) or len(raw) > 10_000:
        raise ValueError("give a list of at most 10,000 tables with publisher, tenant, origins")
    found = tuple(_publisher_of(table) for table in raw)
    if len({publisher.publisher_id for publisher in found}) != len(found):
        raise ValueError("give each publisher once")
    return found


def _publisher_table(text: str) -> dict[str, object]:
    publisher_id, has_tenant, rest = text.strip().partition("=")
    tenant, *origins = (part.strip() for part in rest.split(","))
    if not has_tenant:
        raise ValueError("write id=tenant,origin, such as shop=0192…,https://shop.example")
    return {"publisher": publisher_id.strip(), "tenant": tenant, "origins": origins}


def _publisher_of(table: object) -> Publisher:
    if not isinstance(table, Mapping) or set(table) != {"publisher", "tenant", "origins"}:
        raise ValueError("give each publisher a table with publisher, tenant, origins")
    publisher_id, tenant, origins = table["publisher"], table["tenant"], table["origins"]
    if not isinstance(publisher_id, str) or not _PUBLISHER.fullmatch(publisher_id):
        raise ValueError("give each publisher its id in requests: 1 to 64 visible characters without ; and =")
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise ValueError(f"give publisher {publisher_id} its tenant's id, as `haat key add` shows it")
    if not isinstance(origins, (list, tuple)) or not 0 < len(origins) <= 100:
        raise ValueError(f"give publisher {publisher_id} 1 to 100 origins, or * for apps, which have none")
    for origin in origins:
        if not isinstance(origin, str) or not (origin == ANY_ORIGIN or _ORIGIN.fullmatch(origin)):
            raise ValueError(f"give origins such as https://shop.example, without a path; publisher {publisher_id}")
    return Publisher(publisher_id, tenant, tuple(origins))
