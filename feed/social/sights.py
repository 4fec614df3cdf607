"""What is one person spared of others: who is blocked or muted, and which words?"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from feed import ports
from feed.actions import ActionKind
from feed.actor import person_key
from feed.muting import folded, muted
from feed.social.ports import GraphStore
from feed.social.words import Relation

# Of one person; a list that is longer is cut, and what is beyond it is not respected.
MOST_RESPECTED = 10_000
# Posts that one person hid, reported or bought from; the newest are respected.
MOST_CHOSEN = 1_000
# People whose relations are kept in memory; beyond it the one longest not asked for goes.
MOST_REMEMBERED = 20_000


class Sight(msgspec.Struct, frozen=True):
    """What one person is spared: `blocked` either way, `muted` people and words by the person's own wish, posts that
    were `hidden` or reported, and `bought` from, the newest first.
    """

    followed: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    muted: frozenset[str] = frozenset()
    muted_words: tuple[str, ...] = ()
    hidden: tuple[ports.Done, ...] = ()
    bought: tuple[ports.Done, ...] = ()

    def sees(self, person_id: str, text: str = "") -> bool:
        """May something of this person, with this text, be shown?"""
        return person_id not in self.blocked and person_id not in self.muted and not self.mutes(text)

    def mutes(self, text: str) -> bool:
        """Does the text hold a muted word?"""
        return bool(self.muted_words and text) and muted(self.muted_words, folded(text))


class Sights:
    """The sight of everybody, kept in memory. May be used from several threads; blocks on the store the first time."""

    def __init__(
        self,
        store: GraphStore,
        reactions: ports.ReactionStore,
        tell: Callable[[str, Sequence[str]], object] | None = None,
    ) -> None:
        """`tell(tenant, people)` tells the sights of other nodes; None where there are none."""
        self._store = store
        self._reactions = reactions
        self._tell = tell
        self._sights: OrderedDict[tuple[str, str], Sight] = OrderedDict()
        # Grows with every change, so that what was read before it is not kept after it.
        self._changes = 0
        self._changing = threading.Lock()

    def of(self, tenant_id: str, person_id: str) -> Sight:
        """What the person is spared; of somebody who is not signed in, nothing."""
        if not person_id:
            return Sight()
        key = (tenant_id, person_id)
        with self._changing:
            if (known := self._remembered(key)) is not None:
                return known
            changes = self._changes
        sight = self._read(tenant_id, person_id)
        with self._changing:
            if changes == self._changes:
                self._sights[key] = sight
                while len(self._sights) > MOST_REMEMBERED:
                    self._sights.popitem(last=False)
        return sight

    def relations(self, tenant_id: str, person_id: str) -> ports.Relation:
        """The same for pages of the feed."""
        return _relation(self.of(tenant_id, person_id))

    def known_relations(self, tenant_id: str, person_id: str) -> ports.Relation | None:
        """What is in memory of them; None where the store would have to be asked."""
        with self._changing:
            known = self._remembered((tenant_id, person_id))
        return None if known is None else _relation(known)

    def changed(self, tenant_id: str, *person_ids: str) -> None:
        """Read these people's relations anew, here and wherever else."""
        self.heard(tenant_id, person_ids)
        if self._tell is not None:
            self._tell(tenant_id, person_ids)

    def heard(self, tenant_id: str, person_ids: Sequence[str]) -> None:
        """Read these people's relations anew: they changed on another node."""
        with self._changing:
            self._changes += 1
            for person_id in person_ids:
                self._sights.pop((tenant_id, person_id), None)

    def forget(self) -> None:
        """Read everybody's relations anew, after an erasure."""
        with self._changing:
            self._changes += 1
            self._sights.clear()

    def _remembered(self, key: tuple[str, str]) -> Sight | None:
        known = self._sights.get(key)
        if known is not None:
            self._sights.move_to_end(key)
        return known

    def _read(self, tenant_id: str, person_id: str) -> Sight:
        def subjects(kind: Relation) -> list[str]:
            return self._store.subjects(tenant_id, person_id, kind, "", MOST_RESPECTED)

        def done(*kinds: ActionKind) -> tuple[ports.Done, ...]:
            key = person_key(tenant_id, person_id)
            found = [one for kind in kinds for one in self._reactions.newest(tenant_id, key, kind, MOST_CHOSEN)]
            return tuple(sorted(found, key=lambda one: -one.at_ms)[:MOST_CHOSEN])

        blocked_by = self._store.holders(tenant_id, Relation.BLOCK, person_id, "", MOST_RESPECTED)
        return Sight(
            followed=frozenset(subjects(Relation.FOLLOW)),
            blocked=frozenset((*subjects(Relation.BLOCK), *blocked_by)),
            muted=frozenset(subjects(Relation.MUTE)),
            muted_words=tuple(subjects(Relation.MUTE_WORD)),
            hidden=done(ActionKind.HIDE, ActionKind.REPORT),
            bought=done(ActionKind.PURCHASE),
        )


def _relation(sight: Sight) -> ports.Relation:
    return ports.Relation(
        blocked=sight.blocked | sight.muted, muted_words=sight.muted_words, follows=tuple(sorted(sight.followed)),
        hidden=sight.hidden, bought=sight.bought,
    )  # fmt: skip
