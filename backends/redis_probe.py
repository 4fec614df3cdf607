"""How is Redis? Reachable, which version, whether it drops or loses what it holds, and whether its clock is ours."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import redis

from backends import probing
from backends.probing import ANSWER_S, Finding
from backends.redis_addresses import RedisAddress
from backends.redis_connection import client_of

_LEAST_VERSION = (6, 2)


def probe(address: RedisAddress) -> list[Finding]:
    """Look at the Redis of an address, at the master that its sentinels name, or at the first node of a cluster."""
    try:
        client: Any = client_of(msgspec.structs.replace(address, cluster=False), ANSWER_S)
        begun_s = time.time()
        seconds, micros = client.time()
        ended_s = time.time()
        info: Any = client.info()
    except (redis.RedisError, OSError, ValueError) as error:
        return [Finding("Redis", "missing", _plain(error), _remedy(error))]
    version = str(info.get("redis_version", ""))
    used = f"version {version}, {info.get('used_memory_human')} used, {info.get('connected_clients')} clients"
    found = [Finding("Redis", "ok", used)]
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _LEAST_VERSION:
        found.append(Finding("Redis", "missing", f"version {version} is too old", "upgrade it to 6.2 or newer"))
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        remedy = "set maxmemory-policy noeviction: budgets must not be dropped when memory is short"
        found.append(Finding("Redis", "missing", f"maxmemory-policy is {policy}", remedy))
    if not info.get("aof_enabled"):
        remedy = "set appendonly yes: profiles are forgotten at its next start else"
        found.append(Finding("Redis", "note", "it appends to no file", remedy))
    if info.get("role") == "slave":
        found.append(Finding("Redis", "missing", "this is a replica, it takes no writes", "name the master"))
    return [*found, probing.clock("Redis", seconds + micros / 1e6, (begun_s + ended_s) / 2)]


def _remedy(error: Exception) -> str:
    if isinstance(error, redis.AuthenticationError):
        return "see the user in redis_url, and redis_password"
    # The client wraps what TLS says into its own words.
    return "see redis_ca_file, and rediss:// in redis_url" if "SSL" in str(error) else "start it, or set redis_url"


def _plain(error: Exception) -> str:
    return f"does not answer ({type(error).__name__}: {error})"
