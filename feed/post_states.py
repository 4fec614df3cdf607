"""Who may bring a post from which state into which, and who sees it there? One table, read wherever a state changes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from common.errors import Conflict
from feed.post import Post, PostState
from feed.verdict import Outcome

# Who decides without a person, as it stands in `Post.decided_by` and in the history.
CHECKER: Final = "checker"


class Actor(StrEnum):
    """In which part somebody acts on a post."""

    CREATOR = "creator"
    # The feed itself, when a post's time has come.
    CLOCK = "clock"
    CHECKER = "checker"
    MODERATOR = "moderator"


class Reach(IntEnum):
    """How far a post is seen."""

    AUTHOR = 0
    # Its creator's profile and those who follow; never recommended.
    FOLLOWERS = 1
    EVERYBODY = 2


class StateStep(msgspec.Struct, frozen=True):
    """One line of a post's history. `before` is None for a post that was just made; `by` is the person's name, if any.

    `revision` is the one that the step led to.
    """

    at_ms: int
    actor: Actor
    by: str
    before: PostState | None
    after: PostState
    why: str
    revision: int


_CREATOR = frozenset({Actor.CREATOR})
_PUBLISHING = frozenset({Actor.CREATOR, Actor.CLOCK})
_DECIDING = frozenset({Actor.CHECKER, Actor.MODERATOR})
_MODERATOR = frozenset({Actor.MODERATOR})

_S = PostState
_DECIDED = (_S.CHECKING, _S.CLEAN, _S.LIMITED, _S.REMOVED)

TRANSITIONS: Final[Mapping[tuple[PostState | None, PostState], frozenset[Actor]]] = MappingProxyType(
    {
        (None, _S.DRAFT): _CREATOR,
        (None, _S.CHECKING): _CREATOR,
        (_S.DRAFT, _S.DRAFT): _PUBLISHING,
        (_S.DRAFT, _S.CHECKING): _PUBLISHING,
        (_S.CHECKING, _S.CHECKING): _CREATOR | _DECIDING,
        (_S.CHECKING, _S.CLEAN): _DECIDING,
        (_S.CHECKING, _S.LIMITED): _DECIDING,
        (_S.CHECKING, _S.REMOVED): _DECIDING,
        # An edited post is checked again.
        (_S.CLEAN, _S.CHECKING): _CREATOR | _MODERATOR,
        (_S.LIMITED, _S.CHECKING): _CREATOR | _MODERATOR,
        # Where an appeal's decision is taken back, the appeal waits again.
        (_S.CLEAN, _S.APPEALED): _MODERATOR,
        (_S.LIMITED, _S.APPEALED): _CREATOR | _MODERATOR,
        (_S.REMOVED, _S.APPEALED): _CREATOR | _MODERATOR,
        **{(before, after): _MODERATOR for before in (_S.CLEAN, _S.LIMITED) for after in _DECIDED[1:]},
        **{(before, after): _MODERATOR for before in (_S.REMOVED, _S.APPEALED) for after in _DECIDED},
        **{(before, _S.WITHDRAWN): _CREATOR for before in _S if before is not _S.WITHDRAWN},
    }
)
_STATE_OF: Final[Mapping[Outcome, PostState]] = MappingProxyType(
    {
        Outcome.CLEAN: PostState.CLEAN,
        Outcome.LIMITED: PostState.LIMITED,
        Outcome.HELD: PostState.CHECKING,
        Outcome.REMOVED: PostState.REMOVED,
    }
)
_INSTEAD: Final[Mapping[PostState, str]] = MappingProxyType(
    {
        PostState.WITHDRAWN: "a withdrawn post stays withdrawn: make another one",
        PostState.REMOVED: "appeal it, or make another post",
        PostState.APPEALED: "wait until a person has decided on the appeal",
        PostState.DRAFT: "publish it first",
    }
)


def state_of(outcome: Outcome) -> PostState:
    """The state that a verdict brings a post into."""
    return _STATE_OF[outcome]


def check_step(before: PostState | None, after: PostState, actor: Actor) -> None:
    """Conflict, with what to do instead, when the table does not have this step for this actor."""
    if actor in TRANSITIONS.get((before, after), frozenset()):
        return
    assert before is not None
    instead = _INSTEAD.get(before, "read the post again and see what its state is")
    raise Conflict(f"a post that is {before.name.lower()} cannot be {_VERBS[after]} by its {actor}: {instead}")


_VERBS: Final[Mapping[PostState, str]] = MappingProxyType(
    {
        PostState.CLEAN: "cleared",
        PostState.WITHDRAWN: "withdrawn",
        PostState.DRAFT: "kept as a draft",
        PostState.CHECKING: "published or edited",
        PostState.LIMITED: "limited",
        PostState.REMOVED: "removed",
        PostState.APPEALED: "appealed",
    }
)


def reach_of(post: Post) -> Reach:
    """How far the post is seen: only what was found clean is recommended, what was not checked is its author's alone.

    An appeal takes nothing away: what was limited goes on as limited until it is decided.
    """
    if post.state is PostState.CLEAN:
        return Reach.EVERYBODY
    appealed_limit = (
        post.state is PostState.APPEALED and post.verdict is not None and post.verdict.outcome is Outcome.LIMITED
    )
    return Reach.FOLLOWERS if post.state is PostState.LIMITED or appealed_limit else Reach.AUTHOR
