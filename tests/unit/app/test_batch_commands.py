"""Does the export of events read the database that the settings name?"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from app.batch_commands import run_export
from app.settings import Settings
from backends.event_log_lmdb import LmdbEventLog
from backends.sql import open_engine


def test_an_export_asks_the_database_of_the_settings_and_makes_no_other(tmp_path: Path) -> None:
    data_dir, url = tmp_path / "haat", f"sqlite:///{tmp_path}/of-all-nodes.sqlite"
    with closing(LmdbEventLog(data_dir / "log", map_size_bytes=1 << 24)):
        pass
    open_engine(url).dispose()

    run_export(Settings(data_dir=data_dir, database_url=url), tmp_path / "tables", personal=False, as_json=True)

    assert not (data_dir / "haat.sqlite").exists()
