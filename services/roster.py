"""Which engines are there? A new one is one file and one line here."""

from __future__ import annotations

from services.elasticsearch import Elasticsearch
from services.engine import Engine
from services.kafka import Kafka
from services.postgresql import PostgreSQL
from services.redis import Redis

ENGINES: dict[str, Engine] = {
    "elasticsearch": Elasticsearch(),
    "kafka": Kafka(),
    "redis": Redis(),
    "postgresql": PostgreSQL(),
}
