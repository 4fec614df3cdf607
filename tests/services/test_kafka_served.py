"""Does a haat that is served with Kafka ship, count, tell of it, and refuse to count twice without it?"""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from app.demo_keys import DemoKeys
from app.settings import Settings
from app.wiring_kafka import broker_of
from streams.topics import CARRIED
from tests.scenarios.conftest import Serve, data_dir, keys, serve
from tests.services.kafka import CUTS_CONNECTIONS, a_prefix, client, collected, until

__all__ = ["client", "collected", "data_dir", "keys", "serve"]

pytestmark = CUTS_CONNECTIONS


def page(http: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{http}/{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_what_is_served_is_counted_from_kafka(
    client: str, kafka_brokers: str, serve: Serve, keys: DemoKeys, tmp_path: Path
) -> None:
    prefix = a_prefix()
    flags = {"set": f"kafka_brokers={kafka_brokers}"}
    config = tmp_path / "haat.toml"
    config.write_text(f'kafka_prefix = "{prefix}"\nkafka_client = "{client}"\n')
    broker = broker_of(Settings(kafka_brokers=kafka_brokers, kafka_prefix=prefix))
    try:
        with serve(config=str(config), **flags) as served:
            until(
                lambda: (
                    'haat_kafka_lag{group="reports",partition="0",topic="notices"} 0.0' in page(served.http, "metrics")
                )
            )
            status = json.loads(page(served.http, "status"))
            assert status["backends"]["events of all nodes"].startswith("Kafka: 0 records wait")
            # A broker tells of new topics one by one, those that are counted perhaps before the last of the others.
            until(lambda: set(broker.topics()) == set(CARRIED))
            assert served.stop() == 0
        with pytest.raises(AssertionError, match="counted from Kafka: its node would count it again"), serve():
            pass
    finally:
        broker.delete(list(CARRIED))
