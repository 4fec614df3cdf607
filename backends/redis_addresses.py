"""Where is Redis? One address for every way it is run: alone, with TLS, behind Sentinels, as a Cluster.

redis://[user:password@]host[:port][/database]        rediss://… the same through TLS
redis+sentinel://[…@]host[:port],host[:port]/name[/database]     rediss+sentinel://… through TLS, Sentinels too
redis+cluster://[…@]host[:port],host[:port]           rediss+cluster://… through TLS
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

import msgspec

from common.errors import FieldError, InvalidInput

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
_MOST_HOSTS: Final = 32
_MOST_DATABASES: Final = 1 << 14
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?")
_REMEDY: Final = (
    "give redis://host:port/0, rediss://…, redis+sentinel://host:port,host:port/name or redis+cluster://host:port"
)


class RedisAddress(msgspec.Struct, frozen=True):
    """An address that was understood. `service` is the name that Sentinels know the master by, empty without them;
    `ca_file` the authorities that TLS goes by, empty for this machine's.
    """

    hosts: tuple[tuple[str, int], ...]
    database: int = 0
    user: str = ""
    password: str = ""
    tls: bool = False
    service: str = ""
    cluster: bool = False
    ca_file: str = ""

    def __repr__(self) -> str:
        """As it may be shown."""
        return f"RedisAddress({self})"

    def __str__(self) -> str:
        """As it may be shown: without who asks and the password."""
        scheme = "rediss" if self.tls else "redis"
        if self.cluster or self.service:
            scheme += "+cluster" if self.cluster else "+sentinel"
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{scheme}://{hosts}{'/' + self.service if self.service else ''}"


def redis_address(url: str, field: str = "redis_url") -> RedisAddress:
    """Read an address; InvalidInput names the field and never shows a password."""
    scheme, separator, rest = url.partition("://")
    tls = scheme.startswith("rediss")
    kind = scheme.removeprefix("rediss" if tls else "redis")
    if not separator or not scheme.startswith("redis") or kind not in ("", "+sentinel", "+cluster"):
        raise _wrong(field, repr(scheme[:32]) if separator else "no scheme")
    login, _, place = rest.rpartition("@")
    listed, _, path = place.partition("/")
    user, _, password = login.partition(":")
    hosts = [_host(field, text, SENTINEL_PORT if kind == "+sentinel" else PORT) for text in listed.split(",")]
    if len(hosts) > _MOST_HOSTS:
        raise _wrong(field, f"{len(hosts)} hosts", f"give at most {_MOST_HOSTS}")
    if len(hosts) > 1 and not kind:
        raise _wrong(field, f"{len(hosts)} hosts", "several hosts are redis+sentinel://… or redis+cluster://…")
    parts = path.split("/") if path else []
    service = ""
    if kind == "+sentinel":
        service = unquote(parts.pop(0)) if parts else ""
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", service):
            raise _wrong(field, "no name of the master", "end it with /name, as Sentinels know the master")
    database = parts.pop(0) if parts else "0"
    if parts or not database.isdecimal() or int(database) >= _MOST_DATABASES or (kind == "+cluster" and path):
        raise _wrong(field, repr(f"/{path}"[:64]), "end it with the number of a database, or, for a Cluster, nothing")
    return RedisAddress(tuple(hosts), int(database), unquote(user), unquote(password), tls, service, kind == "+cluster")


def _host(field: str, text: str, port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is None or not 0 < int(found[3] or port) < 1 << 16:
        raise _wrong(field, repr(text[:64]))
    return found[1] or found[2], int(found[3] or port)


def _wrong(field: str, value: str, remedy: str = _REMEDY) -> InvalidInput:
    return InvalidInput([FieldError(field, value, remedy)])
