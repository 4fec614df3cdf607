"""What is PostgreSQL's own? A bounded pool, bounded waits on both sides of the wire, and locks by name."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy import URL, Connection, Engine, RootTransaction, create_engine, event, make_url, text

from common.errors import BackendUnavailable

# After these a statement may simply be tried again: somebody else was faster (deadlock, serialization).
OTHERS_WERE_FASTER: Final = frozenset({"40001", "40P01"})
# A lock or a statement took too long, or the server ends what it does.
BUSY: Final = frozenset({"55P03", "57014", "57P01", "57P02", "57P03", "53300"})

# Its disk, or what it may use of it, has no room.
FULL: Final = frozenset({"53100"})
# A standby, or a database that somebody closed to writers.
READ_ONLY: Final = frozenset({"25006"})

# The server ends a statement first and says so; only one that says nothing is given up from here.
_GRACE_S: Final = 1.0
_IDLE_IN_TRANSACTION_MS: Final = 60_000
_CONNECT_S: Final = 3

T = TypeVar("T")


class PostgresOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections, and how long anything may take."""

    pool: int = 24
    connect_timeout_s: int = 3
    statement_timeout_ms: int = 10_000
    lock_timeout_ms: int = 5_000


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that gives a silent server up: a network that is stalled would else be waited for, for ever."""

    patience_s: float = 11.0

    def wait(self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None) -> T:
        """One exchange with the server; OperationalError, and no connection any more, when it stays silent."""
        try:
            return super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server said nothing for {self.patience_s:g} s") from None


def make_engine(url: URL, options: PostgresOptions) -> Engine:
    """An engine that opens no connection before it is asked."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=options.pool,
        max_overflow=0,
        pool_timeout=options.connect_timeout_s,
        # A connection that died while nobody used it, as all do when the server restarts, is made anew unseen.
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": options.connect_timeout_s,
            "application_name": "haat",
            "options": " ".join(
                (
                    f"-c statement_timeout={options.statement_timeout_ms}",
                    f"-c lock_timeout={options.lock_timeout_ms}",
                    f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_MS}",
                    "-c timezone=UTC",
                )
            ),
        },
    )
    patience_s = options.statement_timeout_ms / 1000 + _GRACE_S

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: Any, named: dict[str, Any]) -> Any:
        made = BoundedConnection.connect(*arguments, **named)
        made.patience_s = patience_s
        return made

    return engine


def emptied_beside(url: str, suffix: str) -> str:
    """The URL of a database beside that of `url`, made anew: what was in it is gone. BackendUnavailable."""
    parsed = make_url(url)
    name = f"{parsed.database or 'haat'}_{suffix}"
    plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain, autocommit=True, connect_timeout=_CONNECT_S) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        said = str(error).split("\n", 1)[0]
        raise BackendUnavailable(f"no database {name} can be made, `haat doctor` tells more: {said}") from error
    return parsed.set(database=name).render_as_string(hide_password=False)


def begin_reading(connection: Connection) -> RootTransaction:
    """Begin a transaction that sees one state and writes nothing."""
    return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True).begin()


def wait_for_turn(connection: Connection, name: str) -> None:
    """Until the transaction's end, no other transaction is in the turn of this name."""
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
