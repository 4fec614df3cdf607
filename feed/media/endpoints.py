"""How do media travel over HTTP? In by a signed address, once; out with headers that let nothing in them run."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from common.clock import Clock
from common.errors import BackendUnavailable, Conflict, HaatError, InvalidInput, NotFound
from feed.media.ports import MediaStore, Upload, UploadReceiver, UploadSink
from feed.media.ranges import BEYOND, range_of
from feed.media.tickets import TicketRefusal, Tickets

_NAME: Final = re.compile(r"([0-9a-f]{64})\.(webp|jpg|mp4|webm)")
_MEDIA_ID: Final = re.compile(r"[0-9a-f]{32}")
_TYPES: Final = {"webp": "image/webp", "jpg": "image/jpeg", "mp4": "video/mp4", "webm": "video/webm"}
# What stands under a name never changes. A shared cache asks again after an hour, so what was removed is gone by then.
_PUBLIC: Final = "public, max-age=31536000, s-maxage=3600, immutable"
_PRIVATE: Final = "private, no-store"
_SAFE: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",
    "accept-ranges": "bytes",
}
# A page of the shop uploads from its own origin; the address itself is what lets it.
_UPLOAD_CORS: Final = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "PUT",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "600",
}
# An upload is written to disk in pieces of about this size.
_GATHERED_BYTES: Final = 1 << 20
# Whoever sends nothing for so long has gone.
_SILENCE_S: Final = 30.0


def described() -> tuple[dict[str, Any], dict[str, Any]]:
    """(paths, schema components) of OpenAPI 3.1."""

    def parameter(name: str, where: str, *, required: bool = True) -> dict[str, Any]:
        return {"name": name, "in": where, "required": required, "schema": {"type": "string"}}

    binary = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    wrong = {"description": "What is wrong, as a sentence"}
    upload = {
        "summary": "Upload the bytes that a ticket was made for", "operationId": "upload", "security": [],
        "parameters": [parameter("ticket", "path"), parameter("content-type", "header")],
        "requestBody": {"required": True, "content": binary},
        "responses": {"201": {"description": "All is there"}, "default": wrong},
    }  # fmt: skip
    serve = {
        "summary": "A file of a medium", "operationId": "media", "security": [],
        "parameters": [
            parameter("media_id", "path"), parameter("name", "path"), parameter("preview", "query", required=False),
            parameter("range", "header", required=False), parameter("if-none-match", "header", required=False),
        ],
        "responses": {
            "200": {"description": "The file", "content": binary}, "206": {"description": "A part of it"},
            "304": {"description": "As it was"}, "default": wrong,
        },
    }  # fmt: skip
    return {"/media/uploads/{ticket}": {"put": upload}, "/media/{media_id}/{name}": {"get": serve}}, {}


class MediaEndpoints:
    """The routes of media. `is_shown(media_id)` says whether others than its author may see it: a short blocking look.

    `receiver` is None where uploads go to an object store.
    """

    def __init__(
        self,
        *,
        store: MediaStore,
        receiver: UploadReceiver | None,
        tickets: Tickets,
        is_shown: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._store = store
        self._receiver = receiver
        self._tickets = tickets
        self._is_shown = is_shown
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """To be added to the HTTP pages."""
        upload = [Route("/media/uploads/{ticket}", self._upload, methods=["PUT", "OPTIONS"])] if self._receiver else []
        return [*upload, Route("/media/{media_id}/{name}", self._serve, methods=["GET"])]

    async def _serve(self, request: Request) -> Response:
        media_id, name = request.path_params["media_id"], request.path_params["name"]
        found = _NAME.fullmatch(name)
        if not found or not _MEDIA_ID.fullmatch(media_id):
            return _answer("there is no such file", 404)
        preview = request.query_params.get("preview", "")
        previewed = bool(preview) and self._tickets.may_preview(media_id, preview, self._clock.now_ms())
        if not previewed and not await asyncio.to_thread(self._is_shown, media_id):
            return _answer("there is no such file", 404)
        size = await asyncio.to_thread(self._store.size, f"{media_id}/{name}")
        if size is None:
            return _answer("there is no such file", 404)
        etag = f'"{found[1]}"'
        headers = {
            **_SAFE,
            "etag": etag,
            "cache-control": _PRIVATE if previewed else _PUBLIC,
            "content-disposition": f'inline; filename="{name}"',
            "content-type": _TYPES[found[2]],
        }
        if _matches(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers=headers)
        wanted = None
        if request.headers.get("if-range", etag) == etag:
            wanted = range_of(request.headers.get("range", ""), size)
        if wanted == BEYOND:
            return _answer("the range lies beyond the file", 416, {"content-range": f"bytes */{size}"})
        start, length = wanted or (0, size)
        status = 200
        if wanted is not None:
            status = 206
            headers["content-range"] = f"bytes {start}-{start + length - 1}/{size}"
        headers["content-length"] = str(length)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        pieces = self._store.read(f"{media_id}/{name}", start, length)
        return StreamingResponse(_in_thread(pieces), status, headers)

    async def _upload(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_UPLOAD_CORS)
        upload = self._tickets.read(request.path_params["ticket"], self._clock.now_ms())
        if upload is TicketRefusal.ALTERED:
            return _answer("this address is not one of ours: start another upload", 403)
        if upload is TicketRefusal.EXPIRED:
            return _answer("this address has expired: start another upload", 410)
        if request.headers.get("content-type", "").strip().lower() != upload.content_type:
            return _answer(f"the address was signed for content-type {upload.content_type}", 415)
        declared = request.headers.get("content-length", "")
        if declared.isascii() and declared.isdecimal() and int(declared) > upload.max_bytes:
            return _answer(f"the address was signed for at most {upload.max_bytes} bytes", 413)
        try:
            return await self._receive(request, upload)
        except Conflict as error:
            return _answer(str(error), 409)
        except InvalidInput as error:
            return _answer(str(error), 413)
        except BackendUnavailable as error:
            return _answer(str(error), 503)

    async def _receive(self, request: Request, upload: Upload) -> Response:
        assert self._receiver is not None
        sink = await asyncio.to_thread(self._receiver.begin, upload)
        try:
            await _fill(sink, request.stream())
        except (HaatError, ClientDisconnect, TimeoutError, asyncio.CancelledError) as error:
            # What broke off may be tried again by the same address.
            await asyncio.shield(asyncio.to_thread(sink.abandon))
            if isinstance(error, TimeoutError):
                return _answer("the upload stopped: send it again", 408)
            if isinstance(error, ClientDisconnect):
                return _answer("the upload broke off: send it again", 400)
            raise
        return Response(status_code=201, headers=_UPLOAD_CORS)


async def _fill(sink: UploadSink, stream: AsyncIterator[bytes]) -> None:
    gathered: list[bytes] = []
    waiting = 0
    while True:
        piece = await asyncio.wait_for(anext(stream, None), _SILENCE_S)
        if piece is not None:
            gathered.append(piece)
            waiting += len(piece)
        if waiting >= _GATHERED_BYTES or piece is None:
            await asyncio.to_thread(sink.write, b"".join(gathered))
            gathered, waiting = [], 0
        if piece is None:
            await asyncio.to_thread(sink.commit)
            return


async def _in_thread(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
    except NotFound:
        # It was erased while it was being read: the connection ends short of its length.
        return
    finally:
        # Whoever went away meanwhile leaves no open file behind; a piece that is just being read closes it later.
        with contextlib.suppress(ValueError):
            pieces.close()


def _matches(header: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or "*" in tags


def _answer(reason: str, status: int, headers: dict[str, str] | None = None) -> Response:
    body = msgspec.json.encode({"error": reason})
    return Response(
        body, status, {"cache-control": "no-store", "access-control-allow-origin": "*", **(headers or {})},
        media_type="application/json",
    )  # fmt: skip
