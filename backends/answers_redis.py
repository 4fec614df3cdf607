"""Answers that sessions were given, in a Redis that all nodes ask: whichever of them a session comes to answers alike.

It is a cache: whatever goes wrong, answers are forgotten and page views go on. Asking takes one round trip for a batch
and no longer than its connection waits; writing is done by a thread. Keys are digests: nobody is named in them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from backends.redis_connection import RedisConnection
from backends.writer_thread import MOST_WAITING, WriterThread
from common.errors import BackendUnavailable
from exchange.asked import Asked
from exchange.kept_answer import KeptAnswer

# The form of a value; others are not read.
_FORM: Final = b"\x03"
_EXPIRES: Final = struct.Struct(">Q")
_HEAD_BYTES: Final = 1 + _EXPIRES.size
# The value says when it ends; that Redis forgets it is for the room alone, and not a race with it.
_LONGER_MS: Final = 1_000


class RedisAnswers:
    """AnswerCache. `hot` is asked while a page view waits, so it waits a few milliseconds at most; `patient` is not.

    `counts` says what came of it: kept, dropped, failed writes; unreadable values; batches that went `unasked`.
    """

    def __init__(self, hot: RedisConnection, patient: RedisConnection, *, most_waiting: int = MOST_WAITING) -> None:
        self._hot = hot
        self._patient = patient
        self._prefix = f"{hot.prefix}:answer:"
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(KeptAnswer)
        self._writer = WriterThread("answers to Redis", self._write, most_waiting=most_waiting)

    @property
    def counts(self) -> Counter[str]:
        """What came of it, since the start."""
        return self._writer.counts

    def recall(self, questions: Sequence[Asked], now_ms: int) -> list[KeptAnswer | None]:
        """See AnswerCache; one round trip."""
        try:
            values = self._hot.ask([("GET", self._key(asked)) for asked in questions])
        except BackendUnavailable:
            self.counts["unasked"] += 1
            return [None] * len(questions)
        return [self._read(value, now_ms) if value is not None else None for value in values]

    def keep(self, entries: Sequence[tuple[Asked, KeptAnswer]], now_ms: int) -> None:
        """See AnswerCache; written soon, in a thread."""
        for asked, kept in entries:
            self._writer.put((asked, kept, now_ms))

    def flush(self) -> None:
        """See AnswerCache; waits some seconds at most."""
        self._writer.flush()

    def close(self) -> None:
        """See AnswerCache; what waits is written before. The connections are not closed."""
        self._writer.close()

    def _write(self, entries: Sequence[tuple[Asked, KeptAnswer, int]]) -> None:
        self._patient.ask(
            [
                ("SET", self._key(asked), self._value(kept), "PX", max(kept.expires_at_ms - now_ms, 0) + _LONGER_MS)
                for asked, kept, now_ms in entries
            ]
        )

    def _key(self, asked: Asked) -> str:
        return self._prefix + asked.hex()

    def _value(self, kept: KeptAnswer) -> bytes:
        return _FORM + _EXPIRES.pack(kept.expires_at_ms) + self._encoder.encode(kept)

    def _read(self, value: bytes, now_ms: int) -> KeptAnswer | None:
        if len(value) < _HEAD_BYTES or value[:1] != _FORM or _EXPIRES.unpack_from(value, 1)[0] <= now_ms:
            return None
        try:
            return self._decoder.decode(value[_HEAD_BYTES:])
        except msgspec.DecodeError:
            self.counts["unreadable"] += 1
            return None
