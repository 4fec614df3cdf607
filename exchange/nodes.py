"""Which nodes are there, and is this one still itself? A name is held by one process, and proved by its heartbeat.

A node that cannot reach the database goes on with what it has leased for `alone_s`, then sells nothing. Whoever is away
for longer than that and the terms of its ads has nothing left that could be billed: it is written off, its leases are
free again. Before that they come back only by the node itself, which begins with its own log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from common.clock import Clock
from common.errors import BackendUnavailable, Conflict
from exchange.holds import Terms

# A name is another's while its heartbeat is younger than this.
NAME_HELD_MS: Final = 10_000
# Who asks for a node that is not known makes nobody look more often than this.
LOOK_AGAIN_MS: Final = 200
# So long may a node rest before its duties are another's.
DUTY_HELD_MS: Final = 5_000

_log = logging.getLogger(__name__)


class Node(msgspec.Struct, frozen=True):
    """A node as others know it: its number is in the ids of its auctions, its gRPC is at `address`."""

    name: str
    number: int
    address: str = ""
    heartbeat_age_ms: int = 0
    written_off: bool = False


class Claim(msgspec.Struct, frozen=True):
    """Who wants a name: the id in its data folder, a digest of where the folder is, and the process."""

    name: str
    log_id: str
    place: str
    instance: str


class NodeRegistry(Protocol):
    """Where nodes know each other. All times are of one clock, the database's; every call may raise
    BackendUnavailable.
    """

    def claim(self, claim: Claim) -> Node:
        """Hold the name from now on. Conflict, with what to do, when a living process or another folder has it.

        `written_off` says that its leases were given back meanwhile; the next `welcome` ends that.
        """

    def welcome(self, name: str) -> None:
        """What was billed too late is taken back: the node leases again."""

    def beat(self, claim: Claim, address: str) -> bool:
        """Still here; False when the name is another's by now, or the node was written off."""

    def let_go(self, claim: Claim) -> None:
        """The process ends: its name is free at once."""

    def nodes(self) -> list[Node]:
        """All that ever were."""

    def take_turn(self, duty: str, instance: str) -> bool:
        """Is this duty this process's for the next seconds? One that ends, or rests, makes room for another."""

    def write_off(self, after_ms: int) -> list[str]:
        """End the leases of every node that was away for longer; their names."""


class Membership:
    """One process as a node. `address` is set when its door is open; `lost` ends the process: somebody else is it."""

    def __init__(self, registry: NodeRegistry, claim: Claim, clock: Clock, terms: Terms, *, alone_s: int) -> None:
        """Claims the name; Conflict, BackendUnavailable."""
        self.address = ""
        self.lost = False
        self.on_duty = False
        self._registry = registry
        self._claim = claim
        self._clock = clock
        self._alone_ms = alone_s * 1000
        self._away_ms = away_ms(terms, alone_s)
        self._heard_ms = self._ticks_ms()
        self.me = registry.claim(claim)
        self._by_number: Mapping[int, Node] = {}
        self._looked_ms = 0
        self._look()

    @property
    def fenced(self) -> bool:
        """Has it been alone for so long that nothing more may be sold? Read for each batch."""
        return self.lost or self._ticks_ms() - self._heard_ms > self._alone_ms

    @property
    def all_others(self) -> list[Node]:
        """Every other node, as of the last beat."""
        return [node for node in self._by_number.values() if node.name != self.me.name]

    @property
    def sharing(self) -> int:
        """How many nodes there are, with this one and without those that were written off."""
        return 1 + sum(not node.written_off for node in self.all_others)

    def welcome(self) -> None:
        """What was billed while the node was written off is taken back: it is one of the nodes again."""
        self._registry.welcome(self.me.name)
        self._heard_ms = self._ticks_ms()

    def knows(self, name: str) -> bool:
        """Is there a node of this name?"""
        return any(node.name == name for node in self._by_number.values())

    def has(self, number: int) -> bool:
        """Is there a node with this number?"""
        return number in self._by_number

    def owner(self, number: int) -> Node | None:
        """The node with this number, None when it is this one or there is none."""
        return None if number == self.me.number else self._by_number.get(number)

    def beat(self) -> None:
        """Once a second: say that it is here, look who else is, take duties. Blocks on SQL. BackendUnavailable."""
        # From before the call: what the answer takes is no time in which others heard of it.
        before_ms = self._ticks_ms()
        if not self._registry.beat(self._claim, self.address):
            self.lost = True
            _log.error("the name %s is no longer this process's: it ends, and begins anew from its log", self.me.name)
            return
        self._heard_ms = before_ms
        self.on_duty = self._registry.take_turn("for all", self._claim.instance)
        if self.on_duty:
            for name in self._registry.write_off(self._away_ms):
                _log.warning(
                    "node %s was away for more than %d s: its leases are free again", name, self._away_ms / 1000
                )
        self._look()

    def let_go(self) -> None:
        """At the end of the process."""
        try:
            self._registry.let_go(self._claim)
        except BackendUnavailable as error:
            _log.warning("the name of this node is held for some seconds more: %s", error)

    def look_again(self) -> None:
        """A node may have come, or moved, since the last beat; no more than once in a while. Blocks on SQL."""
        if self._ticks_ms() - self._looked_ms >= LOOK_AGAIN_MS:
            self._look()

    def _look(self) -> None:
        self._looked_ms = self._ticks_ms()
        self._by_number = {node.number: node for node in self._registry.nodes()}

    def _ticks_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000


def away_ms(terms: Terms, alone_s: int) -> int:
    """After so long without a heartbeat nothing that a node sold can be billed any more."""
    return alone_s * 1000 + terms.unseen_ms + terms.seen_ms + terms.clicked_ms + NAME_HELD_MS


def held_by_another(name: str, age_ms: int) -> Conflict:
    """A living process has the name."""
    wait_s = -(-max(NAME_HELD_MS - age_ms, 1000) // 1000)
    return Conflict(
        f"node {name!r} is held by another process, which was heard of {age_ms / 1000:.1f} s ago: give this one a name "
        f"of its own with the setting node, or wait {wait_s} s when that process has died"
    )


def of_another_folder(name: str) -> Conflict:
    """The name's log lies somewhere else."""
    return Conflict(
        f"node {name!r} has its log in another data folder, with what it sold and has yet to count: give this process "
        "a name of its own with the setting node, or the data_dir that the node had"
    )
