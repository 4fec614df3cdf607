"""What does the recommender hear of what is done in the feed, at once, and how does it forget it again?"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from feed.actions import UNDOES, Action, ActionKind
from feed.index import Shelf
from feed.recommender.feedback import Kind as Feedback
from feed.recommender.hybrid import Hybrid
from feed.recommender.observing import Observed, observe, take_back
from feed.recommender.ports import Happened
from feed.sessions import Session
from feed.visitor_history import of_session

# Of whom so much is known that it can be taken back; what is older stands until the next refit.
MOST = 20_000
# A choice is counted together with so many of the session's choices before it.
_BESIDE = 16
# A hide speaks against a product for the visitor alone: it is in the history that the recommender is asked with.
_HEARD = {
    ActionKind.CLICK: Feedback.CLICK,
    ActionKind.LIKE: Feedback.LIKE,
    ActionKind.SAVE: Feedback.SAVE,
    ActionKind.PURCHASE: Feedback.BUY,
}


class _Key(NamedTuple):
    who: bytes
    kind: ActionKind
    post_id: str


class Heard:
    """Tells the serving recommender of choices between refits. Somebody's choice of a post counts once, however often
    it is made; what is taken back, and all of somebody who is erased, is taken out of its sums again.

    Called in the event loop; `forget` may be called in another thread. A new version of the recommender has learned
    what its log had, and hears what comes after.
    """

    def __init__(self, recommender: Callable[[], Hybrid | None], most: int = MOST) -> None:
        self._recommender = recommender
        self._most = most
        self._told: Hybrid | None = None
        self._observed: OrderedDict[_Key, list[Observed]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._observed)

    def acted(self, who: bytes, action: Action, session: Session, shelf: Shelf, now_ms: int) -> None:
        """`who` (feed.actor) has done something to a post that the shelf has, and what the session did is known."""
        if (done := UNDOES.get(action.kind)) is not None:
            self._take_back(_Key(who, done, action.subject_id))
            return
        key, kind = _Key(who, action.kind, action.subject_id), _HEARD.get(action.kind)
        with self._lock:
            if (hybrid := self._serving()) is None or kind is None or key in self._observed:
                return
            before = of_session(session, shelf, now_ms, but=action.subject_id)[-_BESIDE:]
            tags = shelf.posts[shelf.row_of[action.subject_id]].product_tags
            chosen = dict.fromkeys(tag.product_id for tag in tags if action.detail in ("", tag.product_id))
            found = [observe(hybrid, before, Happened(product_id, kind, now_ms)) for product_id in chosen]
            self._observed[key] = [one for one in found if one is not None]
            if len(self._observed) > self._most:
                self._observed.popitem(last=False)

    def forget(self, who: bytes) -> int:
        """Take back all that is known of somebody; how many choices it were."""
        with self._lock:
            keys = [key for key in self._observed if key.who == who]
        # One at a time, so that the loop never waits for all of them.
        return sum(self._take_back(key) for key in keys)

    def _take_back(self, key: _Key) -> bool:
        with self._lock:
            if (hybrid := self._serving()) is None or (observed := self._observed.pop(key, None)) is None:
                return False
            for one in observed:
                take_back(hybrid, one)
            return True

    def _serving(self) -> Hybrid | None:
        hybrid = self._recommender()
        if hybrid is not self._told:
            self._told = hybrid
            self._observed.clear()
        return hybrid
