"""How does a page know the pages before it? By a signed cursor that carries the chain and binds it to its session."""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from common.errors import FieldError

CURSOR_TTL_MS = 6 * 3_600_000
# Posts in one chain. At 8 bytes each, the longest cursor has about 107,000 characters.
MAX_CHAIN_POSTS = 10_000
MAX_CURSOR_CHARS = 110_000

_VERSION = 1
_MAC_BYTES = 16
_HEAD = struct.Struct("<BQQII")
_MIN_SECRET_BYTES = 16


class Chain(msgspec.Struct, frozen=True, gc=False):
    """A scroll through the feed: its id, which page comes next (0 is the first), keys of the posts that were shown."""

    chain_id: int
    page_number: int = 0
    shown: tuple[int, ...] = ()

    @property
    def place(self) -> tuple[int, int]:
        """Which page of which chain."""
        return self.chain_id, self.page_number

    def after(self, keys: Sequence[int]) -> Chain | None:
        """The chain once these posts were shown too; None at its end, when it holds as many as a cursor carries."""
        shown = (*self.shown, *keys)
        return Chain(self.chain_id, self.page_number + 1, shown) if len(shown) < MAX_CHAIN_POSTS else None


class Cursors:
    """Writes and reads cursors. The secret must be the same in every process that serves a session."""

    def __init__(self, *, secret: bytes, ttl_ms: int = CURSOR_TTL_MS) -> None:
        if len(secret) < _MIN_SECRET_BYTES:
            raise ValueError(f"a secret has {_MIN_SECRET_BYTES} bytes or more, this has {len(secret)}")
        self._secret = secret
        self._ttl_ms = ttl_ms

    def write(self, chain: Chain, tenant_id: str, session_id: str, now_ms: int) -> str:
        """The cursor for the next page of `chain`, good for this tenant's session alone."""
        head = _HEAD.pack(_VERSION, now_ms, chain.chain_id, chain.page_number, len(chain.shown))
        body = head + struct.pack(f"<{len(chain.shown)}Q", *chain.shown)
        return base64.urlsafe_b64encode(self._mac(body, tenant_id, session_id) + body).rstrip(b"=").decode()

    def read(self, cursor: str, tenant_id: str, session_id: str, now_ms: int) -> Chain | FieldError:
        """The chain in a cursor, or why it cannot be taken: forged, another session's, or too old."""
        raw = _decoded(cursor)
        if raw is None or len(raw) < _MAC_BYTES + _HEAD.size:
            return FieldError("cursor", "no cursor of this feed", _REMEDY)
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        # Nothing of the body is looked at before it is known to be ours.
        if not hmac.compare_digest(mac, self._mac(body, tenant_id, session_id)):
            return FieldError("cursor", "forged, or of another session", _REMEDY)
        version, issued_at_ms, chain_id, page_number, count = _HEAD.unpack_from(body)
        if version != _VERSION or len(body) != _HEAD.size + 8 * count:
            return FieldError("cursor", "of another version of this feed", _REMEDY)
        if now_ms - issued_at_ms > self._ttl_ms:
            return FieldError("cursor", f"expired after {self._ttl_ms // 60_000} minutes", _REMEDY)
        return Chain(chain_id, page_number, struct.unpack_from(f"<{count}Q", body, _HEAD.size))

    def _mac(self, body: bytes, tenant_id: str, session_id: str) -> bytes:
        # Lengths first: no other pair of ids gives the same bytes.
        tenant, session = tenant_id.encode(), session_id.encode()
        bound = struct.pack("<II", len(tenant), len(session)) + tenant + session
        return hmac.new(self._secret, bound + body, sha256).digest()[:_MAC_BYTES]


_REMEDY = "send next_cursor of the page before as it came, in the same session, or leave it empty for the first page"


def _decoded(cursor: str) -> bytes | None:
    if len(cursor) > MAX_CURSOR_CHARS or not cursor.isascii():
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
