"""How is a person forgotten, everywhere and for good?

Each place that keeps something of people has a hook; the list of them is put together in app/. A tombstone goes into
the event log first, so that an erasure that was cut short, or a backup from before it, is gone over again at the start.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from feed.post_rules import is_id, shown
from feed.social.calls import ErasedCount, ErasedPerson, ErasePersonRequest
from feed.social.ports import ErasureHook, PendingErasures
from streams import schemas
from streams.erasures import Erasures, digest_of
from streams.feed_events import PersonErased
from streams.topics import ERASURES

_log = logging.getLogger(__name__)


class Erasure:
    """Erases people through all hooks, in their order; blocks on all of them.

    `publish` appends to a topic and returns when that would survive the machine's death.
    """

    def __init__(
        self,
        *,
        hooks: Mapping[str, ErasureHook],
        pending: PendingErasures,
        erasures: Erasures,
        publish: Callable[[str, Sequence[bytes]], object],
        clock: Clock,
    ) -> None:
        self._hooks = hooks
        self._pending = pending
        self._erasures = erasures
        self._publish = publish
        self._clock = clock

    def erase(self, tenant_id: str, request: ErasePersonRequest) -> ErasedPerson:
        """Forget a person of the caller's tenant, whether signed up or only remembered as a visitor.

        Every thing that is kept of people is named with its count, 0 where there was nothing. What raises leaves the
        person noted: erasing again, or the next start, goes on where it ended.
        """
        if not is_id(request.person_id):
            raise InvalidInput([FieldError("person_id", shown(request.person_id), "give the id of a person")])
        event = PersonErased(self._clock.now_ms(), tenant_id, digest_of(tenant_id, request.person_id))
        self._publish(ERASURES.name, [schemas.encode(event)])
        self._erasures.add(event)
        counts = self._forget(tenant_id, request.person_id)
        return ErasedPerson(tuple(ErasedCount(what, count) for what, count in counts.items()))

    def forget_again(self, known: Iterable[tuple[str, str, int]]) -> int:
        """Finish what was cut short, and go over (tenant, person, since when they are known): whoever was erased after
        that stands in stores that were restored from a backup, and is forgotten again. For the start; how many it were.
        """
        again = 0
        for tenant_id, person_id in self._pending.all():
            self._forget(tenant_id, person_id)
            again += 1
        for tenant_id, person_id, since_ms in known:
            if self._erasures.forgotten(tenant_id, person_id, since_ms):
                self._forget(tenant_id, person_id)
                again += 1
        if again:
            _log.warning("%d people were erased whose erasure was cut short or who stood in restored stores", again)
        return again

    def _forget(self, tenant_id: str, person_id: str) -> Counter[str]:
        self._pending.begin(tenant_id, person_id)
        counts: Counter[str] = Counter()
        for hook in self._hooks.values():
            for what, count in hook.erase(tenant_id, person_id).items():
                counts[what] += count
        self._pending.done(tenant_id, person_id)
        return counts
