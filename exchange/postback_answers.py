"""Was this call made before? Answers to conversions by idempotency key, in memory, for a day.

After a restart a call that is sent again is done again, and its orders are duplicates: nothing is billed twice.
"""

from __future__ import annotations

from typing import Final

import msgspec

_DAY_MS: Final = 86_400_000
_MOST: Final = 20_000


class _Call(msgspec.Struct):
    body_sha256: str
    at_ms: int
    answer: bytes | None = None


class RememberedAnswers:
    """PostbackAnswers of one process; the oldest leave when there are too many."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], _Call] = {}

    def begin(self, tenant_id: str, key: str, body_sha256: str, now_ms: int) -> tuple[str, bytes]:
        """See PostbackAnswers."""
        call = self._calls.get((tenant_id, key))
        if call is None or now_ms - call.at_ms >= _DAY_MS:
            self._calls.pop((tenant_id, key), None)
            self._calls[tenant_id, key] = _Call(body_sha256, now_ms)
            if len(self._calls) > _MOST:
                del self._calls[next(iter(self._calls))]
            return "fresh", b""
        if call.body_sha256 != body_sha256:
            return "other", b""
        return ("busy", b"") if call.answer is None else ("done", call.answer)

    def finish(self, tenant_id: str, key: str, answer: bytes, now_ms: int) -> None:
        """See PostbackAnswers."""
        call = self._calls.get((tenant_id, key))
        if call is not None:
            call.answer = answer

    def abandon(self, tenant_id: str, key: str) -> None:
        """See PostbackAnswers."""
        self._calls.pop((tenant_id, key), None)
