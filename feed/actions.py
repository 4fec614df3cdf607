"""What can a visitor do with a post, and what does it say about taste?"""

from __future__ import annotations

from enum import IntEnum

import msgspec


class ActionKind(IntEnum):
    """Numbers of haat.feed.v1.Action.Kind."""

    LIKE = 1
    HIDE = 2
    CLICK = 3
    SAVE = 4
    FOLLOW = 5


class Action(msgspec.Struct, frozen=True, gc=False):
    """Something that was done in a session; `subject_id` is a post, for FOLLOW a creator."""

    kind: ActionKind
    subject_id: str
    action_id: str


# What an action is worth, in clicks: for the taste of the one who acts and for the post it is done to.
WORTH: dict[ActionKind, float] = {
    ActionKind.CLICK: 1.0,
    ActionKind.LIKE: 2.0,
    ActionKind.SAVE: 3.0,
    ActionKind.HIDE: -4.0,
    # Of a creator: there is no post to credit.
    ActionKind.FOLLOW: 4.0,
}
