"""Is a log that Kafka carries counted once after its node was moved?"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from app.migration import Migration
from app.settings import Settings
from backends.event_log_lmdb import LmdbEventLog
from backends.shipped_file import ShippedFile
from backends.sql import open_engine, sqlite_url
from common.clock import SteppedClock
from common.errors import InvalidInput
from streams.shipper import Shipped


@pytest.fixture
def source(tmp_path: Path) -> Settings:
    """A node whose notices are shipped up to the second."""
    folder = tmp_path / "source"
    folder.mkdir()
    open_engine(sqlite_url(folder)).dispose()
    with closing(LmdbEventLog(folder / "log", map_size_bytes=1 << 24)) as log:
        log.append("notices", [b"1", b"2", b"3"], 1)
    ShippedFile(folder / "log" / "shipped.json").write("notices", Shipped(2, {0: 1}))
    return Settings(data_dir=folder, kafka_brokers="127.0.0.1:9")


def test_it_goes_on_shipping_the_same_log_from_where_it_was(source: Settings, tmp_path: Path) -> None:
    target = Settings(data_dir=tmp_path / "target", kafka_brokers="127.0.0.1:9")

    migrated = Migration(source, target, SteppedClock()).run(lambda what, done, of: None)

    assert not migrated.unequal
    before, after = (ShippedFile(at.data_dir / "log" / "shipped.json") for at in (source, target))
    assert after.log_id == before.log_id
    assert after.read("notices") == Shipped(2, {0: 1})


def test_a_target_that_would_count_it_again_is_refused(source: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        Migration(source, Settings(data_dir=tmp_path / "target"), SteppedClock())

    assert "would count it again" in str(refused.value)
    assert not (tmp_path / "target").exists()
