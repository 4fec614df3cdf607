"""How does a player fetch a video ad? VAST at an address, for players and header bidders that cannot take it inline."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exchange.creatives.markup_store import PATH, MarkupStore, is_key
from exchange.creatives.video import document


def routes(store: MarkupStore) -> list[Route]:
    """`GET /vast/<key>`; a key whose time is over gets a document without ads, as VAST 4.2 §2.3.6.4 says "no ad"."""

    async def serve(request: Request) -> Response:
        key: str = request.path_params["key"]
        if not is_key(key):
            return PlainTextResponse("no such video: ask for /vast/<impression id>\n", status_code=404)
        headers = {"cross-origin-resource-policy": "cross-origin", "vary": "origin"}
        # Players ask with credentials, for which a star is not enough; nothing here depends on who asks.
        if origin := request.headers.get("origin", ""):
            headers |= {"access-control-allow-origin": origin, "access-control-allow-credentials": "true"}
        return Response(store.get(key) or document([]), media_type="application/xml", headers=headers)

    return [Route(f"{PATH}/{{key}}", serve, methods=["GET"])]
