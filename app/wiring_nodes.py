"""What makes a process one node among others? Its name, its peers, and what it hands on to them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from sqlalchemy import Engine

from app.settings import Settings
from app.signing_keys import TOKEN_KEYS, SigningKeys
from backends.follower_offsets_sql import SqlFollowerOffsets
from backends.nodes_sql import SqlNodeRegistry
from client.nodes import NodePeers
from common.clock import Clock, SystemClock
from common.errors import BackendUnavailable
from exchange.corrections import Corrections
from exchange.forwarding import Forwarding
from exchange.holds import Holds, Terms
from exchange.late_billing import take_back_uncounted
from exchange.node_keys import NodeKeys
from exchange.nodes import Claim, Membership
from exchange.nodes_server import NodeServer
from exchange.notice_routing import NoticeRouter, RoutedCorrections, TakeNotices
from exchange.ports import BudgetLedger
from streams import schemas
from streams.ports import EventLog
from streams.publisher import Publisher
from streams.schemas import NoticesTaken
from streams.topics import FORWARDED_NOTICES, NOTICES

LOG_ID = "node.id"

_log = logging.getLogger(__name__)


@dataclass
class Nodes:
    """This process as a node. `ended` is set when its name was lost: then it must end, and begin anew."""

    membership: Membership
    router: NoticeRouter
    corrections: RoutedCorrections
    forwarding: Forwarding
    server: NodeServer
    peers: NodePeers
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def beat(self) -> None:
        """Say that it is here; many times within what others wait for."""
        await asyncio.to_thread(self.membership.beat)
        if self.membership.lost:
            self.ended.set()

    def on_duty(self, job: Callable[[], object]) -> Callable[[], object]:
        """The job, done by one node at a time for all of them; one that blocks."""
        return lambda: job() if self.membership.on_duty else None

    def on_duty_awaited(self, job: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
        """The same for a job that is awaited."""

        async def done_by_one() -> object:
            return await job() if self.membership.on_duty else None

        return done_by_one


def join(engine: Engine, settings: Settings, terms: Terms) -> Membership:
    """Hold the node's name, before anything of it is read. The lock of the data folder must be held by now."""
    # Others measure by the database's clock: a clock that is made up says nothing here.
    clock = SystemClock()
    settings.keys_dir.mkdir(parents=True, exist_ok=True)
    place = hashlib.blake2b(f"{socket.gethostname()} {settings.data_dir.resolve()}".encode(), digest_size=16)
    claim = Claim(settings.node, log_id(settings.data_dir), place.hexdigest(), secrets.token_hex(16))
    return Membership(SqlNodeRegistry(engine), claim, clock, terms, alone_s=settings.node_alone_s)


def forgive(membership: Membership, log: EventLog, ledger: BudgetLedger, publisher: Publisher, clock: Clock) -> None:
    """After a node was written off: nothing that it billed and had not counted costs anybody anything."""
    if not membership.me.written_off:
        return

    def record(taken: NoticesTaken) -> None:
        publisher.publish(NOTICES.name, [schemas.encode(taken)])

    notices, micros = take_back_uncounted(log, ledger.counted_upto(), clock.now_ms(), record)
    log.sync()
    membership.welcome()
    _log.warning(
        "this node was away for so long that its leases were given back: %d notices of %d micros are not billed",
        notices,
        micros,
    )


def wire_nodes(
    settings: Settings,
    clock: Clock,
    *,
    membership: Membership,
    engine: Engine,
    log: EventLog,
    publisher: Publisher,
    holds: Holds,
    take: TakeNotices,
    record: Callable[[NoticesTaken], None],
) -> Nodes:
    """Put it together; `take` takes notices of this node's own ads."""
    keys = NodeKeys(SigningKeys(settings.keys_dir / TOKEN_KEYS))
    peers = NodePeers(keys.own, _credentials(settings))
    router = NoticeRouter(
        nodes=membership,
        find=holds.find,
        take=take,
        peers=peers,
        clock=clock,
        record=lambda waiting: _publish(publisher, waiting),
        sync=log.sync,
    )
    corrections = Corrections(log=log, clock=clock, record=record)
    return Nodes(
        membership=membership,
        router=router,
        corrections=RoutedCorrections(corrections, router, peers),
        forwarding=Forwarding(
            log=log, offsets=_Handed(engine, settings.node), nodes=lambda: membership.all_others, peers=peers
        ),
        server=NodeServer(number=membership.me.number, take=take, find=holds.find, corrections=corrections, keys=keys),
        peers=peers,
    )


class _Handed:
    """Offsets of the forwarder: beside those of all projections, one for each owner."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine = engine
        self._node = node

    def read_upto(self, owner: int) -> int:
        return self._of(owner).read_upto(FORWARDED_NOTICES.name)

    def move(self, owner: int, from_offset: int, upto_offset: int) -> bool:
        return self._of(owner).move(FORWARDED_NOTICES.name, from_offset, upto_offset)

    def _of(self, owner: int) -> SqlFollowerOffsets:
        return SqlFollowerOffsets(self._engine, f"forwarded to {owner}", self._node)


def _publish(publisher: Publisher, waiting: schemas.NoticesForwarded) -> None:
    publisher.publish(FORWARDED_NOTICES.name, [schemas.encode(waiting)])


def log_id(data_dir: Path, *, make: bool = True) -> str:
    """What names the log in this folder, wherever the folder is moved; made once, or empty where `make` says not to."""
    path = data_dir / LOG_ID
    try:
        if not path.exists():
            if not make:
                return ""
            path.write_text(secrets.token_hex(16), "ascii")
        return path.read_text("ascii").strip()[:32]
    except (OSError, UnicodeError) as error:
        raise BackendUnavailable(f"the node's id in {path} cannot be read ({error}): restore the file") from None


def _credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    if settings.tls_cert is None:
        return None
    # Nodes of one exchange present certificates of one authority, which stands in the file behind the own one.
    return grpc.ssl_channel_credentials(root_certificates=settings.tls_cert.read_bytes())


def described(membership: Membership) -> Mapping[str, str]:
    """How /status shows the nodes: who is there, and when each was last heard of."""
    return {
        node.name: "written off" if node.written_off else f"heard of {node.heartbeat_age_ms / 1000:.1f} s ago"
        for node in membership.all_others
    } | {membership.me.name: "this one"}
