"""What must each engine know? How it is had, how it is started on a port, and whether it answers."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

INNER_DISTANCE = 20_000


class NotToBeHad(Exception):
    """An engine cannot be installed or started here; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine lives: the programs of all engines, its own data, its log, its port, and whose it is."""

    programs: Path
    data: Path
    log: Path
    port: int
    account: str | None
    """User that the engine runs as when we are root; None: as whoever starts it."""

    @property
    def inner_port(self) -> int:
        """Port on which the parts of an engine talk to one another, where it has such; free when `port` was given."""
        return self.port + INNER_DISTANCE


@dataclass(frozen=True, slots=True)
class State:
    """What became of an engine: its address and version when it answers, else the trouble."""

    name: str
    address: str = ""
    version: str = ""
    trouble: str = ""


class Engine(Protocol):
    """One engine. Everything raises NotToBeHad with a sentence where it cannot."""

    @property
    def setting(self) -> str:
        """Name of haat's setting that takes the address."""

    @property
    def first_port(self) -> int:
        """The port it takes when that is free, else the next free one."""

    @property
    def patience_s(self) -> int:
        """How long it may take from its start until it answers."""

    @property
    def ending(self) -> signal.Signals:
        """The signal on which it ends in order, without waiting for its clients to go."""

    def install(self, programs: Path) -> None:
        """Get the programs from the registries; nothing where they are already."""

    def prepare(self, place: Place) -> None:
        """Make the data folder and write the configuration; run before every start, harmless when done before."""

    def command(self, place: Place) -> tuple[list[str], dict[str, str]]:
        """The command that runs it in the foreground, and what its environment has more than ours."""

    def version(self, place: Place) -> str:
        """Ask it something that only a working engine answers; OSError or ValueError when it does not."""

    def finish(self, place: Place) -> None:
        """What is left to do once it answers, harmless when done before."""

    def address(self, port: int) -> str:
        """How haat's setting names it."""
