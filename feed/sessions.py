"""What has this session done so far? Kept in this process, for as long as the session lives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from feed.actions import WORTH, Action, ActionKind
from feed.index import Kind, Term
from feed.page import Page

SESSION_TTL_MS = 2 * 3_600_000
MAX_SESSIONS = 50_000
# Bounds of one session: what goes beyond, the oldest is forgotten.
MAX_SERVED = 2_000
MAX_ACTIONS = 1_000
MAX_SUBJECTS = 2_000
MAX_TASTES = 256
_KEPT_PAGES = 4
# So many hidden posts of one creator hide the creator.
_HIDES_OF_A_CREATOR = 2

# How much of an action's worth goes to each kind of term of the post.
_SHARE: dict[Kind, float] = {
    Kind.CREATOR: 0.5,
    Kind.PRODUCT: 1.0,
    Kind.BRAND: 0.3,
    Kind.CATEGORY: 0.6,
    Kind.HASHTAG: 0.4,
}


class Session:
    """What one session has done and seen. Dictionaries stand for sets that remember their order, oldest first.

    `taste` maps a term to a weight in clicks, below 0 for what was hidden; `revision` grows with every action.
    """

    __slots__ = (
        "_pages", "_taken", "clicked", "followed", "hidden", "hidden_creators", "liked", "revision", "saved", "served",
        "taste", "touched_at_ms",
    )  # fmt: skip

    def __init__(self, now_ms: int = 0) -> None:
        self.touched_at_ms = now_ms
        self.revision = 0
        self.liked: dict[str, None] = {}
        self.hidden: dict[str, None] = {}
        self.clicked: dict[str, None] = {}
        self.saved: dict[str, None] = {}
        self.followed: dict[str, None] = {}
        self.hidden_creators: dict[str, int] = {}
        self.taste: dict[Term, float] = {}
        self.served: dict[str, None] = {}
        self._taken: dict[str, None] = {}
        self._pages: dict[tuple[int, int], Page] = {}

    def has_taken(self, action_id: str) -> bool:
        """Was this action taken before?"""
        return action_id in self._taken

    def changes(self, action: Action) -> bool:
        """Would this action change anything, or was the post liked, saved or hidden already?"""
        return action.kind is ActionKind.CLICK or action.subject_id not in self._subjects(action.kind)

    def take(self, action: Action, terms: Sequence[Term], *, learn: bool) -> bool:
        """Take one action on a post with these terms; False when its id was taken before.

        Without `learn` only what the visitor asked for is kept (hide, follow, like, save), and no taste is drawn of it.
        """
        if action.action_id in self._taken:
            return False
        _remember(self._taken, action.action_id, MAX_ACTIONS)
        changes = self.changes(action)
        _remember(self._subjects(action.kind), action.subject_id, MAX_SUBJECTS)
        self.revision += 1
        if not changes:
            return True
        if action.kind is ActionKind.FOLLOW:
            self.hidden_creators.pop(action.subject_id, None)
        if action.kind is ActionKind.HIDE:
            self._count_hide([name for kind, name in terms if kind is Kind.CREATOR])
        if learn:
            self._learn(WORTH[action.kind], terms)
        return True

    def hides_creator(self, creator_id: str) -> bool:
        """Were so many of the creator's posts hidden that none is wanted?"""
        return self.hidden_creators.get(creator_id, 0) >= _HIDES_OF_A_CREATOR

    def note_served(self, page: Page) -> None:
        """The page goes out: its posts count as seen, and a repeated request gets the same page."""
        for pick in page.picks:
            self.served.pop(pick.post_id, None)
            _remember(self.served, pick.post_id, MAX_SERVED)
        self._pages[page.chain.place] = page
        while len(self._pages) > _KEPT_PAGES:
            del self._pages[next(iter(self._pages))]

    def kept_page(self, place: tuple[int, int], fingerprint: int) -> Page | None:
        """The page that was served at this place of a cursor chain, unless the session has acted since."""
        page = self._pages.get(place)
        return page if page is not None and page.fingerprint == fingerprint else None

    def _subjects(self, kind: ActionKind) -> dict[str, None]:
        match kind:
            case ActionKind.LIKE:
                return self.liked
            case ActionKind.HIDE:
                return self.hidden
            case ActionKind.CLICK:
                return self.clicked
            case ActionKind.SAVE:
                return self.saved
            case ActionKind.FOLLOW:
                return self.followed

    def _count_hide(self, creators: Sequence[str]) -> None:
        for creator_id in creators:
            self.followed.pop(creator_id, None)
            self.hidden_creators[creator_id] = self.hidden_creators.get(creator_id, 0) + 1
            while len(self.hidden_creators) > MAX_SUBJECTS:
                del self.hidden_creators[next(iter(self.hidden_creators))]

    def _learn(self, worth: float, terms: Sequence[Term]) -> None:
        for term in terms:
            self.taste[term] = self.taste.get(term, 0.0) + worth * _SHARE[term[0]]
        if len(self.taste) > MAX_TASTES:
            strongest = sorted(self.taste, key=lambda term: -abs(self.taste[term]))[: MAX_TASTES // 2]
            self.taste = {term: self.taste[term] for term in strongest}


class InProcessSessions:
    """All sessions of this process, by tenant: idle ones go after a time, and beyond a count the longest idle goes."""

    def __init__(self, *, ttl_ms: int = SESSION_TTL_MS, limit: int = MAX_SESSIONS) -> None:
        self._ttl_ms = ttl_ms
        self._limit = limit
        # Longest idle first.
        self._sessions: OrderedDict[tuple[str, str], Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def read(self, tenant_id: str, session_id: str, now_ms: int) -> Session:
        """The session as it is; a new one, which is not kept yet, when there is none or it is over."""
        session = self._sessions.get((tenant_id, session_id))
        if session is None or now_ms - session.touched_at_ms > self._ttl_ms:
            return Session(now_ms)
        return session

    def keep(self, tenant_id: str, session_id: str, session: Session, now_ms: int) -> None:
        """Keep the session for as long as it lives from now on."""
        session.touched_at_ms = now_ms
        self._sessions[tenant_id, session_id] = session
        self._sessions.move_to_end((tenant_id, session_id))
        self._let_go(now_ms)

    def forget(self, tenant_id: str, session_id: str) -> bool:
        """Forget one session at once; False when it was not known."""
        return self._sessions.pop((tenant_id, session_id), None) is not None

    def _let_go(self, now_ms: int) -> None:
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if len(self._sessions) <= self._limit and now_ms - oldest.touched_at_ms <= self._ttl_ms:
                return
            self._sessions.popitem(last=False)


def _remember(kept: dict[str, None], name: str, limit: int) -> None:
    kept[name] = None
    while len(kept) > limit:
        del kept[next(iter(kept))]
