"""Whom does this exchange sell for? `/sellers.json`, so that buyers can follow a supply chain to its end.

IAB Tech Lab, sellers.json 1.0; `seller_id` is what stands as `sid` in our node of a supply chain: the tenant's id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from accounts.ports import Tenant
from exchange.openrtb.publishers import Publisher

VERSION: Final = "1.0"


def sellers_json(publishers: Sequence[Publisher], tenants: Sequence[Tenant], contact: str) -> dict[str, Any]:
    """The file: every tenant that publishers are sold for, once, with the domain of its first page."""
    names = {tenant.tenant_id: tenant.name for tenant in tenants}
    sellers: dict[str, dict[str, Any]] = {}
    for publisher in publishers:
        entry = sellers.setdefault(
            publisher.tenant_id,
            {"seller_id": publisher.tenant_id, "seller_type": "PUBLISHER", "is_confidential": 0},
        )
        if name := names.get(publisher.tenant_id):
            entry["name"] = name
        domain = next((host for origin in publisher.origins if (host := urlsplit(origin).hostname)), None)
        if domain and "domain" not in entry:
            entry["domain"] = domain
    for entry in sellers.values():
        # Who is not confidential is named.
        if "name" not in entry or "domain" not in entry:
            entry["is_confidential"] = 1
    content: dict[str, Any] = {"version": VERSION, "sellers": list(sellers.values())}
    return {"contact_email": contact, **content} if contact else content


def sellers_routes(content: Callable[[], dict[str, Any]]) -> list[BaseRoute]:
    """The page; `content` blocks, as it reads the tenants."""

    def page(_request: Request) -> Response:
        return Response(
            msgspec.json.encode(content()),
            media_type="application/json",
            headers={"cache-control": "public, max-age=3600", "access-control-allow-origin": "*"},
        )

    return [Route("/sellers.json", page)]
