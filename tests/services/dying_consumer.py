"""A member of group `reports` in a process of its own, which is killed within the transaction of its n-th step.

`python -m tests.services.dying_consumer CLIENT ADDRESS PREFIX DATABASE N`
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from backends import reports_sql
from backends.consumed_sql import SqlConsumedStore
from backends.sql import open_engine
from common.errors import BackendUnavailable
from exchange.consumed import REPORTS, ReportProjection
from streams.consumer_group import Member
from tests.services.kafka import CLIENTS
from tests.services.kafka_worlds import REGISTRY, places


def main(client: str, address: str, prefix: str, database: str, steps: str) -> None:
    """Count until it dies."""
    left = int(steps)

    def add(connection: Connection, topic: str, counts: Any) -> None:
        nonlocal left
        left -= 1
        reports_sql.add_consumed(connection, topic, counts)
        if not left:
            # Everything is written, and nothing of it committed.
            os.kill(os.getpid(), signal.SIGKILL)

    broker = CLIENTS[client]([address], prefix, max_poll_ms=6_000)
    store = SqlConsumedStore[Any](open_engine(f"sqlite:///{database}"), REPORTS, add)
    member = Member(broker=broker, projection=ReportProjection(places), store=store, registry=REGISTRY)
    while True:
        # Kafka may be late on a busy machine; the next step goes on from what was kept.
        with suppress(BackendUnavailable):
            member.step(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
