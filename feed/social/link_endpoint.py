"""What happens when somebody follows a shared link? The click is counted, and the reader led on to the shop.

Nothing is set in the browser. Who reads without a session is told apart by a digest of address and agent that lives
in memory for a day and is written nowhere.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from common.errors import BackendUnavailable
from feed.social.share_links import Refusal, ShareLinks

_HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
_STATUS = {Refusal.FOREIGN: 404, Refusal.GONE: 410}
_SENTENCES = {Refusal.FOREIGN: "There is no such link.", Refusal.GONE: "What this link led to is gone."}


def described() -> tuple[dict[str, Any], dict[str, Any]]:
    """(paths, schema components) of OpenAPI 3.1."""
    parameters = [
        {"name": "code", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "session", "in": "query", "required": False, "schema": {"type": "string"}},
    ]
    follow = {
        "summary": "Follow a shared link", "operationId": "follow_link", "security": [], "parameters": parameters,
        "responses": {
            "302": {"description": "On to the shop"}, "404": {"description": "No such link"},
            "410": {"description": "What it led to is gone"},
        },
    }  # fmt: skip
    return {"/s/{code}": {"get": follow}}, {}


def routes(links: ShareLinks) -> list[BaseRoute]:
    """`/s/{code}`, optionally with `?session=`: 302 to the landing page, 404 or 410 otherwise."""

    async def follow(request: Request) -> Response:
        if request.method == "HEAD" or "prefetch" in request.headers.get("sec-purpose", ""):
            # Nobody reads: a preview is made, or a page is fetched in case.
            return Response(status_code=204, headers=_HEADERS)
        address = request.client.host if request.client is not None else ""
        stranger = f"{address}\0{request.headers.get('user-agent', '')}".encode(errors="replace")
        session_id = request.query_params.get("session", "")
        try:
            led = await asyncio.to_thread(links.follow, request.path_params["code"], session_id, stranger)
        except BackendUnavailable:
            return Response("Try again in a moment.", 503, headers={**_HEADERS, "retry-after": "1"})
        if isinstance(led, Refusal):
            return Response(_SENTENCES[led], _STATUS[led], headers=_HEADERS, media_type="text/plain")
        return Response(status_code=302, headers={**_HEADERS, "location": led.landing_url})

    return [Route("/s/{code}", follow, methods=["GET", "HEAD"])]
