"""How does a text, or a value of a TOML file, become the value of a setting? Each reader says what it takes.

A reader raises ValueError whose message is the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import msgspec

from app.durations import duration_ms
from common import money

T = TypeVar("T")
Reader = Callable[[object], T]

_WHOLE = re.compile(r"[+-]?\d{1,19}")
_DECIMAL = re.compile(r"\d{1,9}(\.\d{1,9})?")
_BIDDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_TARGET = re.compile(r"(unix:\S{1,100}|\[[0-9A-Fa-f:.]{2,45}\]:\d{1,5}|[A-Za-z0-9._-]{1,253}:\d{1,5})")


class OutsideBidder(msgspec.Struct, frozen=True):
    """A bidder behind gRPC: its name in answers and metrics, `host:port`, the currency it bids in, how long it has.

    `currency` empty is the exchange's own; `timeout_ms` 0 is all the time that the page view has left.
    """

    name: str
    target: str
    currency: str = ""
    timeout_ms: int = 0


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


def outside_bidders(raw: object) -> tuple[OutsideBidder, ...]:
    """Bidders from tables of the TOML file, or from text `name=host:port[,CURRENCY[,TIMEOUT]]`, several with `;`."""
    if isinstance(raw, str):
        raw = [entry for entry in raw.split(";") if entry.strip()]
    if not isinstance(raw, (list, tuple)):
        raise ValueError("give a list of tables with name, target, currency, timeout_ms")
    if len(raw) > 64:
        raise ValueError("give at most 64 bidders")
    found = tuple(_bidder_of_text(entry) if isinstance(entry, str) else _bidder_of_table(entry) for entry in raw)
    names = [bidder.name for bidder in found]
    if len(set(names)) != len(names):
        raise ValueError("give each bidder a name of its own")
    return found


def _bidder_of_text(text: str) -> OutsideBidder:
    name, has_target, rest = text.strip().partition("=")
    parts = [part.strip() for part in rest.split(",")]
    if not has_target or len(parts) > 3:
        raise ValueError("write name=host:port[,CURRENCY[,TIMEOUT]], such as acme=127.0.0.1:6001,EUR,20ms")
    table: dict[str, object] = {"name": name.strip(), "target": parts[0]}
    table |= dict(zip(("currency", "timeout_ms"), parts[1:], strict=False))
    return _bidder_of_table(table)


def _bidder_of_table(table: object) -> OutsideBidder:
    if not isinstance(table, Mapping):
        raise ValueError("give a table with name, target, currency, timeout_ms")
    if unknown := sorted(set(table) - {"name", "target", "currency", "timeout_ms"}):
        raise ValueError(f"a bidder has name, target, currency, timeout_ms; it has no {str(unknown[0])[:40]!r}")
    name, target = table.get("name"), table.get("target")
    if not isinstance(name, str) or not _BIDDER_NAME.fullmatch(name):
        raise ValueError("give each bidder a name of a-z, 0-9, _ and -, at most 32 characters")
    if not isinstance(target, str) or not _TARGET.fullmatch(target):
        raise ValueError(f"give bidder {name} a target such as 127.0.0.1:6001")
    code = table.get("currency") or ""
    return OutsideBidder(
        name=name,
        target=target,
        currency=currency(code) if code else "",
        timeout_ms=milliseconds(0, 10_000)(table.get("timeout_ms") or 0),
    )
