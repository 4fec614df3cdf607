"""Of which session is a bid request? The standard has no field for it: it stands in `user.ext.haat.session_id`.

It is the storefront's word to this exchange, so it goes on to no bidder, and is held to what page views of our own are
held to: without the permission for more than the house's own ads it is not read, without the one to remember not
logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.consent import Permission
from exchange.openrtb.placements import ID_LIMIT
from exchange.openrtb.problems import Problems

OURS: Final = "haat"
_PATH: Final = f"user.ext.{OURS}"
_SECTION: Final = "3.2.20"
_HOUSE_ONLY: Final = int(Permission.HOUSE_ADS_ONLY)


def check_session(user: Mapping[str, Any], problems: Problems) -> None:
    """What `user.ext.haat` holds is an object, and its session a text of at most 64 characters."""
    ours = (user.get("ext") or {}).get(OURS)
    if ours is None:
        return
    if type(ours) is not dict:
        problems.error(_PATH, ours, "give an object", _SECTION)
        return
    session_id = ours.get("session_id")
    if session_id is not None and (type(session_id) is not str or len(session_id) > ID_LIMIT):
        problems.error(
            f"{_PATH}.session_id", session_id, f"name the session in at most {ID_LIMIT} characters", _SECTION
        )


def session_of(user: Mapping[str, Any], permissions: int) -> str:
    """The session of a checked request, empty without one and where the page alone may be looked at."""
    if permissions & _HOUSE_ONLY:
        return ""
    ours = (user.get("ext") or {}).get(OURS) or {}
    return ours.get("session_id") or ""
