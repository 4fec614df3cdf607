"""Was this call made before? Answers to conversions by idempotency key, for a day, whatever happens to the process.

What is being worked on stands in memory; what was answered is kept in a store. When the process dies between the two, a
call that is sent again is done again, and its orders are duplicates: nothing is billed twice.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

import msgspec

from common.errors import BackendUnavailable

_DAY_MS: Final = 86_400_000
_MOST: Final = 20_000
_log = logging.getLogger(__name__)


class Answered(msgspec.Struct, frozen=True):
    """A call that was done: the hash of its body, when, and what was answered."""

    body_sha256: str
    at_ms: int
    answer: bytes


class AnswerStore(Protocol):
    """Where answers are kept."""

    def find(self, tenant_id: str, key: str, from_ms: int) -> Answered | None:
        """The answer under this key, not older than `from_ms`. BackendUnavailable."""

    def keep(self, tenant_id: str, key: str, answered: Answered) -> None:
        """Keep it in place of what is older. BackendUnavailable."""


class _Call(msgspec.Struct):
    body_sha256: str
    at_ms: int
    answer: bytes | None = None


class RememberedAnswers:
    """PostbackAnswers of one process over a store; of what is in memory the oldest leave when there are too many."""

    def __init__(self, store: AnswerStore) -> None:
        self._store = store
        self._calls: dict[tuple[str, str], _Call] = {}

    async def begin(self, tenant_id: str, key: str, body_sha256: str, now_ms: int) -> tuple[str, bytes]:
        """See PostbackAnswers."""
        call = self._calls.get((tenant_id, key))
        if call is None or now_ms - call.at_ms >= _DAY_MS:
            # Marked before anybody is waited for, so that two at once are not both the first.
            self._calls.pop((tenant_id, key), None)
            call = self._calls[tenant_id, key] = _Call(body_sha256, now_ms)
            if len(self._calls) > _MOST:
                del self._calls[next(iter(self._calls))]
            try:
                kept = await asyncio.to_thread(self._store.find, tenant_id, key, now_ms - _DAY_MS + 1)
            except BaseException:
                self.abandon(tenant_id, key)
                raise
            if kept is None:
                return "fresh", b""
            call.body_sha256, call.at_ms, call.answer = kept.body_sha256, kept.at_ms, kept.answer
        if call.body_sha256 != body_sha256:
            return "other", b""
        return ("busy", b"") if call.answer is None else ("done", call.answer)

    async def finish(self, tenant_id: str, key: str, answer: bytes, now_ms: int) -> None:
        """See PostbackAnswers."""
        call = self._calls.get((tenant_id, key))
        if call is None:
            return
        call.answer = answer
        try:
            await asyncio.to_thread(self._store.keep, tenant_id, key, Answered(call.body_sha256, now_ms, answer))
        except BackendUnavailable as error:
            # It is done, so it is answered; after a restart the same call would find its orders as duplicates.
            _log.warning("an answer to conversions was not kept: %s", error)

    def abandon(self, tenant_id: str, key: str) -> None:
        """See PostbackAnswers."""
        self._calls.pop((tenant_id, key), None)
