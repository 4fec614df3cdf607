"""Where is the exchange's switch kept? In one row of SQL."""

from __future__ import annotations

from sqlalchemy import Engine, insert, select, update

from backends.idempotency_sql import first_time
from backends.sql import in_turn, reading, writing
from backends.sql_tables_money import EXCHANGE_SWITCH
from exchange.pause import SwitchState

_SWITCH = 1

# Asked several times a second.
_STANDS = select(EXCHANGE_SWITCH)


class SqlExchangeSwitch:
    """SwitchStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self) -> SwitchState:
        """How it stands."""
        with reading(self._engine) as connection:
            row = connection.execute(_STANDS).first()
        if row is None:
            return SwitchState(paused=False)
        return SwitchState(bool(row.paused), row.changed_at_ms, row.changed_by, row.reason)

    def turn(self, state: SwitchState, idempotency_key: str) -> None:
        """Let it stand so, once."""
        method = "PauseExchange" if state.paused else "ResumeExchange"
        values = {
            "paused": int(state.paused),
            "changed_at_ms": state.changed_at_ms,
            "changed_by": state.changed_by,
            "reason": state.reason,
        }
        with writing(self._engine) as connection:
            if not first_time(connection, state.changed_by, idempotency_key, method, "", state.changed_at_ms):
                return
            in_turn(connection, "exchange switch")
            before = connection.execute(select(EXCHANGE_SWITCH.c.paused)).scalar()
            if before is None:
                connection.execute(insert(EXCHANGE_SWITCH).values(values | {"switch": _SWITCH}))
            elif bool(before) != state.paused:
                connection.execute(update(EXCHANGE_SWITCH).values(values))
