"""In whose name is this request sold? By the caller's API key, or by a publisher whose pages ask from the open web.

A browser can keep no secret, so a page names its publisher (`site.publisher.id`) and is believed when its origin is one
of those that the publisher is known to sell from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from accounts.ports import ApiKeys
from common.errors import PermissionDenied, Unauthenticated

ROLES: Final = ("storefront", "operator")
# Apps and screens have no origin: a publisher with this one is believed by its id alone.
ANY_ORIGIN: Final = "*"
_KEY_LIMIT: Final = 128


class Publisher(msgspec.Struct, frozen=True):
    """A publisher by its id in requests: the tenant that sells for it, and the origins of its pages."""

    publisher_id: str
    tenant_id: str
    origins: tuple[str, ...]


class Publishers:
    """Who may ask without a key, and from where; and who comes with one."""

    def __init__(self, keys: ApiKeys, publishers: Sequence[Publisher] = ()) -> None:
        self._keys = keys
        self._by_id = {publisher.publisher_id: publisher for publisher in publishers}
        self._origins = frozenset(origin for publisher in publishers for origin in publisher.origins) - {ANY_ORIGIN}

    def allows(self, origin: str) -> bool:
        """May pages of this origin read our answers? Only those that are listed: ANY_ORIGIN is for what has none."""
        return origin in self._origins

    def tenant_of_key(self, key: str) -> str:
        """The tenant of an API key; Unauthenticated or PermissionDenied when it may not sell."""
        found = self._keys.caller_of(key) if len(key) <= _KEY_LIMIT else None
        if found is None:
            raise Unauthenticated("the API key is not known or was revoked")
        if found.role not in ROLES:
            raise PermissionDenied(f"a key of role {found.role!r} may not do this: it takes {' or '.join(ROLES)}")
        return found.tenant_id

    def tenant_of_page(self, request: Mapping[str, Any], origin: str) -> str:
        """The tenant that sells for the publisher of a valid request; Unauthenticated or PermissionDenied without."""
        channel = request.get("site") or request.get("app") or request.get("dooh") or {}
        publisher_id = (channel.get("publisher") or {}).get("id")
        publisher = self._by_id.get(publisher_id) if publisher_id else None
        if publisher is None:
            raise Unauthenticated(
                "send an API key as x-api-key, or the id of a known publisher as site.publisher.id "
                "(setting openrtb_publishers)"
            )
        if origin not in publisher.origins and ANY_ORIGIN not in publisher.origins:
            raise PermissionDenied("this publisher does not sell from this origin (setting openrtb_publishers)")
        return publisher.tenant_id
