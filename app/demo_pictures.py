"""What do the demo's products look like? Drawings of our own: a shape and a colour for each product id, as SVG.

And one film of fifteen seconds, of colours that change, for all of its videos.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

PATH = "/demo/pictures"
FILM = "/demo/film.webm"
FILM_S = 15
_FILM = Path(__file__).with_name("demo_film.webm")
_NAME = re.compile(r"[a-z]{1,12}-\d{1,6}")
_SHAPES = (
    '<path d="M90 60h120l30 40-30 20v110H90V120l-30-20z" fill="{ink}"/>',
    '<path d="M95 110h110l15 120H80zM120 110a30 40 0 0 1 60 0" fill="none" stroke="{ink}" stroke-width="12"/>',
    '<path d="M120 50h60l15 70 25 110H80l25-110z" fill="{ink}"/>',
    '<path d="M60 190c40 0 60-30 70-70h40c5 40 30 60 70 70v25H60z" fill="{ink}"/>',
    '<path d="M105 60h90l15 170h-40l-20-110-20 110H90z" fill="{ink}"/>',
)


def picture(product_id: str) -> str:
    """A drawing of 300 × 300, the same for the same id."""
    digest = blake2b(product_id.encode(), digest_size=4).digest()
    hue = digest[0] * 360 // 256
    shape = _SHAPES[digest[1] % len(_SHAPES)].format(ink=f"hsl({hue} 45% 38%)")
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 300" role="img">'
        f"<title>{escape(product_id)}</title>"
        f'<rect width="300" height="300" fill="hsl({(hue + 30) % 360} 40% 90%)"/>{shape}</svg>'
    )


async def _serve(request: Request) -> Response:
    name: str = request.path_params["name"]
    product_id = name.removesuffix(".svg")
    if not name.endswith(".svg") or not _NAME.fullmatch(product_id):
        return PlainTextResponse("no such picture: ask for <section>-<number>.svg\n", status_code=404)
    headers = {"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"}
    # The shop that shows them has an address of its own.
    headers["cross-origin-resource-policy"] = "cross-origin"
    return Response(picture(product_id), media_type="image/svg+xml", headers=headers)


async def _serve_film(_request: Request) -> Response:
    headers = {"cache-control": "public, max-age=86400", "cross-origin-resource-policy": "cross-origin"}
    return FileResponse(_FILM, media_type="video/webm", headers=headers)


def routes() -> list[Route]:
    """The routes that serve the drawings and the film."""
    return [Route(f"{PATH}/{{name}}", _serve, methods=["GET"]), Route(FILM, _serve_film, methods=["GET"])]
