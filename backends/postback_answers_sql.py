"""Where are answers to conversions kept? In SQL, one row for each tenant and key: AnswerStore."""

from __future__ import annotations

from sqlalchemy import Engine, delete, insert, select

from backends.sql import in_turn, reading, writing
from backends.sql_tables_measurement import POSTBACK_ANSWERS
from exchange.postback_answers import Answered


class SqlAnswerStore:
    """AnswerStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, tenant_id: str, key: str, from_ms: int) -> Answered | None:
        """See AnswerStore."""
        of = POSTBACK_ANSWERS.c
        own = (of.tenant_id == tenant_id) & (of.idempotency_key == key) & (of.at_ms >= from_ms)
        with reading(self._engine) as connection:
            row = connection.execute(select(of.body_sha256, of.at_ms, of.answer).where(own)).first()
        return Answered(row.body_sha256, row.at_ms, row.answer) if row is not None else None

    def keep(self, tenant_id: str, key: str, answered: Answered) -> None:
        """See AnswerStore."""
        of = POSTBACK_ANSWERS.c
        own = {"tenant_id": tenant_id, "idempotency_key": key}
        row = {"body_sha256": answered.body_sha256, "at_ms": answered.at_ms, "answer": answered.answer}
        with writing(self._engine) as connection:
            in_turn(connection, "postback answer", tenant_id, key)
            connection.execute(delete(POSTBACK_ANSWERS).where(of.tenant_id == tenant_id, of.idempotency_key == key))
            connection.execute(insert(POSTBACK_ANSWERS).values(own | row))
