"""Who is told of a notice? The node that sold the ad: an ad's id names it. Nobody else can bill it.

A notice of another node's ad is handed on at once, and its outcome is that node's. Where that one is away, the notice
goes into the own log first and is handed on as soon as it is back (exchange/forwarding.py): an answer stands for
something in some log. An ad of a node that was written off has run out of its terms, whatever became of the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from common.clock import Clock
from common.errors import BackendUnavailable
from common.ids import node_of, number_of
from exchange.billing import Kind, Notice, NoticeOutcome, Verdict
from exchange.corrections import Correction, Corrections
from exchange.holds import Hold
from exchange.invalid_traffic import Limits, Validity
from exchange.nodes import Node
from exchange.notices import check
from streams.schemas import NoticeForwarded, NoticesForwarded

# Clicks of other nodes' ads whose landing pages may ask for a click id.
_MOST_CLICKS: Final = 10_000

_log = logging.getLogger(__name__)

TakeNotices = Callable[[Sequence[Notice]], Awaitable[list[NoticeOutcome]]]


class PeerOutcome(msgspec.Struct, frozen=True, gc=False):
    """What another node made of a notice, and of its ad what a click id is made of; 0 where there is none."""

    outcome: NoticeOutcome
    line_item_number: int = 0
    clicked_at_ms: int = 0


class Peers(Protocol):
    """The other nodes. BackendUnavailable when one does not answer in time."""

    async def take_notices(self, owner: Node, said_at_ms: int, notices: Sequence[Notice]) -> list[PeerOutcome]:
        """What `owner` made of notices of its ads, one outcome each; safe to say again."""

    async def take_back(self, owner: Node, impression_id: str, kind: int, order_id: str) -> Correction:
        """As Corrections.take_back, at `owner`."""


class Directory(Protocol):
    """What exchange.nodes.Membership knows of nodes."""

    def owner(self, number: int) -> Node | None:
        """The other node with this number, None when it is this one or there is none."""

    def has(self, number: int) -> bool:
        """Is there a node with this number?"""

    def look_again(self) -> None:
        """Nodes may have come or moved. Blocks on SQL. BackendUnavailable."""


class NoticeRouter:
    """`nodes` know each other; `take` takes what is this node's own; `record` appends to topic `forwarded_notices`,
    `sync` as in Notices.
    """

    def __init__(
        self,
        *,
        nodes: Directory,
        find: Callable[[str], Hold | None],
        take: TakeNotices,
        peers: Peers,
        clock: Clock,
        record: Callable[[NoticesForwarded], None],
        sync: Callable[[], None],
    ) -> None:
        self._nodes = nodes
        self._find = find
        self._take = take
        self._peers = peers
        self._clock = clock
        self._record = record
        self._sync = sync
        self._clicks: dict[str, tuple[int, int]] = {}
        # Nodes of which it was said that they are away.
        self._away: set[str] = set()

    def owner(self, impression_id: str) -> Node | None:
        """The other node that sold the ad; None when it was this one, or nobody."""
        number = _number(impression_id)
        node = self._nodes.owner(number) if number else None
        # Ids of before nodes had numbers say any number at all.
        return None if node is None or self._find(impression_id) is not None else node

    def clicked(self, impression_id: str) -> tuple[int, int]:
        """(line item, when it was clicked) of an ad that was clicked just now, (0, 0) when it is not known."""
        hold = self._find(impression_id)
        if hold is not None:
            return hold.line_item_number, hold.clicked_at_ms
        return self._clicks.get(impression_id, (0, 0))

    async def take(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        """As Notices.take, for the ads of all nodes; FORWARDED is what waits for a node that is away."""
        if any(self._is_strange(notice.impression_id) for notice in notices):
            await self._look_again()
        places: defaultdict[str, list[int]] = defaultdict(list)
        owners: dict[str, Node] = {}
        for at, notice in enumerate(notices):
            node = self.owner(notice.impression_id)
            name = node.name if node is not None else ""
            if node is not None:
                owners[name] = node
            places[name].append(at)
        if not owners:
            return await self._take(notices)
        check(notices)
        parts = [[notices[at] for at in own] for own in places.values()]
        said = await asyncio.gather(
            *(
                self._hand_on(owners[name], part) if name else self._take(part)
                for name, part in zip(places, parts, strict=True)
            )
        )
        outcomes = dict(
            pair for own, part in zip(places.values(), said, strict=True) for pair in zip(own, part, strict=True)
        )
        return [outcomes[at] for at in range(len(notices))]

    def _is_strange(self, impression_id: str) -> bool:
        """Is it of a node that has come since the last look?"""
        number = _number(impression_id)
        return bool(number) and not self._nodes.has(number) and self._find(impression_id) is None

    async def _look_again(self) -> None:
        with contextlib.suppress(BackendUnavailable):
            await asyncio.to_thread(self._nodes.look_again)

    async def _tell(self, owner: Node, said_at_ms: int, notices: Sequence[Notice]) -> list[PeerOutcome]:
        try:
            return await self._peers.take_notices(owner, said_at_ms, notices)
        except BackendUnavailable:
            # It may be somewhere else by now.
            await self._look_again()
            moved = self._nodes.owner(owner.number)
            if moved is None or moved.address == owner.address:
                raise
            return await self._peers.take_notices(moved, said_at_ms, notices)

    async def _hand_on(self, owner: Node, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        if owner.written_off:
            return [NoticeOutcome(Verdict.EXPIRED) for _ in notices]
        said_at_ms = self._clock.now_ms()
        try:
            told = await self._tell(owner, said_at_ms, notices)
        except BackendUnavailable as error:
            if owner.name not in self._away:
                _log.warning("what is said of ads of node %s waits in the log: %s", owner.name, error)
                self._away.add(owner.name)
            waiting = tuple(
                NoticeForwarded(n.kind, n.impression_id, n.order_id, n.validity, n.from_browser, n.publisher_id)
                for n in notices
            )
            self._record(NoticesForwarded(said_at_ms, owner.number, waiting))
            await asyncio.to_thread(self._sync)
            return [NoticeOutcome(Verdict.FORWARDED) for _ in notices]
        self._away.discard(owner.name)
        for notice, heard in zip(notices, told, strict=True):
            if notice.kind == Kind.CLICK and heard.clicked_at_ms:
                self._clicks[notice.impression_id] = (heard.line_item_number, heard.clicked_at_ms)
        while len(self._clicks) > _MOST_CLICKS:
            del self._clicks[next(iter(self._clicks))]
        return [heard.outcome for heard in told]


class RoutedCorrections:
    """TakesBack over all nodes: the log that holds a notice is that of the node that sold its ad."""

    def __init__(self, own: Corrections, router: NoticeRouter, peers: Peers) -> None:
        self._own = own
        self._router = router
        self._peers = peers

    async def take_back(self, impression_id: str, kind: int, order_id: str = "") -> Correction:
        """See Corrections."""
        owner = self._router.owner(impression_id)
        if owner is None:
            return await self._own.take_back(impression_id, kind, order_id)
        return await self._peers.take_back(owner, impression_id, kind, order_id)


def _number(impression_id: str) -> int:
    """The number of the node that may have sold the ad; 0 for what is no id."""
    try:
        return node_of(number_of(impression_id[:32]))
    except ValueError:
        return 0


def judged(notice: Notice, hold: Hold | None, said_at_ms: int, limits: Limits = Limits()) -> Notice:  # noqa: B008
    """A browser's notice that another node was told, with what only the node that knows the ad can say of it."""
    if not notice.from_browser or notice.validity or notice.kind != Kind.CLICK or hold is None:
        return notice
    if not hold.seen_at_ms:
        return replace(notice, validity=int(Validity.CLICK_BEFORE_IMPRESSION))
    # Clocks of machines differ: what was said before it was seen was said at once.
    too_fast = 0 <= said_at_ms - hold.seen_at_ms < limits.click_after_ms
    return replace(notice, validity=int(Validity.CLICK_TOO_FAST)) if too_fast else notice
