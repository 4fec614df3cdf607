"""The strictest signal wins, and nothing is personal without being remembered."""

from __future__ import annotations

import pytest

from common.consent import Permission, Purpose, decide

ALL = tuple(Purpose)
EVERYTHING = Permission.REMEMBER | Permission.PERSONALISE_ADS | Permission.PERSONALISE_CONTENT | Permission.SHARE


@pytest.mark.parametrize(
    ("granted", "signals", "permitted"),
    [
        (ALL, {}, EVERYTHING),
        ((), {}, Permission.NONE),
        ((Purpose.REMEMBER,), {}, Permission.REMEMBER),
        ((Purpose.PERSONALISED_ADS, Purpose.SHARE_WITH_BIDDERS), {}, Permission.NONE),
        ((Purpose.REMEMBER, Purpose.PERSONALISED_ADS), {}, Permission.REMEMBER | Permission.PERSONALISE_ADS),
        (ALL, {"global_privacy_control": True}, Permission.REMEMBER | Permission.PERSONALISE_CONTENT),
        (ALL, {"child_directed": True}, Permission.NONE),
        (ALL, {"child_directed": True, "global_privacy_control": True}, Permission.NONE),
        ((*ALL, 99, -1), {}, EVERYTHING),
        ((99,), {}, Permission.NONE),
    ],
)
def test_what_is_permitted_follows_the_table(
    granted: tuple[int, ...], signals: dict[str, bool], permitted: Permission
) -> None:
    assert decide(granted, **signals) == permitted
