"""What do all tests share? Hypothesis' profile, copies of a migrated store, every database, the real engines."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine, make_url

from backends import sql, sql_sqlite
from backends.redis_connection import RedisConnection
from tests import databases
from tests.examples import examples
from tests.redis_worlds import redis_at
from tests.services.engines import elasticsearch_url, kafka_brokers, postgresql_url, redis_url

__all__ = ["elasticsearch_url", "kafka_brokers", "postgresql_url", "redis_url"]

_TESTS = Path(__file__).parent
_SLOW_FOLDERS = {"browser", "properties", "scenarios", "services", "simulation"}
# These machines are shared: how long an example takes says nothing about the code.
settings.register_profile(
    "haat", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("haat")


@pytest.fixture(scope="session", autouse=True)
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new file begins as a copy of one that all migrations have made; tests of migrations make theirs elsewhere.

    Running every migration takes a tenth of a second, and a thousand tests open a store of their own.
    """
    template = tmp_path_factory.mktemp("migrated") / "store.sqlite"
    # The last connection that is closed takes what is in the write-ahead log into the file.
    sql.open_engine(f"sqlite:///{template}").dispose()

    def create_from_template(url: Any, **options: Any) -> Engine:
        file = make_url(url).database
        if file and not Path(file).exists() and make_url(url).get_backend_name() == "sqlite":
            shutil.copyfile(template, file)
        return create_engine(url, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql_sqlite, "create_engine", create_from_template)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole folders are slow: what runs programs, kills them, or tries many examples."""
    for item in items:
        if _SLOW_FOLDERS & set(item.path.relative_to(_TESTS).parts[:1]):
            item.add_marker(pytest.mark.slow)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `on_every_database` run once on SQLite and once on PostgreSQL."""
    if metafunc.definition.get_closest_marker("on_every_database"):
        kinds = ["sqlite", pytest.param("postgresql", marks=pytest.mark.services)]
        metafunc.parametrize("database", kinds, indirect=True)


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database on which tests.databases opens stores, before any other fixture opens one."""
    kind = getattr(request, "param", "sqlite")
    with databases.of_kind(kind):
        yield kind


@pytest.fixture
def redis(redis_url: str) -> Iterator[RedisConnection]:
    """The shared Redis under a prefix of the test's own."""
    with redis_at(redis_url) as connection:
        yield connection
