"""Which pages tell the market who we are and who its browsers are? sellers.json and the cookie sync."""

from __future__ import annotations

from typing import Any

from accounts.ports import AccountStore
from app.consent import FollowedPolicy
from app.settings import Settings
from common.clock import Clock
from exchange.sellers import sellers_json
from exchange.user_sync import SyncPoint, UserSync


def user_sync_of(settings: Settings, consent: FollowedPolicy, clock: Clock) -> UserSync:
    """The pages by which browsers become known to the bidders of the settings."""
    return UserSync(
        points=[
            SyncPoint(entry.name, entry.sync_url, entry.sync_frame, entry.terms.vendor_id)
            for entry in settings.outside_bidders
        ],
        policy=lambda: consent.current,
        clock=clock,
        public_url=(settings.public_url or settings.http_url).rstrip("/"),
    )


def sellers_of(settings: Settings, accounts: AccountStore) -> dict[str, Any]:
    """The content of sellers.json; blocks, as it reads the tenants."""
    return sellers_json(settings.openrtb_publishers, accounts.tenants(), "")
