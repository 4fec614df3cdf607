"""How does an advertiser say that a click led to an order? From its server with a signed call, or by a signed pixel.

`POST /conversion` carries `X-Signature: t=<seconds>,v1=<hexadecimal HMAC-SHA256 of "<t>." and the body>`, no older than
five minutes, with the tenant's secret (`haat key postback TENANT`); while the secret is changed both are good. An
`Idempotency-Key` gets the answer of the first time for a day, also after a restart. Orders are billed once in any case.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from common.clock import Clock
from common.errors import BackendUnavailable
from exchange.billing import Kind, Notice, NoticeOutcome, Verdict
from exchange.event_endpoints import PIXEL, TakeNotices
from exchange.http_bodies import body_within
from exchange.tokens import MOST_TOKEN_CHARS, Token, TokenKind, TokenRefusal, Tokens, tenant_bytes

BODY_LIMIT_BYTES: Final = 256 * 1024
CONVERSIONS_LIMIT: Final = 1_000
SIGNATURE_AGE_S: Final = 300
_KEY: Final = re.compile(r"[\x21-\x7e]{1,64}")
_ORDER: Final = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
_SIGNATURE: Final = re.compile(r"t=(\d{1,12})((?:,v1=[0-9a-f]{64}){1,4})")
_NO_STORE: Final = {"cache-control": "no-store", "cross-origin-resource-policy": "cross-origin"}


class Conversion(msgspec.Struct, frozen=True):
    """One order that a click led to."""

    click_id: str
    order_id: str


class ConversionBatch(msgspec.Struct, frozen=True):
    """The body of a call."""

    tenant_id: str
    conversions: list[Conversion]


class PostbackAnswers(Protocol):
    """Answers by tenant and idempotency key, for a day."""

    async def begin(self, tenant_id: str, key: str, body_sha256: str, now_ms: int) -> tuple[str, bytes]:
        """("fresh", b"") when it is to be done now; ("done", the answer); ("busy", b"") while another does it;
        ("other", b"") when the key was used for another body. BackendUnavailable.
        """

    async def finish(self, tenant_id: str, key: str, answer: bytes, now_ms: int) -> None:
        """It was done with this answer."""

    def abandon(self, tenant_id: str, key: str) -> None:
        """It was not done; the key is free again."""


class ConversionEndpoints:
    """`secrets(tenant)` are the secrets that the tenant with these 16 bytes signs with, newest first."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        take: TakeNotices,
        clock: Clock,
        secrets: Callable[[bytes], Sequence[str]],
        answers: PostbackAnswers,
    ) -> None:
        self._tokens = tokens
        self._take = take
        self._clock = clock
        self._secrets = secrets
        self._answers = answers

    def routes(self) -> list[BaseRoute]:
        """To be added to the HTTP pages."""
        return [
            Route("/conversion", self._pixel, methods=["GET"]),
            Route("/conversion", self._call, methods=["POST"]),
        ]

    async def _pixel(self, request: Request) -> Response:
        """`click_id`, `order_id` and `sig`, the HMAC-SHA256 of `<click_id>.<order_id>` with the tenant's secret."""
        click_id, order_id, signature = (request.query_params.get(n, "") for n in ("click_id", "order_id", "sig"))
        if not _ORDER.fullmatch(order_id) or len(click_id) > MOST_TOKEN_CHARS:
            return _refused(400, "give click_id, order_id (1 to 64 characters) and sig")
        token = self._token(click_id)
        if isinstance(token, TokenRefusal):
            return _refused(410 if token is TokenRefusal.EXPIRED else 400, f"click_id is {token.name.lower()}")
        if not _signed(f"{click_id}.{order_id}".encode(), [signature], self._secrets(token.tenant)):
            return _refused(401, "sig is not the tenant's signature of click_id, a dot and order_id")
        try:
            await self._take([Notice(Kind.CONVERSION, token.impression_id, order_id)])
        except BackendUnavailable:
            return _refused(503, "the conversion could not be recorded: send it again")
        return Response(PIXEL, media_type="image/gif", headers=_NO_STORE)

    async def _call(self, request: Request) -> Response:
        body = await body_within(request, BODY_LIMIT_BYTES)
        if body is None:
            return _refused(413, f"send at most {BODY_LIMIT_BYTES} bytes")
        try:
            batch = msgspec.json.decode(body, type=ConversionBatch)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _refused(400, f"the body is no batch of conversions: {str(error)[:200]}")
        now_ms = self._clock.now_ms()
        why = _why_not_signed(
            request.headers.get("x-signature", ""), body, self._secrets(tenant_bytes(batch.tenant_id)), now_ms // 1000
        )
        if why:
            return _refused(401, why)
        if wrong := _wrong_fields(batch):
            return Response(msgspec.json.encode({"errors": wrong}), 400, headers=_NO_STORE, media_type=_JSON)
        key = request.headers.get("idempotency-key", "")
        if not key:
            return await self._done(batch)
        if not _KEY.fullmatch(key):
            return _refused(400, "Idempotency-Key has 1 to 64 visible ASCII characters")
        try:
            state, answer = await self._answers.begin(batch.tenant_id, key, sha256(body).hexdigest(), now_ms)
        except BackendUnavailable:
            return _refused(503, "whether this call was made before cannot be looked up: send it again")
        if state == "done":
            return Response(answer, headers={**_NO_STORE, "idempotency-replayed": "true"}, media_type=_JSON)
        if state == "busy":
            return _refused(409, "a call with this Idempotency-Key is being worked on: ask again")
        if state == "other":
            return _refused(422, "this Idempotency-Key was used for another body")
        try:
            response = await self._done(batch)
        except BaseException:
            self._answers.abandon(batch.tenant_id, key)
            raise
        if response.status_code == 200:
            await self._answers.finish(batch.tenant_id, key, bytes(response.body), now_ms)
        else:
            self._answers.abandon(batch.tenant_id, key)
        return response

    async def _done(self, batch: ConversionBatch) -> Response:
        tenant = tenant_bytes(batch.tenant_id)
        tokens = [self._token(conversion.click_id) for conversion in batch.conversions]
        notices = [
            Notice(Kind.CONVERSION, token.impression_id, conversion.order_id)
            for token, conversion in zip(tokens, batch.conversions, strict=True)
            # Another tenant's click is not found, as if it did not exist.
            if isinstance(token, Token) and token.tenant == tenant
        ]
        try:
            outcomes = iter(await self._take(notices))
        except BackendUnavailable:
            return _refused(503, "the conversions could not be recorded: send them again")
        said = [
            _outcome(next(outcomes)) if isinstance(token, Token) and token.tenant == tenant else _absent(token)
            for token in tokens
        ]
        return Response(msgspec.json.encode({"outcomes": said}), headers=_NO_STORE, media_type=_JSON)

    def _token(self, click_id: str) -> Token | TokenRefusal:
        return self._tokens.read(click_id, self._clock.now_ms() // 1000, TokenKind.CONVERSION)


_JSON: Final = "application/json"


def sign(secret: str, body: bytes, at_s: int) -> str:
    """The value of X-Signature."""
    return f"t={at_s},v1={_mac(secret, b'%d.' % at_s + body)}"


def sign_pixel(secret: str, click_id: str, order_id: str) -> str:
    """The value of `sig`."""
    return _mac(secret, f"{click_id}.{order_id}".encode())


def _mac(secret: str, data: bytes) -> str:
    return hmac.new(secret.encode(), data, sha256).hexdigest()


def _signed(data: bytes, signatures: Sequence[str], secrets: Sequence[str]) -> bool:
    return any(
        hmac.compare_digest(_mac(secret, data).encode(), signature.encode("utf-8", "replace"))
        for secret in secrets
        for signature in signatures
    )


def _why_not_signed(header: str, body: bytes, secrets: Sequence[str], now_s: int) -> str:
    match = _SIGNATURE.fullmatch(header)
    if match is None:
        return "X-Signature is t=<seconds since 1970>,v1=<hexadecimal HMAC-SHA256 of t, a dot and the body>"
    at_s = int(match[1])
    if abs(now_s - at_s) > SIGNATURE_AGE_S:
        return f"X-Signature is of another time: it is good for {SIGNATURE_AGE_S} seconds, the server's time is {now_s}"
    if not _signed(b"%d." % at_s + body, [part[3:] for part in match[2].split(",")[1:]], secrets):
        return "X-Signature is not the tenant's signature of t, a dot and the body"
    return ""


def _wrong_fields(batch: ConversionBatch) -> list[dict[str, str]]:
    if not 1 <= len(batch.conversions) <= CONVERSIONS_LIMIT:
        return [{"field": "conversions", "remedy": f"give 1 to {CONVERSIONS_LIMIT}"}]
    return [
        {"field": f"conversions[{at}].order_id", "remedy": "give 1 to 64 characters without control characters"}
        for at, conversion in enumerate(batch.conversions)
        if not _ORDER.fullmatch(conversion.order_id)
    ]


def _outcome(outcome: NoticeOutcome) -> dict[str, object]:
    said = {"verdict": outcome.verdict.name.lower(), "billed_micros": outcome.billed_micros}
    return {**said, "currency": outcome.currency}


def _absent(token: Token | TokenRefusal) -> dict[str, object]:
    verdict = Verdict.EXPIRED if token is TokenRefusal.EXPIRED else Verdict.UNKNOWN
    return {"verdict": verdict.name.lower(), "billed_micros": 0, "currency": ""}


def _refused(status_code: int, why: str) -> Response:
    headers = {**_NO_STORE, "retry-after": "1"} if status_code == 503 else _NO_STORE
    return Response(msgspec.json.encode({"error": why}), status_code, headers=headers, media_type=_JSON)
