"""What may nodes lend without asking the ledger? A pool in Redis, one Lua call for all accounts of a top-up.

Redis is not the record of anything here: the pool holds what the ledger leased to it under the pool's own name, and a
pool that may have lost something is never lent from again. All numbers are sums since the pool was opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import msgspec

from backends.redis_connection import RedisConnection
from common.ids import new_ids, text_of

# Lua counts in doubles: above this whole numbers are no longer exact.
MOST_MICROS: Final = (1 << 53) - 1
_SCANNED_AT_ONCE: Final = 1_000


class Lent(msgspec.Struct, frozen=True):
    """What was lent to a holder in all, and what is left in the pool, in micros."""

    lent_micros: int
    left_micros: int


class RedisBudgetPool:
    """Lends to nodes what the ledger leased to the pool. Every call raises BackendUnavailable."""

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis
        # One key, so one slot of a Cluster, and nothing of it can be lost without the rest.
        self.key = f"{redis.prefix}:{{budgets}}:pool"

    def open(self, now_ms: int, *, drop: str = "") -> str:
        """The name of the pool that is open; a new one where there is none, Redis may have lost something, or `drop` is
        the one that is there.
        """
        fresh = "pool:" + text_of(new_ids(1, now_ms)[0])
        (name,) = self._redis.run("budget_open", [((self.key,), (fresh, drop))])
        return cast(bytes, name).decode()

    def lend(
        self, pool: str, holder: str, asked: Mapping[int, tuple[int, int]], *, share: int, least_micros: int
    ) -> dict[int, Lent] | None:
        """Lend up to one `share`-th of what is left of each account, and `least_micros` if there is as much.

        `asked` says of each account (what the holder knows to have been lent to it, what it wants). None when `pool` is
        open no more.
        """
        if not asked:
            return {}
        arguments: list[str | bytes | int] = [pool, holder, share, least_micros, MOST_MICROS]
        for account, (known_micros, wanted_micros) in asked.items():
            arguments += (account, known_micros, min(wanted_micros, MOST_MICROS))
        (answer,) = self._redis.run("budget_lend", [((self.key,), arguments)])
        if answer is None:
            return None
        return {
            account: Lent(lent, left)
            for account, lent, left in zip(asked, answer[::2], answer[1::2], strict=True)
        }  # fmt: skip

    def fill(self, pool: str, leased: Mapping[int, int]) -> bool:
        """The ledger has leased so much of each account to the pool, in all; False when `pool` is open no more."""
        arguments: list[str | bytes | int] = [pool]
        for account, micros in leased.items():
            arguments += (account, min(micros, MOST_MICROS))
        (answer,) = self._redis.run("budget_fill", [((self.key,), arguments)])
        return answer is not None

    def lent_to(self, pool: str, holder: str) -> dict[int, int] | None:
        """What was lent to a holder of each account, in all; None when `pool` is open no more."""
        lent, cursor = {}, "0"
        pattern = f"lent:{_literal(holder)}:*"
        while True:
            (answer,) = self._redis.ask([("HSCAN", self.key, cursor, "MATCH", pattern, "COUNT", _SCANNED_AT_ONCE)])
            cursor, fields = answer[0].decode(), answer[1]
            for field, micros in zip(fields[::2], fields[1::2], strict=True):
                lent[int(field.rpartition(b":")[2])] = int(micros)
            if cursor == "0":
                break
        # Nothing of it counts when Redis was begun anew meanwhile.
        answered = self.lend(pool, holder, {0: (0, 0)}, share=1, least_micros=0)
        return lent if answered is not None else None


def _literal(text: str) -> str:
    """A text within a pattern of Redis that stands for itself."""
    return "".join("\\" + letter if letter in "*?[]\\^-" else letter for letter in text)
