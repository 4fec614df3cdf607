"""What can become of a post that was shown, and what is each worth? The heads of the learned ranking."""

from __future__ import annotations

from typing import NamedTuple

from feed.actions import WORTH, ActionKind


class Head(NamedTuple):
    """One action that is foreseen: the kinds that count as it, its worth in clicks, and a reason for people."""

    name: str
    kinds: frozenset[ActionKind]
    worth: float
    reason: str


HEADS = (
    Head("click", frozenset({ActionKind.CLICK}), WORTH[ActionKind.CLICK], "you are likely to look at it"),
    Head("save", frozenset({ActionKind.SAVE, ActionKind.LIKE}), WORTH[ActionKind.SAVE], "you are likely to keep it"),
    Head("buy", frozenset({ActionKind.PURCHASE}), WORTH[ActionKind.PURCHASE], "it may be what you are shopping for"),
    Head("hide", frozenset({ActionKind.HIDE}), WORTH[ActionKind.HIDE], "you are unlikely to hide it"),
)
HEAD_OF: dict[ActionKind, int] = {kind: at for at, head in enumerate(HEADS) for kind in head.kinds}
