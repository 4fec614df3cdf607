"""How far is a migration? One small file in the source's data folder: which migration it is, and what is done."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from common.clock import Clock
from common.errors import BackendUnavailable, FieldError, InvalidInput
from common.ids import new_id
from common.whole_files import replace_file

FILE: Final = "migration.json"


class State(msgspec.Struct):
    """`profiles_after` is the digest up to which profiles are there, `ended_at_ms` is 0 while it is under way."""

    migration_id: str
    to: str
    begun_at_ms: int
    profiles_after: str = ""
    ended_at_ms: int = 0


class MigrationState:
    """The state of the migration of one data folder; made when there is none."""

    def __init__(self, folder: Path, to: str, clock: Clock) -> None:
        self._file = folder / FILE
        now_ms = clock.now_ms()
        self.state = self._read() or State(new_id(now_ms), to, now_ms)
        if self.state.to != to:
            if not self.state.ended_at_ms:
                remedy = f"end that one, or remove {self._file} to give it up"
                raise InvalidInput([FieldError("--to", f"a migration to {self.state.to} is under way", remedy)])
            self.state = State(new_id(now_ms), to, now_ms)

    def keep(self) -> None:
        """Write it down; returns when it would survive the death of the machine."""
        try:
            replace_file(self._file, msgspec.json.encode(self.state))
        except OSError as error:
            raise BackendUnavailable(f"{self._file} cannot be written: {error.strerror}") from error

    def _read(self) -> State | None:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=State)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            remedy = "remove it, and begin with empty targets"
            raise BackendUnavailable(f"{self._file} cannot be read ({error}): {remedy}") from error
