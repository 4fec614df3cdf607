"""Where is the exchange's switch kept? In one row of SQL."""

from __future__ import annotations

from sqlalchemy import Engine, insert, select, update

from backends.sql import reading, writing
from backends.sql_tables_money import EXCHANGE_SWITCH
from exchange.pause import SwitchState

_SWITCH = 1


class SqlExchangeSwitch:
    """SwitchStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self) -> SwitchState:
        """How it stands."""
        with reading(self._engine) as connection:
            row = connection.execute(select(EXCHANGE_SWITCH)).first()
        if row is None:
            return SwitchState(paused=False)
        return SwitchState(bool(row.paused), row.changed_at_ms, row.changed_by, row.reason)

    def write(self, state: SwitchState) -> None:
        """Let it stand so."""
        values = {
            "paused": int(state.paused),
            "changed_at_ms": state.changed_at_ms,
            "changed_by": state.changed_by,
            "reason": state.reason,
        }
        with writing(self._engine) as connection:
            if not connection.execute(update(EXCHANGE_SWITCH).values(values)).rowcount:
                connection.execute(insert(EXCHANGE_SWITCH).values(values | {"switch": _SWITCH}))
