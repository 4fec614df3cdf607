"""Which outside bidders may know this visitor, and by which id? By consent, from the browser's cookie and the request.

The cookie is what /setuid wrote (exchange.user_ids); a page may know ids of its own and say them where Prebid's clients
do, in `user.ext.prebid.buyeruids`. What the page says goes before the cookie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from common.consent import Permission
from common.consent_signals import ConsentSignals
from exchange.user_ids import UID_LIMIT, read_cookie

# Reading the cookie is storage on the visitor's device, and telling its content to others is sharing.
_NEEDED: Final = int(Permission.REMEMBER | Permission.SHARE)


def _with_nobody(_signals: ConsentSignals, _vendor_id: int) -> bool:
    return False


class Sharing(msgspec.Struct, frozen=True):
    """With whom ids may be shared: outside bidders by name with their number in the vendor list (0: none), and who
    decides by the request's consent (common.consent_policy.ConsentPolicy.may_share_with).
    """

    vendor_ids: Mapping[str, int] = {}
    may_share_with: Callable[[ConsentSignals, int], bool] = _with_nobody


def withheld_from(signals: Iterable[ConsentSignals], permissions: int, sharing: Sharing) -> tuple[str, ...]:
    """The bidders that the visitor's consent does not cover, of those that it would be shared with; `signals` is all
    that the request says about consent, of which each word counts.
    """
    if not permissions & Permission.SHARE:
        return ()
    signals = tuple(signals)
    return tuple(
        bidder
        for bidder, vendor_id in sharing.vendor_ids.items()
        if not all(sharing.may_share_with(one, vendor_id) for one in signals)
    )


def buyer_ids(
    user: Mapping[str, Any], cookie: str, permissions: int, sharing: Sharing, withheld: Sequence[str], now_ms: int
) -> tuple[tuple[str, str], ...]:
    """`(bidder, its id of the visitor)` of those bidders that may have it; `user` is the request's, `cookie` the value
    of the cookie `uids`, `withheld` are the bidders that consent does not cover.
    """
    if not sharing.vendor_ids or permissions & _NEEDED != _NEEDED:
        return ()
    known = read_cookie(cookie)
    if known.opted_out:
        return ()
    found = {**known.living(now_ms), **_said(user)}
    return tuple(
        (bidder, uid) for bidder, uid in found.items() if bidder in sharing.vendor_ids and bidder not in withheld
    )


def _said(user: Mapping[str, Any]) -> dict[str, str]:
    prebid = (user.get("ext") or {}).get("prebid")
    said = prebid.get("buyeruids") if type(prebid) is dict else None
    if type(said) is not dict:
        return {}
    return {bidder: uid for bidder, uid in said.items() if type(uid) is str and 0 < len(uid) <= UID_LIMIT}
