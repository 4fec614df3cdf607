"""Where is it kept how far a log is shipped? In one small file beside the log, replaced whole at each step."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec

from common.errors import BackendUnavailable
from common.whole_files import replace_file
from streams.shipper import Shipped


class _Kept(msgspec.Struct):
    log_id: str
    topics: dict[str, Shipped] = {}


class ShippedFile:
    """ShippedStore in a file; one process at a time, the one that holds the log."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._kept = msgspec.json.decode(file.read_bytes(), type=_Kept) if file.exists() else None
        except (OSError, msgspec.MsgspecError) as error:
            remedy = "put it back, or remove it with the log that it belongs to"
            raise BackendUnavailable(f"{file} does not tell how far the log is shipped ({error}): {remedy}") from error
        if self._kept is None:
            self._kept = _Kept(log_id=secrets.token_hex(6))
            self._replace()

    @property
    def log_id(self) -> str:
        """See ShippedStore."""
        assert self._kept is not None
        return self._kept.log_id

    def read(self, topic: str) -> Shipped:
        """See ShippedStore."""
        assert self._kept is not None
        return self._kept.topics.get(topic, Shipped())

    def write(self, topic: str, shipped: Shipped) -> None:
        """See ShippedStore."""
        assert self._kept is not None
        self._kept.topics[topic] = shipped
        self._replace()

    def _replace(self) -> None:
        try:
            replace_file(self._file, msgspec.json.encode(self._kept))
        except OSError as error:
            raise BackendUnavailable(f"how far the log is shipped cannot be kept: {error.strerror}") from error
