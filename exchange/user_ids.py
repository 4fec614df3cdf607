"""By which ids do outside bidders know this browser? One cookie in Prebid Server's form, `uids`.

The cookie holds base64 of JSON: {"tempUIDs": {bidder: {"uid": ..., "expires": RFC 3339}}, "optout": true}. Whatever a
browser sends instead is no ids.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

COOKIE: Final = "uids"
UID_LIMIT: Final = 256
MOST_IDS: Final = 64
# What browsers keep of one cookie.
COOKIE_LIMIT_BYTES: Final = 4_000
ID_LASTS: Final = timedelta(days=14)
COOKIE_LASTS: Final = timedelta(days=90)
_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error)


class UserIds(msgspec.Struct, frozen=True):
    """The ids by bidder with when each ends (ms since 1970), and whether the person has opted out of all of it."""

    ids: Mapping[str, tuple[str, int]] = {}
    opted_out: bool = False

    def of(self, bidder: str, now_ms: int) -> str:
        """The bidder's id of this browser, empty without a living one."""
        uid, ends_at_ms = self.ids.get(bidder, ("", 0))
        return uid if ends_at_ms > now_ms else ""

    def living(self, now_ms: int) -> dict[str, str]:
        """All ids that have not ended, by bidder."""
        return {bidder: uid for bidder, (uid, ends_at_ms) in self.ids.items() if ends_at_ms > now_ms}

    def with_id(self, bidder: str, uid: str, now_ms: int) -> UserIds:
        """The same with this bidder's id, or without it where `uid` is empty; what has ended is left out."""
        kept = {name: entry for name, entry in self.ids.items() if name != bidder and entry[1] > now_ms}
        if uid and not self.opted_out:
            kept[bidder] = (uid, now_ms + int(ID_LASTS.total_seconds() * 1000))
        # The oldest make room.
        newest = sorted(kept.items(), key=lambda entry: entry[1][1])[-MOST_IDS:]
        return UserIds(dict(newest), self.opted_out)


def read_cookie(value: str) -> UserIds:
    """The ids in the cookie's value; none when it cannot be read."""
    if not value or len(value) > 2 * COOKIE_LIMIT_BYTES:
        return UserIds()
    try:
        content: Any = msgspec.json.decode(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
        entries = content.get("tempUIDs") or {}
        ids = {
            str(bidder): (entry["uid"], _ms_of(entry["expires"]))
            for bidder, entry in list(entries.items())[:MOST_IDS]
            if isinstance(entry["uid"], str) and 0 < len(entry["uid"]) <= UID_LIMIT
        }
        return UserIds(ids, content.get("optout") is True)
    except (*_UNREADABLE, msgspec.DecodeError):
        return UserIds()


def _ms_of(expires: str) -> int:
    # In UTC, so that what would be written back as the year 10000 overflows here.
    return int(datetime.fromisoformat(expires).astimezone(UTC).timestamp() * 1000)


def cookie_value(ids: UserIds) -> str:
    """The cookie's value; ids that end first are left out where it would grow too large."""
    entries = sorted(ids.ids.items(), key=lambda entry: -entry[1][1])
    while True:
        content = {
            "tempUIDs": {
                bidder: {"uid": uid, "expires": datetime.fromtimestamp(ends_at_ms / 1000, UTC).isoformat()}
                for bidder, (uid, ends_at_ms) in entries
            },
            **({"optout": True} if ids.opted_out else {}),
        }
        value = base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")
        if len(value) <= COOKIE_LIMIT_BYTES or not entries:
            return value
        entries.pop()


def set_cookie(ids: UserIds) -> str:
    """The Set-Cookie header. Browsers keep third-party cookies only with Partitioned, and that only with Secure."""
    lasts_s = int(COOKIE_LASTS.total_seconds())
    return f"{COOKIE}={cookie_value(ids)}; Max-Age={lasts_s}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
