"""How does a whole haat come to other engines? The list of what moves, each by its mover, and both sides compared.

The source is locked meanwhile, so nothing changes behind the move. What is in place already stays: with the same data
folder on both sides only what changes its engine is moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Engine, make_url

from app.engine_access import database_url_of
from app.migration_state import MigrationState
from app.setting_engines import without_password
from app.settings import Settings
from app.wiring_kafka import shipped_file
from app.wiring_redis import profile_store_of, redis_of
from backends.event_log_lmdb import LmdbEventLog
from backends.files_moving import movable, move_files
from backends.sql import engine_of, open_engine, sqlite_url
from backends.sql_moving import SqlMove
from backends.sql_postgresql import PostgresOptions
from common.clock import Clock
from common.errors import BackendUnavailable, FieldError, InvalidInput, NotFound
from streams.moving.checksums import Compared
from streams.moving.move_log import check_log, move_log
from streams.moving.move_profiles import move_profiles
from streams.moving.ports import StoredProfiles
from streams.topics import TOPICS

# A table is read whole, which takes what it takes.
_PATIENT = PostgresOptions(pool=4, statement_timeout_ms=3_600_000)

# (what, things so far, things in all)
Progress = Callable[[str, int, int], None]


class Migrated(msgspec.Struct, frozen=True):
    """Both sides of everything that was moved; `in_place` is what needed no move, `again` that it had ended before."""

    migration_id: str
    compared: list[Compared]
    in_place: list[str]
    again: bool = False

    @property
    def unequal(self) -> list[Compared]:
        """What is not the same on both sides."""
        return [one for one in self.compared if not one.equal]


class Migration:
    """One migration between two settings. InvalidInput when they name the same, NotFound when there is no source."""

    def __init__(self, source: Settings, target: Settings, clock: Clock) -> None:
        self._source = source
        self._target = target
        self._clock = clock
        self._sql = _database_of(source), _database_of(target)
        self._folders = source.data_dir.resolve(), target.data_dir.resolve()
        if self._sql[0] == self._sql[1] and not self._moves_folder and not self._moves_profiles:
            raise InvalidInput([FieldError("--to", "is where --from is", "name another database or data folder")])
        if not (self._folders[0] / "log").exists():
            raise NotFound(f"there is no haat in {source.data_dir}: give the server's folder with --data-dir")
        if shipped_file(source).exists() and not target.kafka_brokers:
            said = (
                f"has no kafka_brokers, and the log in {source.data_dir} is counted from Kafka: a node that counts it"
            )
            remedy = "name brokers for the target too"
            raise InvalidInput([FieldError("--to", f"{said} by itself would count it again", remedy)])

    @property
    def to(self) -> str:
        """Where it goes, without passwords."""
        places = [self._sql[1], *([self._target.redis_url] if self._target.redis_url else [])]
        return " and ".join([*map(without_password, places), str(self._folders[1])])

    def check(self) -> dict[str, int]:
        """What there is to move, by what it is; refuses what `run` would refuse, and writes nothing."""
        with self._held_log() as log, _profiles(self._source) as profiles:
            counts: dict[str, int] = {}
            with _engine(self._sql[0], upgrade=False) as source:
                state = MigrationState(self._folders[0], self.to, self._clock).state
                if self._sql[0] != self._sql[1]:
                    if _may_hold_something(self._sql[1]):
                        with _engine(self._sql[1], upgrade=False) as target:
                            SqlMove(source, target, state.migration_id).check_target()
                    counts |= SqlMove(source, source, state.migration_id).counts()
            if self._moves_profiles:
                counts["profiles"] = profiles.count_stored()
            if self._moves_folder:
                counts |= {f"topic {topic}": log.end(topic) - log.begin(topic) for topic in TOPICS}
                counts["files"] = len(movable(self._folders[0]))
                if (self._folders[1] / "log").exists():
                    with closing(LmdbEventLog(self._folders[1] / "log", readonly=True)) as there:
                        check_log(log, there)
            return counts

    def run(self, progress: Progress) -> Migrated:
        """Move everything and compare both sides; said again after it was stopped, it goes on."""
        with self._held_log() as log, _profiles(self._source) as profiles:
            kept = MigrationState(self._folders[0], self.to, self._clock)
            again = bool(kept.state.ended_at_ms)
            kept.keep()
            compared: list[Compared] = []
            in_place: list[str] = []
            if not again:
                compared += self._move_sql(kept, progress, in_place)
                compared += self._move_profiles(kept, profiles, progress, in_place)
                compared += self._move_folder(log, progress, in_place)
            migrated = Migrated(kept.state.migration_id, compared, in_place, again)
            if not migrated.unequal and not again:
                kept.state.ended_at_ms = self._clock.now_ms()
                kept.keep()
            if not migrated.unequal and self._sql[0] != self._sql[1]:
                with _engine(self._sql[0]) as source, _engine(self._sql[1]) as target:
                    SqlMove(source, target, kept.state.migration_id).forget()
            return migrated

    @property
    def _moves_folder(self) -> bool:
        return self._folders[0] != self._folders[1]

    @property
    def _moves_profiles(self) -> bool:
        return _profiles_at(self._source) != _profiles_at(self._target)

    @contextmanager
    def _held_log(self) -> Iterator[LmdbEventLog]:
        """The source's log, held as its server does: none can run meanwhile, and none may run now."""
        try:
            log = LmdbEventLog(self._folders[0] / "log", map_size_bytes=self._source.log_map_gib << 30)
        except BackendUnavailable as error:
            raise BackendUnavailable(f"the source is in use or cannot be opened: {error}") from error
        with closing(log):
            yield log

    def _move_sql(self, kept: MigrationState, progress: Progress, in_place: list[str]) -> list[Compared]:
        if self._sql[0] == self._sql[1]:
            in_place.append("database")
            return []
        with _engine(self._sql[0]) as source, _engine(self._sql[1]) as target:
            sides = SqlMove(source, target, kept.state.migration_id).run(progress)
        return [Compared(name, here, there) for name, (here, there) in sides.items()]

    def _move_profiles(
        self, kept: MigrationState, profiles: StoredProfiles, progress: Progress, in_place: list[str]
    ) -> list[Compared]:
        if not self._moves_profiles:
            in_place.append("profiles")
            return []

        def reached(digest: bytes) -> None:
            kept.state.profiles_after = digest.hex()
            kept.keep()

        with _profiles(self._target) as target:
            if not kept.state.profiles_after and (found := target.count_stored()):
                remedy = "give an empty data folder, or another redis_prefix"
                raise InvalidInput([FieldError("--to", f"holds {found} profiles", remedy)])
            after = bytes.fromhex(kept.state.profiles_after)
            return [move_profiles(profiles, target, after=after, reached=reached, progress=progress)]

    def _move_folder(self, log: LmdbEventLog, progress: Progress, in_place: list[str]) -> list[Compared]:
        if not self._moves_folder:
            in_place += ["event log", "files"]
            return []
        with closing(LmdbEventLog(self._folders[1] / "log", map_size_bytes=self._target.log_map_gib << 30)) as there:
            compared = move_log(log, there, progress)
        return [*compared, move_files(self._folders[0], self._folders[1], progress)]


def _database_of(settings: Settings) -> str:
    return database_url_of(settings) or sqlite_url(settings.data_dir.resolve())


def _may_hold_something(url: str) -> bool:
    """False of a SQLite file that is not there: looking into it would make it."""
    parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").exists()


@contextmanager
def _engine(url: str, *, upgrade: bool = True) -> Iterator[Engine]:
    engine = open_engine(url, _PATIENT) if upgrade else engine_of(url, _PATIENT)
    try:
        yield engine
    finally:
        engine.dispose()


def _profiles_at(settings: Settings) -> tuple[str, str]:
    """What tells one place of profiles from another."""
    if settings.redis_url:
        return settings.redis_url, settings.redis_prefix
    return str(settings.data_dir.resolve()), ""


@contextmanager
def _profiles(settings: Settings) -> Iterator[StoredProfiles]:
    redis = redis_of(settings)
    try:
        with closing(profile_store_of(settings, redis)) as store:
            yield store
    finally:
        if redis is not None:
            redis.close()
