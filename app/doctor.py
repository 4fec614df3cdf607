"""Is everything there that haat needs? Engines, stores, folders and ports are looked at, side by side, in seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from app import doctor_checks
from app.databases import postgres_options
from app.printing import print_json, print_table
from app.setting_engines import without_password
from app.settings import Settings
from backends.probing import Finding
from backends.sql import sqlite_url
from streams.topics import TOPICS

# All looks together; one that is not over by then is told of as silent.
WITHIN_S = 8.0

Look = Callable[[], list[Finding]]


def run_doctor(settings: Settings, *, as_json: bool) -> int:
    """Print what was found; 1 when something is missing, else 0."""
    found = examine(looks(settings), WITHIN_S)
    well = not any(finding.state == "missing" for finding in found)
    if as_json:
        print_json({"well": well, "findings": found})
    else:
        rows = [(finding.what, finding.state, finding.says, finding.remedy) for finding in found]
        print_table(("what", "state", "found", "remedy"), rows)
    return 0 if well else 1


def looks(settings: Settings) -> dict[str, Look]:
    """What is looked at under these settings: engines that are not used are not."""
    from app.engine_access import database_url_of, elasticsearch_access_of, kafka_access_of, redis_address_of
    from backends import sql_probe

    found: dict[str, Look] = {
        "data folder": lambda: doctor_checks.data_folder(settings),
        "ports": lambda: doctor_checks.ports(settings),
        "clock": lambda: doctor_checks.own_clock(settings),
    }
    options = postgres_options(settings)
    if settings.database_url:
        found["PostgreSQL"] = lambda: sql_probe.probe(database_url_of(settings), options)
    elif (settings.data_dir / "haat.sqlite").exists():
        found["SQLite"] = lambda: sql_probe.probe(sqlite_url(settings.data_dir), options)
    if settings.elasticsearch_url:
        from backends import elasticsearch_probe

        prefix = settings.elasticsearch_prefix
        found["Elasticsearch"] = lambda: elasticsearch_probe.probe(
            settings.elasticsearch_url, prefix, elasticsearch_access_of(settings)
        )
    if settings.redis_url:
        from backends import redis_probe

        found["Redis"] = lambda: redis_probe.probe(redis_address_of(settings))
    if settings.kafka_brokers:
        from backends import kafka_probe

        topics = [f"{settings.kafka_prefix}.{name}" for name in TOPICS]
        found["Kafka"] = lambda: kafka_probe.probe(settings.kafka_brokers, topics, kafka_access_of(settings))
    return found


def examine(wanted: Mapping[str, Look], within_s: float) -> list[Finding]:
    """Take all looks at once; what is silent, or fails by a mistake of ours, is a finding too. No password is shown."""
    found: dict[str, list[Finding]] = {}

    def look(name: str, at: Look) -> None:
        try:
            found[name] = at()
        except Exception as error:
            says = f"could not be looked at ({type(error).__name__}: {error})"
            found[name] = [Finding(name, "missing", says, "this is a bug in haat, please report it")]

    # Daemons: a look that hangs does not keep the process.
    threads = [threading.Thread(target=look, args=entry, daemon=True) for entry in wanted.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    silent = f"silent for {within_s:g} s"
    remedy = "see whether it runs, and whether a firewall stands between"
    return [
        Finding(one.what, one.state, without_password(one.says), without_password(one.remedy))
        for name in wanted
        for one in found.get(name) or [Finding(name, "missing", silent, remedy)]
    ]
