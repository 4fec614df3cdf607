"""How is Redis asked? In batches, within a time that the caller can bear, and not at all while it does not answer.

A batch is one round trip (to each node that it concerns, in a Cluster). Whatever keeps Redis from answering becomes
BackendUnavailable and opens the breaker, so that a Redis that is gone or slow costs a few waits and then nothing. A
script that Redis has forgotten is sent in full, which is counted and otherwise not noticed.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from random import Random
from time import monotonic
from typing import Any, Final, cast

from hiredis import pack_command
from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    ClusterError,
    MasterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from backends.redis_addresses import RedisAddress
from backends.redis_breaker import Breaker
from backends.redis_lua import script
from common.errors import BackendUnavailable

# What is not in the way of an auction may take so long.
PATIENT_MS: Final = 1_000
_MOST_CONNECTIONS: Final = 32

# The words of a command, its key second.
Command = tuple[str | bytes | int, ...]
# The keys of a call of a script, all of one slot, and what else it is given.
Call = tuple[Sequence[str], Sequence[str | bytes | int]]

# Somebody else is the master by now, or nobody is: the node that was asked is the wrong one.
_MOVED_ON: Final = (ReadOnlyError, MasterDownError, ClusterDownError, TryAgainError)
# Its last snapshot, or its append-only file, could not be written: it refuses writes until it can, and goes on reading.
_DISK_TROUBLE: Final = "MISCONF"
_TROUBLE: Final = (RedisConnectionError, RedisTimeoutError, ClusterError, RedisClusterException, OSError)

_log = logging.getLogger(__name__)


class RedisConnection:
    """One pool of connections to one Redis, one Sentinel's master or one Cluster, with one breaker.

    An answer is waited for `wait_ms`, and so is a connection. Nothing is connected before it is asked, so a Redis that
    is not there keeps nobody from starting. `counts`: `asked` and `failed` batches, `skipped` ones while the breaker is
    open, `slow` ones that took longer than they may, `scripts_sent` that Redis did not know, `full` refusals.
    Threads may share it.
    """

    def __init__(
        self, address: RedisAddress, prefix: str, *, wait_ms: int = PATIENT_MS, chance: Random | None = None,
        watch: bool = True,
    ) -> None:  # fmt: skip
        self.prefix = prefix
        self.counts: Counter[str] = Counter()
        self._address = address
        self._wait_s = wait_ms / 1000
        self._client: Redis | RedisCluster | None = None
        self._connecting = threading.Lock()
        self.breaker = Breaker(f"Redis at {address}", self._look, chance or Random(), watch=watch)

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to commands, in their order, in one round trip. BackendUnavailable, also for a single one."""
        return self._asked([(_text(command[1]), command) for command in commands])

    def run(self, name: str, calls: Sequence[Call]) -> list[Any]:
        """The replies of `redis_scripts/<name>.lua` to each of the calls, in one round trip. BackendUnavailable."""
        known = script(name)
        routed = [(keys[0], ("EVALSHA", known.sha, len(keys), *keys, *more)) for keys, more in calls]
        return self._asked(routed, known.text)

    def ask_each_node(self, commands: Sequence[Command]) -> list[list[Any]]:
        """The replies of each node that is a master, for commands without keys. BackendUnavailable."""
        if not self.breaker.closed:
            raise BackendUnavailable(f"Redis at {self._address} does not answer")
        try:
            client = self._client or self._connect()
            if isinstance(client, Redis):
                return [_pipeline(client, commands)]
            masters = [client.get_redis_connection(node) for node in cast(Any, client).get_primaries()]
            return [_pipeline(master, commands) for master in masters]
        except _TROUBLE as error:
            raise self._failed(error) from error

    def scan(self, pattern: str) -> Iterator[bytes]:
        """Every key that looks like this, by and by, of all nodes; a key may come twice. BackendUnavailable."""
        try:
            client = self._client or self._connect()
            yield from set(client.scan_iter(match=pattern, count=1_000))
        except _TROUBLE as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Let go of all connections."""
        self.breaker.end()
        with self._connecting:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _asked(self, routed: Sequence[tuple[str, Command]], text: str = "") -> list[Any]:
        if not routed:
            return []
        if not self.breaker.closed:
            self.counts["skipped"] += 1
            raise BackendUnavailable(f"Redis at {self._address} does not answer")
        self.counts["asked"] += 1
        started = monotonic()
        try:
            replies = self._send(routed)
            if text and (forgotten := [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]):
                self.counts["scripts_sent"] += 1
                whole = [(routed[at][0], ("EVAL", text, *routed[at][1][2:])) for at in forgotten]
                for at, reply in zip(forgotten, self._send(whole), strict=True):
                    replies[at] = reply
        except _TROUBLE as error:
            raise self._failed(error) from error
        if monotonic() - started > self._wait_s:
            # Every part of the answer came in time and the whole did not: it is used, and nobody waits like this again.
            self.counts["slow"] += 1
            self.breaker.failed(RedisTimeoutError(f"an answer took longer than {self._wait_s * 1000:.0f} ms"))
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._failed(reply) from reply
        return replies

    def _send(self, routed: Sequence[tuple[str, Command]]) -> list[Any]:
        client = self._client or self._connect()
        if isinstance(client, Redis):
            return _pipeline(client, [command for _, command in routed])
        by_node: defaultdict[str, list[int]] = defaultdict(list)
        nodes: dict[str, ClusterNode] = {}
        for at, (key, _) in enumerate(routed):
            node = client.nodes_manager.get_node_from_slot(key_slot(key.encode()))
            nodes[node.name] = node
            by_node[node.name].append(at)
        replies: list[Any] = [None] * len(routed)
        for name, places in by_node.items():
            found = _pipeline(client.get_redis_connection(nodes[name]), [routed[at][1] for at in places])
            for at, reply in zip(places, found, strict=True):
                # The Cluster has moved the slot: its client asks again where it was sent.
                if isinstance(reply, MovedError | AskError):
                    reply = self._sent_on(client, routed[at][1])
                replies[at] = reply
        return replies

    def _sent_on(self, client: RedisCluster, command: Command) -> Any:
        try:
            return cast(Any, client).execute_command(*command)
        except NoScriptError as error:
            return error

    def _failed(self, error: Exception) -> BackendUnavailable:
        if isinstance(error, OutOfMemoryError):
            # What reads goes on.
            self.counts["full"] += 1
            return BackendUnavailable(f"Redis at {self._address} is full: give it more maxmemory, or less to keep")
        if isinstance(error, ResponseError) and str(error).startswith(_DISK_TROUBLE):
            self.counts["full"] += 1
            return BackendUnavailable(
                f"Redis at {self._address} cannot write to its disk: make room there, see its log"
            )
        if isinstance(error, ResponseError) and not isinstance(error, (*_MOVED_ON, AuthenticationError, ClusterError)):
            raise error  # our own mistake: a command or a script that Redis does not take
        self.counts["failed"] += 1
        if isinstance(error, _MOVED_ON) and self._client is not None and isinstance(self._client, Redis):
            # Whoever asks again asks the Sentinels first.
            self._client.connection_pool.disconnect()
        self.breaker.failed(error)
        return BackendUnavailable(f"Redis at {self._address} does not answer: {_first_line(error)}")

    def _look(self) -> None:
        """As a call would: within the same time, and of a node that may be written to."""
        started = monotonic()
        try:
            client = self._client or self._connect()
            if isinstance(client, Redis):
                if _pipeline(client, [("ROLE",)])[0][0] != b"master":
                    raise ReadOnlyError("it is a replica")
            else:
                with suppress(RedisError):
                    client.nodes_manager.initialize()
                client.ping()
        except (RedisError, OSError) as error:
            if self._client is not None and isinstance(self._client, Redis):
                self._client.connection_pool.disconnect()
            raise BackendUnavailable(_first_line(error)) from error
        # The first look has to connect, which takes several answers; what counts is how long one takes.
        if isinstance(client, Redis) and monotonic() - started > self._wait_s:
            started = monotonic()
            with suppress(RedisError, OSError):
                client.ping()
                if monotonic() - started <= self._wait_s:
                    return
            raise BackendUnavailable("it answers too slowly")

    def _connect(self) -> Redis | RedisCluster:
        with self._connecting:
            if self._client is None:
                self._client = client_of(self._address, self._wait_s)
            return self._client


def client_of(address: RedisAddress, wait_s: float) -> Redis | RedisCluster:
    """A client that neither retries nor says more at connecting than it must: that is done here."""
    options: dict[str, Any] = {
        "socket_timeout": wait_s,
        "socket_connect_timeout": wait_s,
        "username": address.user or None,
        "password": address.password or None,
        "protocol": 2,
        "max_connections": _MOST_CONNECTIONS,
        **_tls(address),
    }
    once: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "driver_info": None}
    if address.cluster:
        nodes = [cast(Any, ClusterNode)(host, port) for host, port in address.hosts]
        return RedisCluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 1), **options)
    if address.service:
        # Whom to ask is found out by several questions, which may take longer than one answer.
        patient: dict[str, Any] = {
            "socket_timeout": max(wait_s, 0.25),
            "socket_connect_timeout": max(wait_s, 0.25),
            "protocol": 2,
        }
        patient |= _tls(address)
        sentinel = cast(Any, Sentinel)(
            list(address.hosts), sentinel_kwargs=patient | once, db=address.database, **options, **once
        )
        master: Redis = sentinel.master_for(address.service)
        return master
    host, port = address.hosts[0]
    return Redis(host, port, db=address.database, **options, **once)


def _tls(address: RedisAddress) -> dict[str, Any]:
    """Redis' certificate must be of an authority, and name the host that it was asked as."""
    if not address.tls:
        return {}
    return {"ssl": True, "ssl_check_hostname": True, "ssl_ca_certs": address.ca_file or None}


def _pipeline(client: Redis, commands: Sequence[Command]) -> list[Any]:
    """The plain replies; a refusal is one of them. 64 take 0.3 ms this way, and 1.3 ms by redis-py's own pipelines."""
    pool: Any = client.connection_pool
    connection = pool.get_connection()
    replies: list[Any] = []
    try:
        connection.send_packed_command(
            [b"".join([pack_command(cast(Any, command)) for command in commands])], check_health=False
        )
        for _ in commands:
            try:
                replies.append(connection.read_response(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
    except BaseException:
        # What comes late must not be taken for the answer to another question.
        connection.disconnect()
        raise
    finally:
        pool.release(connection)
    return replies


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__


def _text(key: str | bytes | int) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)
