"""How does a session travel between nodes? As bytes: what it has done, and beside that the pages it may ask for again.

Of pages the posts are told by their ids: rows are each node's own, and the posts before them stand in the cursor.
"""

from __future__ import annotations

from typing import Any

import msgspec

from feed.cursor import Chain
from feed.index import Kind, Term
from feed.page import Page, Pick
from feed.sessions import Session

# The form of what is written; others are not read.
_FORM = 1
_NO_ROW = -1


class _State(msgspec.Struct, array_like=True, frozen=True):
    form: int
    touched_at_ms: int
    revision: int
    liked: list[str]
    hidden: list[str]
    clicked: list[str]
    saved: list[str]
    followed: list[str]
    shared: list[str]
    reported: list[str]
    purchased: list[str]
    blocked: list[str]
    muted: list[str]
    engaged: list[str]
    served: list[str]
    taken: list[str]
    hidden_creators: dict[str, int]
    taste: list[tuple[int, str, float]]


class _Pick(msgspec.Struct, array_like=True, frozen=True):
    post_id: str
    score: float
    source: str
    propensity: float
    why: tuple[str, ...]


class _KeptPage(msgspec.Struct, array_like=True, frozen=True):
    page_id: str
    picks: tuple[_Pick, ...]
    chain_id: int
    page_number: int
    goes_on: bool
    fingerprint: int
    ranker: str


# Fields that are sets in their order.
_SETS = (
    "liked", "hidden", "clicked", "saved", "followed", "shared", "reported", "purchased", "blocked", "muted", "engaged",
    "served", "taken",
)  # fmt: skip

_encode = msgspec.msgpack.Encoder().encode
_state = msgspec.msgpack.Decoder(_State)
_pages = msgspec.msgpack.Decoder(list[_KeptPage])


def state_of(session: Session) -> bytes:
    """What the session has done."""
    sets: dict[str, Any] = {name: list(getattr(session, name)) for name in _SETS}
    return _encode(
        _State(
            form=_FORM,
            touched_at_ms=session.touched_at_ms,
            revision=session.revision,
            hidden_creators=session.hidden_creators,
            taste=[(int(kind), name, weight) for (kind, name), weight in session.taste.items()],
            **sets,
        )
    )


def pages_of(session: Session) -> bytes:
    """The pages that the session may ask for again."""
    return _encode(
        [
            _KeptPage(
                page.page_id,
                tuple(_Pick(pick.post_id, pick.score, pick.source, pick.propensity, pick.why) for pick in page.picks),
                *page.chain.place,
                page.next_chain is not None,
                page.fingerprint,
                page.ranker,
            )
            for page in session.pages.values()
        ]
    )


def session_of(state: bytes, pages: bytes) -> Session:
    """The session again; its pages know neither rows nor what was shown before them. ValueError for any other bytes."""
    try:
        held, kept = _state.decode(state), _pages.decode(pages)
        if held.form != _FORM:
            raise ValueError(f"a session of form {held.form}")
        taste: dict[Term, float] = {(Kind(kind), name): weight for kind, name, weight in held.taste}
    except msgspec.DecodeError as error:
        raise ValueError(f"no session: {error}") from error
    session = Session(held.touched_at_ms)
    session.revision = held.revision
    for name in _SETS:
        setattr(session, name, dict.fromkeys(getattr(held, name)))
    session.hidden_creators = held.hidden_creators
    session.taste = taste
    session.pages = {(page.chain_id, page.page_number): _page(page) for page in kept}
    return session


def _page(page: _KeptPage) -> Page:
    chain = Chain(page.chain_id, page.page_number)
    return Page(
        page_id=page.page_id,
        picks=tuple(
            Pick(pick.post_id, _NO_ROW, pick.score, pick.source, pick.propensity, pick.why) for pick in page.picks
        ),
        chain=chain,
        next_chain=Chain(page.chain_id, page.page_number + 1) if page.goes_on else None,
        fingerprint=page.fingerprint,
        ranker=page.ranker,
    )
