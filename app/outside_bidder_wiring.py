"""How is each entry of the operator's list asked? By gRPC, or by OpenRTB over HTTP where its target is a URL."""

from __future__ import annotations

from collections.abc import Callable

from app.outside_bidders import OutsideBidder as Entry
from bidders.openrtb_remote import OpenRtbRemote
from bidders.remote import RemoteBidder
from common.consent_signals import ConsentSignals

# Without a timeout of its own a bidder has all the time that its page view has left.
_NOWHERE_MS = 10_000

Remote = RemoteBidder | OpenRtbRemote


def outside_bidder_of(entry: Entry, own_currency: str, may_share_with: Callable[[ConsentSignals, int], bool]) -> Remote:
    """The bidder of one entry; nothing is connected yet."""
    currency, timeout_ms = entry.currency or own_currency, entry.timeout_ms or _NOWHERE_MS
    if not entry.speaks_openrtb:
        return RemoteBidder(
            name=entry.name, target=entry.target, currency=currency, timeout_ms=timeout_ms, own_currency=own_currency,
            seats=entry.terms.seats,
        )  # fmt: skip
    return OpenRtbRemote(
        name=entry.name,
        target=entry.target,
        currency=currency,
        own_currency=own_currency,
        timeout_ms=timeout_ms,
        may_share_with=may_share_with,
        vendor_id=entry.terms.vendor_id,
        seats=entry.terms.seats,
    )
