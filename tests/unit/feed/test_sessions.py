from __future__ import annotations

from feed.actions import Action, ActionKind
from feed.index import Kind
from feed.sessions import MAX_ACTIONS, MAX_SUBJECTS, MAX_TASTES, InProcessSessions, Session


def act(session: Session, kind: ActionKind, subject: str, action_id: str = "", *, learn: bool = True) -> bool:
    terms = [(Kind.CREATOR, f"of {subject}"), (Kind.HASHTAG, f"tag {subject}")]
    return session.take(Action(kind, subject, action_id or f"{kind}{subject}"), terms, learn=learn)


def test_an_action_id_counts_once() -> None:
    session = Session()

    assert act(session, ActionKind.LIKE, "p", "1")
    taste = dict(session.taste)
    assert not act(session, ActionKind.LIKE, "p", "1")
    assert not act(session, ActionKind.HIDE, "q", "1")
    assert session.taste == taste
    assert not session.hidden


def test_liking_twice_is_liking_once_and_clicking_twice_is_more_taste() -> None:
    once, twice = Session(), Session()
    act(once, ActionKind.LIKE, "p", "1")
    act(twice, ActionKind.LIKE, "p", "1")

    assert act(twice, ActionKind.LIKE, "p", "2")
    assert once.taste == twice.taste

    act(twice, ActionKind.CLICK, "p", "3")
    act(twice, ActionKind.CLICK, "p", "4")

    assert twice.taste[Kind.HASHTAG, "tag p"] > once.taste[Kind.HASHTAG, "tag p"]


def test_without_learning_a_hide_still_hides_and_no_taste_is_drawn() -> None:
    session = Session()
    for kind in (ActionKind.LIKE, ActionKind.HIDE):
        act(session, kind, "p", learn=False)

    assert "p" in session.hidden
    assert session.taste == {}


def test_what_a_session_keeps_is_bounded() -> None:
    session = Session()
    for n in range(MAX_SUBJECTS + 500):
        act(session, ActionKind.CLICK, f"p{n}")

    assert len(session.clicked) <= MAX_SUBJECTS
    assert len(session.taste) <= MAX_TASTES
    assert not session.has_taken(f"{ActionKind.CLICK}p0")
    assert session.has_taken(f"{ActionKind.CLICK}p{MAX_SUBJECTS + 499}")
    assert len([n for n in range(MAX_SUBJECTS + 500) if session.has_taken(f"{ActionKind.CLICK}p{n}")]) == MAX_ACTIONS


def test_an_idle_session_is_over_after_its_time() -> None:
    sessions = InProcessSessions(ttl_ms=1_000)
    session = sessions.read("t", "s", 0)
    act(session, ActionKind.LIKE, "p")
    sessions.keep("t", "s", session, 0)

    assert sessions.read("t", "s", 1_000).liked
    assert not sessions.read("t", "s", 1_001).liked


def test_beyond_the_limit_the_longest_idle_session_goes() -> None:
    sessions = InProcessSessions(limit=2)
    for name in ("a", "b", "a", "c"):
        session = sessions.read("t", name, 0)
        act(session, ActionKind.LIKE, "p", name)
        sessions.keep("t", name, session, 0)

    assert len(sessions) == 2
    assert [bool(sessions.read("t", name, 0).liked) for name in "abc"] == [True, False, True]


def test_a_session_of_another_tenant_is_another_session() -> None:
    sessions = InProcessSessions()
    session = sessions.read("t", "s", 0)
    act(session, ActionKind.LIKE, "p")
    sessions.keep("t", "s", session, 0)

    assert not sessions.read("t2", "s", 0).liked
    assert sessions.forget("t", "s")
    assert not sessions.forget("t", "s")
    assert not sessions.read("t", "s", 0).liked
