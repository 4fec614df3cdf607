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
    UNLIKE = 6
    UNHIDE = 7
    UNSAVE = 8
    UNFOLLOW = 9
    SHARE = 10
    REPORT = 11
    PURCHASE = 12
    BLOCK = 13
    UNBLOCK = 14
    MUTE = 15
    UNMUTE = 16
    # What was bought came back.
    RETURN = 17


class Action(msgspec.Struct, frozen=True, gc=False):
    """Something that was done in a session; `subject_id` is a post, for kinds of OF_CREATORS a creator.

    `detail` is the label of a REPORT (feed.verdict.Label) or the product of a PURCHASE or RETURN, and may be empty.
    """

    kind: ActionKind
    subject_id: str
    action_id: str
    detail: str = ""


# What takes back what.
UNDOES: dict[ActionKind, ActionKind] = {
    ActionKind.UNLIKE: ActionKind.LIKE,
    ActionKind.UNHIDE: ActionKind.HIDE,
    ActionKind.UNSAVE: ActionKind.SAVE,
    ActionKind.UNFOLLOW: ActionKind.FOLLOW,
    ActionKind.UNBLOCK: ActionKind.BLOCK,
    ActionKind.UNMUTE: ActionKind.MUTE,
    ActionKind.RETURN: ActionKind.PURCHASE,
}

# Done to a creator and not to a post.
OF_CREATORS = frozenset(
    {
        ActionKind.FOLLOW, ActionKind.UNFOLLOW, ActionKind.BLOCK, ActionKind.UNBLOCK, ActionKind.MUTE,
        ActionKind.UNMUTE,
    }
)  # fmt: skip

# Each time counts; all other kinds stand or do not stand, however often they are said.
REPEATED = frozenset({ActionKind.CLICK, ActionKind.SHARE, ActionKind.PURCHASE})


# What an action is worth, in clicks: for the taste of the one who acts and for the post it is done to.
WORTH: dict[ActionKind, float] = {
    ActionKind.CLICK: 1.0,
    ActionKind.LIKE: 2.0,
    ActionKind.SAVE: 3.0,
    ActionKind.HIDE: -4.0,
    ActionKind.SHARE: 3.0,
    ActionKind.PURCHASE: 6.0,
    ActionKind.REPORT: -6.0,
    # Of a creator: there is no post to credit.
    ActionKind.FOLLOW: 4.0,
    ActionKind.MUTE: -4.0,
    ActionKind.BLOCK: -8.0,
}
# What takes back is worth what it takes back.
# A product belongs to these.
OF_PRODUCTS = frozenset({ActionKind.PURCHASE, ActionKind.RETURN})
WORTH |= {undo: -WORTH[done] for undo, done in UNDOES.items()}
