"""How is PostgreSQL had and asked? Debian's package, a cluster of our own, one role and one database."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from services import folders
from services.engine import NotToBeHad, Place
from services.packages import from_debian

_ANSWER_S = 5.0
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 128MB
timezone = 'UTC'
log_timezone = 'UTC'
"""


class PostgreSQL:
    """PostgreSQL 15, which comes with Debian 12, or the newest that is installed."""

    setting = "database_url"
    first_port = 5450
    patience_s = 60
    ending = signal.SIGINT

    def install(self, programs: Path) -> None:
        """Debian's postgresql; the cluster that the package brings is none of ours."""
        if _bin() is None:
            from_debian("postgresql", "postgres")

    def prepare(self, place: Place) -> None:
        """A cluster whose users are believed: it listens on loopback alone and holds nothing but trials."""
        folders.give_to(place.data, place.account)
        place.data.chmod(0o700)
        if not (place.data / "PG_VERSION").exists():
            made = _run(
                place,
                *("initdb", "--pgdata", str(place.data), "--username", "haat", "--auth", "trust", "--encoding", "UTF8"),
                *("--locale", "C.UTF-8"),
            )
            if made.returncode:
                raise NotToBeHad(f"no cluster can be made: {made.stderr.strip()[:300]}")
            with (place.data / "postgresql.conf").open("a", encoding="utf-8") as file:
                file.write(_CONFIGURATION)

    def command(self, place: Place) -> tuple[list[str], dict[str, str]]:
        """The server in the foreground."""
        return [str(_program("postgres")), "-D", str(place.data), "-p", str(place.port)], {}

    def version(self, place: Place) -> str:
        """What a query answers."""
        return self._query(place, "postgres", "SHOW server_version").split()[0]

    def finish(self, place: Place) -> None:
        """The database that haat uses."""
        if not self._query(place, "postgres", "SELECT 1 FROM pg_database WHERE datname = 'haat'"):
            self._query(place, "postgres", "CREATE DATABASE haat")

    def address(self, port: int) -> str:
        """A URL with role and database."""
        return f"postgresql://haat@127.0.0.1:{port}/haat"

    def _query(self, place: Place, database: str, sql: str) -> str:
        where = f"host=127.0.0.1 port={place.port} user=haat dbname={database} connect_timeout=2"
        try:
            done = _run(place, "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, where)
        except subprocess.TimeoutExpired:
            raise ValueError("a query takes too long") from None
        if done.returncode:
            raise ValueError(done.stderr.strip().splitlines()[0][:200] if done.stderr.strip() else "psql failed")
        return done.stdout.strip()


def _run(place: Place, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    account = place.account
    return subprocess.run(
        [str(_program(program)), *arguments],
        cwd=place.data if account else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120 if program == "initdb" else _ANSWER_S,
        check=False,
        user=account,
        group=account,
        extra_groups=[] if account else None,
    )


def _program(name: str) -> Path:
    folder = _bin()
    if folder is None:
        raise NotToBeHad("postgres is not installed: install the package postgresql")
    return folder / name


def _bin() -> Path | None:
    """Debian keeps each version's programs in a folder of its own; the newest one, but 15 before all others."""
    folders_ = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda found: _rank(found.parts[-3]))
    return folders_[-1].parent if folders_ else None


def _rank(version: str) -> tuple[bool, int]:
    return version == "15", int(version) if version.isdigit() else 0
