"""How is the auction reached by OpenRTB over HTTP? POST /openrtb2/auction, in JSON or protobuf, also from a browser.

OpenRTB 2.6 §2.1 to §2.6: 200 with bids, 204 without, 400 when malformed (with all that is wrong, as JSON), the format
of the answer is that of the request, gzip both ways. Clients of Prebid's get 200 without bids too, and need no
preflight: they send JSON as text/plain, with credentials, and say `?gzip=1` where they pack it.
"""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from common.errors import BackendUnavailable, PermissionDenied, Unauthenticated
from exchange.openrtb.auctions import Answered, OpenRtbAuctions
from exchange.openrtb.codec import TooLarge, deflate, from_json, inflate, to_json
from exchange.openrtb.problems import InvalidRequest, as_json, one_problem
from exchange.openrtb.protobuf import request_from_bytes, response_to_bytes
from exchange.openrtb.publishers import Publishers
from exchange.openrtb.signals import FromConnection
from exchange.user_ids import COOKIE

PATH: Final = "/openrtb2/auction"
VERSION: Final = "2.6"
JSON: Final = "application/json"
# The last is what curl and others say of a body when nobody told them what it is.
_JSON_TYPES: Final = frozenset({"", JSON, "text/plain", "text/json", "application/x-www-form-urlencoded"})
_PROTOBUF_TYPES: Final = frozenset({"application/x-protobuf", "application/protobuf"})
_PACKED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_MAGIC: Final = b"\x1f\x8b"
# Less than this is not worth packing.
_WORTH_PACKING_BYTES: Final = 1_400
_ALLOWED_HEADERS: Final = "content-type, content-encoding, x-openrtb-version, x-api-key"

_log = logging.getLogger(__name__)


class UnsupportedMedia(Exception):  # told as HTTP 415
    """The body is in a format that is not taken; says which are."""


class _Body(NamedTuple):
    request: dict[str, Any]
    protobuf: bool


class OpenRtbEdge:
    """The routes of OpenRTB over one core."""

    def __init__(self, auctions: OpenRtbAuctions, publishers: Publishers, *, max_bytes: int) -> None:
        self._auctions = auctions
        self._publishers = publishers
        self._max_bytes = max_bytes

    def routes(self) -> list[Route]:
        """To be added to the HTTP application."""
        return [
            Route(PATH, self._auction, methods=["POST"]),
            Route(PATH, self._preflight, methods=["OPTIONS"]),
        ]

    async def _auction(self, request: Request) -> Response:
        try:
            response = await self._answered(request)
        except InvalidRequest as error:
            response = Response(as_json(error.problems, error.unlisted), 400, media_type=JSON)
        except TooLarge:
            response = _said(413, f"send at most {self._max_bytes} bytes, packed and unpacked")
        except UnsupportedMedia as error:
            response = _said(415, str(error))
        except Unauthenticated as error:
            response = _said(401, str(error))
        except PermissionDenied as error:
            response = _said(403, str(error))
        except BackendUnavailable as error:
            response = _said(503, str(error))
        except ClientDisconnect:
            response = Response(status_code=400)
        except Exception:
            _log.exception("an OpenRTB call failed")
            response = _said(500, "haat made a mistake of its own; its log says where")
        self._mark(request, response)
        return response

    async def _preflight(self, request: Request) -> Response:
        if not self._publishers.allows(request.headers.get("origin", "")):
            return _said(403, "pages of this origin do not sell here (setting openrtb_publishers)")
        response = Response(
            status_code=204,
            headers={
                "access-control-allow-methods": "POST",
                "access-control-allow-headers": _ALLOWED_HEADERS,
                "access-control-max-age": "86400",
            },
        )
        self._mark(request, response)
        return response

    def _mark(self, request: Request, response: Response) -> None:
        """The headers of every answer: our version, and for a known origin that its pages may read it."""
        headers = response.headers
        headers["x-openrtb-version"] = VERSION
        headers["vary"] = "Origin, Accept-Encoding"
        origin = request.headers.get("origin", "")
        if self._publishers.allows(origin):
            headers["access-control-allow-origin"] = origin
            headers["access-control-allow-credentials"] = "true"
            headers["cross-origin-resource-policy"] = "cross-origin"

    async def _answered(self, http: Request) -> Response:
        headers, query = http.headers, http.query_params
        version = headers.get("x-openrtb-version", VERSION)
        if not version.startswith("2."):
            raise one_problem("x-openrtb-version", version, "send OpenRTB 2.x; this is 2.6", "2.5")
        key = headers.get("x-api-key") or query.get("key") or ""
        tenant_id = self._publishers.tenant_of_key(key) if key else ""
        request, protobuf = await self._body(http)
        problems = self._auctions.read(request)
        tenant_id = tenant_id or self._publishers.tenant_of_page(request, headers.get("origin", ""))
        connection = FromConnection(
            ip=http.client.host if http.client else "",
            user_agent=headers.get("user-agent", ""),
            gpc=headers.get("sec-gpc") == "1",
            dnt=headers.get("dnt") == "1",
            uids=http.cookies.get(COOKIE, ""),
        )
        answered = await self._auctions.answer(request, problems, tenant_id, connection)
        return _response(answered, http, protobuf)

    async def _body(self, http: Request) -> _Body:
        headers = http.headers
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        protobuf = content_type in _PROTOBUF_TYPES
        if not protobuf and content_type not in _JSON_TYPES:
            raise UnsupportedMedia("send application/json, text/plain with JSON in it, or application/x-protobuf")
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding and encoding != "identity" and encoding not in _PACKED:
            raise UnsupportedMedia("pack with gzip or deflate, or not at all")
        data = await self._bytes(http)
        # Some say so in the query, some not at all; neither JSON nor protobuf begins like gzip.
        if encoding in _PACKED or data.startswith(_GZIP_MAGIC):
            data = inflate(data, self._max_bytes)
        return _Body(request_from_bytes(data) if protobuf else from_json(data), protobuf)

    async def _bytes(self, http: Request) -> bytes:
        length = http.headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20 and int(length) > self._max_bytes:
            raise TooLarge
        chunks: list[bytes] = []
        size = 0
        async for chunk in http.stream():
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLarge
            chunks.append(chunk)
        return b"".join(chunks)


def _response(answered: Answered, http: Request, protobuf: bool) -> Response:
    response = answered.response
    if not answered.bids:
        if not answered.dialect.prebid and http.query_params.get("nobid") != "200":
            return Response(status_code=204)
        response.setdefault("seatbid", [])
    data = response_to_bytes(response) if protobuf else to_json(response)
    sent = Response(data, media_type="application/x-protobuf" if protobuf else JSON)
    if len(data) >= _WORTH_PACKING_BYTES and _takes_gzip(http.headers.get("accept-encoding", "")):
        sent.body = deflate(data)
        sent.headers["content-length"] = str(len(sent.body))
        sent.headers["content-encoding"] = "gzip"
    return sent


def _takes_gzip(accepted: str) -> bool:
    for word in accepted.lower().split(","):
        coding, _, quality = word.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _said(status: int, sentence: str) -> Response:
    return Response(to_json({"error": sentence}), status, media_type=JSON)
