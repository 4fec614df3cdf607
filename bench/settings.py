"""How is measured? The same for every row, and written into the results."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """In flight are calls; a call of the batch row carries `batch_size` page views. Each row runs `rounds` times."""

    rounds: int = 5
    warmup_s: float = 2.0
    seconds: float = 6.0
    # A row ends at this count even before its time is over.
    max_page_views: int = 2_000_000
    unary_in_flight: int = 32
    stream_in_flight: int = 256
    batch_in_flight: int = 4
    batch_size: int = 64
    connections: int = 2
    timeout_ms: int = 10_000
    distinct_page_views: int = 5_000
    line_items: int = 10_000
    seed: int = 1
    # Serves the exchange with `line_items` loaded, and prints "ready TARGET API_KEY [TRANSPORT=TARGET …]" when it takes
    # calls.
    server_command: tuple[str, ...] = (sys.executable, "-m", "bench.exchange_server")
    server_start_s: float = 300.0


QUICK = BenchSettings(rounds=1, warmup_s=0.5, seconds=1.5, server_start_s=300.0)


def cores() -> tuple[int, int] | None:
    """(the server's, the generator's), where the machine has two cores and lets us choose; else None."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else None
