"""A Redis for tests: a prefix of the test's own in the shared one, taken away at the end; or servers of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from redis import Redis

from backends.redis_addresses import redis_address
from backends.redis_connection import Call, RedisConnection
from common.errors import BackendUnavailable


@contextmanager
def redis_at(url: str, *, prefix: str = "", wait_ms: int = 5_000, watch: bool = False) -> Iterator[RedisConnection]:
    """A connection with keys of its own, or those of another connection's prefix; waits long, so that a busy machine
    breaks nothing. `watch`: it looks for Redis by itself.
    """
    own = prefix or f"test-{uuid.uuid4().hex[:16]}"
    connection = RedisConnection(redis_address(url), own, wait_ms=wait_ms, chance=Random(1), watch=watch)
    try:
        yield connection
    finally:
        connection.close()
        if not prefix:
            remove(url, own)


class LosesAnswers(RedisConnection):
    """Redis does what it is asked, and the first answer of each script is lost on the way."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(redis_address(url), prefix, wait_ms=5_000, chance=Random(1), watch=False)
        self.lost: set[str] = set()

    def run(self, name: str, calls: Sequence[Call]) -> list[Any]:
        replies = super().run(name, calls)
        if name not in self.lost:
            self.lost.add(name)
            raise BackendUnavailable("the answer was lost")
        return replies


def remove(url: str, prefix: str) -> None:
    """Every key that begins with this prefix."""
    client = Redis.from_url(url, protocol=2)
    for key in client.scan_iter(match=f"{prefix}:*", count=1000):
        client.unlink(key)
    client.close()
