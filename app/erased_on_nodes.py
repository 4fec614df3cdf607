"""How is a person forgotten on every node? Each forgets what stands in its own files, when it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from backends.node_erasures_sql import SqlNodeErasures
from common.clock import Clock
from feed.social.ports import ErasureHook
from streams import schemas
from streams.erasures import Erasures, digest_of
from streams.feed_events import PersonErased
from streams.topics import ERASURES


class OtherNodesErasure:
    """A hook of erasure: asks every other node."""

    def __init__(self, asked: SqlNodeErasures, others: Callable[[], Sequence[str]], clock: Clock) -> None:
        self._asked = asked
        self._others = others
        self._clock = clock

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """They forget within a second, or when they are back."""
        others = list(self._others())
        self._asked.ask(others, tenant_id, person_id, self._clock.now_ms())
        return {"other nodes": len(others)}


class ErasureHere:
    """Forgets on this node who was erased on another one; `hooks` are those of this node's own files."""

    def __init__(
        self,
        asked: SqlNodeErasures,
        node: str,
        hooks: Sequence[ErasureHook],
        erasures: Erasures,
        publish: Callable[[str, Sequence[bytes]], object],
    ) -> None:
        self._asked = asked
        self._node = node
        self._hooks = hooks
        self._erasures = erasures
        self._publish = publish

    def forget(self) -> int:
        """Do what was asked; how many people. Blocks on all of them, and goes on after a death where it ended."""
        asked = self._asked.asked(self._node)
        for tenant_id, person_id, at_ms in asked:
            event = PersonErased(at_ms, tenant_id, digest_of(tenant_id, person_id))
            self._publish(ERASURES.name, [schemas.encode(event)])
            self._erasures.add(event)
            for hook in self._hooks:
                hook.erase(tenant_id, person_id)
            self._asked.done(self._node, tenant_id, person_id)
        return len(asked)
