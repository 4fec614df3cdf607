"""What has this session done so far? Kept in this process, for as long as the session lives."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec

from feed.actions import OF_CREATORS, REPEATED, UNDOES, WORTH, Action, ActionKind
from feed.index import Kind, Term
from feed.page import Page

SESSION_TTL_MS = 2 * 3_600_000
MAX_SESSIONS = 50_000
# Bounds of one session: what goes beyond, the oldest is forgotten.
MAX_SERVED = 2_000
MAX_ACTIONS = 1_000
MAX_SUBJECTS = 2_000
MAX_TASTES = 256
MAX_ENGAGED = 64
# Of what was done since the session was kept last, for who keeps it among others that change it too.
MAX_UNSAVED = 512
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


# Where a session keeps what it was done to.
_SUBJECTS: dict[ActionKind, str] = {
    ActionKind.LIKE: "liked",
    ActionKind.HIDE: "hidden",
    ActionKind.CLICK: "clicked",
    ActionKind.SAVE: "saved",
    ActionKind.FOLLOW: "followed",
    ActionKind.SHARE: "shared",
    ActionKind.REPORT: "reported",
    ActionKind.PURCHASE: "purchased",
    ActionKind.BLOCK: "blocked",
    ActionKind.MUTE: "muted",
}


class Taken(msgspec.Struct, frozen=True, gc=False):
    """An action on a post with these terms, taken into a session."""

    action: Action
    terms: tuple[Term, ...]
    learn: bool


class Shown(msgspec.Struct, frozen=True, gc=False):
    """A page that a session was served."""

    page: Page


class Session:
    """What one session has done and seen. Dictionaries stand for sets that remember their order, oldest first.

    `taste` maps a term to a weight in clicks, below 0 for what was hidden; `revision` grows with every action.
    `unsaved` is what was done since it was kept last, and `mark` names the state that a store shared with others holds.
    """

    __slots__ = (
        "blocked", "clicked", "engaged", "followed", "hidden", "hidden_creators", "liked", "mark", "muted", "pages",
        "purchased", "reported", "revision", "saved", "served", "shared", "taken", "taste", "touched_at_ms", "unsaved",
    )  # fmt: skip

    def __init__(self, now_ms: int = 0) -> None:
        self.touched_at_ms = now_ms
        self.revision = 0
        self.liked: dict[str, None] = {}
        self.hidden: dict[str, None] = {}
        self.clicked: dict[str, None] = {}
        self.saved: dict[str, None] = {}
        self.followed: dict[str, None] = {}
        self.shared: dict[str, None] = {}
        self.reported: dict[str, None] = {}
        self.purchased: dict[str, None] = {}
        self.blocked: dict[str, None] = {}
        self.muted: dict[str, None] = {}
        # Posts that were liked, saved, clicked, shared or bought from, the latest last.
        self.engaged: dict[str, None] = {}
        self.hidden_creators: dict[str, int] = {}
        self.taste: dict[Term, float] = {}
        self.served: dict[str, None] = {}
        # Ids of actions.
        self.taken: dict[str, None] = {}
        self.pages: dict[tuple[int, int], Page] = {}
        self.unsaved: deque[Taken | Shown] = deque(maxlen=MAX_UNSAVED)
        self.mark = b""

    def has_taken(self, action_id: str) -> bool:
        """Was this action taken before?"""
        return action_id in self.taken

    def changes(self, action: Action) -> bool:
        """Would this action change anything, or was the post liked, saved or hidden already, or never?"""
        if action.kind in UNDOES:
            return action.subject_id in self._subjects(UNDOES[action.kind])
        return action.kind in REPEATED or action.subject_id not in self._subjects(action.kind)

    def take(self, action: Action, terms: Sequence[Term], *, learn: bool) -> bool:
        """Take one action on a post with these terms; False when its id was taken before.

        Without `learn` only what the visitor asked for is kept (hide, follow, like, save), and no taste is drawn of it.
        """
        if action.action_id in self.taken:
            return False
        _remember(self.taken, action.action_id, MAX_ACTIONS)
        self.unsaved.append(Taken(action, tuple(terms), learn))
        changes = self.changes(action)
        if action.kind in UNDOES:
            self._subjects(UNDOES[action.kind]).pop(action.subject_id, None)
        else:
            _remember(self._subjects(action.kind), action.subject_id, MAX_SUBJECTS)
        self.revision += 1
        if action.kind not in OF_CREATORS:
            self.engaged.pop(action.subject_id, None)
            if WORTH[action.kind] > 0 and action.kind not in UNDOES:
                _remember(self.engaged, action.subject_id, MAX_ENGAGED)
        if not changes:
            return True
        match action.kind:
            case ActionKind.FOLLOW:
                self.hidden_creators.pop(action.subject_id, None)
            case ActionKind.HIDE:
                self._count_hide([name for kind, name in terms if kind is Kind.CREATOR])
            case ActionKind.UNHIDE:
                self._take_back_hide([name for kind, name in terms if kind is Kind.CREATOR])
            case ActionKind.REPORT:
                _remember(self.hidden, action.subject_id, MAX_SUBJECTS)
            case ActionKind.BLOCK:
                self.followed.pop(action.subject_id, None)
        if learn:
            self._learn(WORTH[action.kind], terms)
        return True

    def hides_creator(self, creator_id: str, before: int = 0) -> bool:
        """Were so many of the creator's posts hidden, here and `before`, that none is wanted?"""
        hides = self.hidden_creators.get(creator_id, 0) + before
        return hides >= _HIDES_OF_A_CREATOR or creator_id in self.blocked or creator_id in self.muted

    def unwanted_creators(self) -> list[str]:
        """Creators of whom nothing is wanted."""
        known = dict.fromkeys((*self.hidden_creators, *self.blocked, *self.muted))
        return [creator_id for creator_id in known if self.hides_creator(creator_id)]

    def note_served(self, page: Page) -> None:
        """The page goes out: its posts count as seen, and a repeated request gets the same page."""
        for pick in page.picks:
            self.served.pop(pick.post_id, None)
            _remember(self.served, pick.post_id, MAX_SERVED)
        self.unsaved.append(Shown(page))
        self.pages.pop(page.chain.place, None)
        self.pages[page.chain.place] = page
        while len(self.pages) > _KEPT_PAGES:
            del self.pages[next(iter(self.pages))]

    def do_again(self, done: Sequence[Taken | Shown]) -> None:
        """What was done to an older state of the session; what this one has taken already changes nothing."""
        for one in done:
            if isinstance(one, Taken):
                self.take(one.action, one.terms, learn=one.learn)
            else:
                self.note_served(one.page)

    def kept_page(self, place: tuple[int, int], fingerprint: int) -> Page | None:
        """The page that was served at this place of a cursor chain, unless the session has acted since."""
        page = self.pages.get(place)
        return page if page is not None and page.fingerprint == fingerprint else None

    def _subjects(self, kind: ActionKind) -> dict[str, None]:
        subjects: dict[str, None] = getattr(self, _SUBJECTS[kind])
        return subjects

    def _count_hide(self, creators: Sequence[str]) -> None:
        for creator_id in creators:
            self.followed.pop(creator_id, None)
            self.hidden_creators[creator_id] = self.hidden_creators.get(creator_id, 0) + 1
            while len(self.hidden_creators) > MAX_SUBJECTS:
                del self.hidden_creators[next(iter(self.hidden_creators))]

    def _take_back_hide(self, creators: Sequence[str]) -> None:
        for creator_id in creators:
            if (hides := self.hidden_creators.pop(creator_id, 0)) > 1:
                self.hidden_creators[creator_id] = hides - 1

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
        session.unsaved.clear()
        self.hold(tenant_id, session_id, session, now_ms)

    def hold(self, tenant_id: str, session_id: str, session: Session, now_ms: int) -> None:
        """Keep it beside a store that is shared: what that one does not have yet stays known."""
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
