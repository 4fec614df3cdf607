"""Who may say that an ad was seen, clicked or led to an order? Whoever holds its token: signed, expiring, for one kind.

A token names an impression and what may be said of it. It is 75 characters that need no escaping in a URL:

    version and kind (1 byte), key (1), expires_at in seconds (4), auction (16), placement (2), tenant (16),
    creative (4), HMAC-SHA256 of all that, cut to 12 bytes (RFC 2104 §5 asks for 10 at least)

A conversion's token is made at the click and carries the impression that was clicked: it is the click id that landing
pages get. No price is in it: what an ad costs is looked up in what was sold, so nobody can bring a price along.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from enum import IntEnum
from hashlib import sha256
from struct import Struct
from typing import Final

import msgspec

from exchange.holds import placement_index_of

_BODY: Final = Struct(">BBI16sH16sI")
_MAC_BYTES: Final = 12
_BYTES: Final = _BODY.size + _MAC_BYTES
TOKEN_CHARS: Final = -(-_BYTES * 4 // 3)
_PADDING: Final = "=" * (-TOKEN_CHARS % 4)
_VERSION: Final = 1 << 4
_LATEST_S: Final = 0xFFFF_FFFF
KEY_BYTES: Final = 32


class TokenKind(IntEnum):
    """What the holder may say; a video's token stands for its start, its quartiles and its end."""

    IMPRESSION = 1
    VIEWABLE = 2
    CLICK = 3
    CONVERSION = 4
    VIDEO = 5


class TokenRefusal(IntEnum):
    """Why a token is not believed."""

    MALFORMED = 1
    FOREIGN = 2
    TAMPERED = 3
    EXPIRED = 4
    WRONG_KIND = 5


class Token(msgspec.Struct, frozen=True, gc=False):
    """What a token says. `tenant` are 16 bytes of `tenant_bytes`; `creative_number` 0 is an outside bidder's ad."""

    kind: TokenKind
    impression_id: str
    tenant: bytes
    creative_number: int
    expires_at_s: int


class SigningKey(msgspec.Struct, frozen=True):
    """One key: its number, which tokens carry, and its 32 secret bytes."""

    number: int
    secret: bytes


class Tokens:
    """Signs with the newest key and believes the others too; `keys` are newest first and are asked for each time, so
    that a rotation needs no restart.
    """

    def __init__(self, keys: Callable[[], Sequence[SigningKey]]) -> None:
        self._keys = keys
        self._prepared: dict[SigningKey, hmac.HMAC] = {}

    def sign(self, kind: TokenKind, impression_id: str, tenant: bytes, creative_number: int, expires_at_s: int) -> str:
        """The token; the impression id is one that the exchange gave out. About 2 µs."""
        key = self._keys()[0]
        body = _BODY.pack(
            _VERSION | kind,
            key.number,
            min(expires_at_s, _LATEST_S),
            bytes.fromhex(impression_id[:32]),
            int(impression_id[33:]),
            tenant,
            creative_number,
        )
        return urlsafe_b64encode(body + self._mac(key, body)).decode().rstrip("=")

    def read(self, text: str, now_s: int, *kinds: TokenKind) -> Token | TokenRefusal:
        """What the token says, when it is ours, unchanged, in time and of one of `kinds`. A few microseconds."""
        if len(text) != TOKEN_CHARS or not text.isascii():
            return TokenRefusal.MALFORMED
        try:
            data = urlsafe_b64decode(text + _PADDING)
        except (binascii.Error, ValueError):
            return TokenRefusal.MALFORMED
        # Decoding passes over foreign letters and spare bits: only the one spelling that we write is taken.
        if len(data) != _BYTES or urlsafe_b64encode(data).decode().rstrip("=") != text:
            return TokenRefusal.MALFORMED
        head, number, expires_at_s, auction, index, tenant, creative = _BODY.unpack_from(data)
        key = next((key for key in self._keys() if key.number == number), None)
        if key is None:
            return TokenRefusal.FOREIGN
        if not hmac.compare_digest(self._mac(key, data[: _BODY.size]), data[_BODY.size :]):
            return TokenRefusal.TAMPERED
        if head & 0xF0 != _VERSION or head & 0x0F not in _KINDS:
            return TokenRefusal.FOREIGN
        if now_s >= expires_at_s:
            return TokenRefusal.EXPIRED
        kind = TokenKind(head & 0x0F)
        if kinds and kind not in kinds:
            return TokenRefusal.WRONG_KIND
        return Token(kind, f"{auction.hex()}.{index}", tenant, creative, expires_at_s)

    def _mac(self, key: SigningKey, body: bytes) -> bytes:
        prepared = self._prepared.get(key)
        if prepared is None:
            # Keys of before the last rotation are let go with the table.
            self._prepared = {
                known: self._prepared.get(known) or hmac.new(known.secret, digestmod=sha256)
                for known in (*self._keys(), key)
            }
            prepared = self._prepared[key]
        mac = prepared.copy()
        mac.update(body)
        return mac.digest()[:_MAC_BYTES]


_KINDS: Final = frozenset(int(kind) for kind in TokenKind)


def tenant_bytes(tenant_id: str) -> bytes:
    """16 bytes that stand for a tenant in a token: those of its id, or of its id's hash when it is no id of ours."""
    try:
        data = bytes.fromhex(tenant_id)
    except ValueError:
        data = b""
    return data if len(data) == 16 else sha256(tenant_id.encode()).digest()[:16]


def can_be_signed(impression_id: str) -> bool:
    """Is it written as the exchange writes impression ids?"""
    digits = impression_id[:32]
    return placement_index_of(impression_id) is not None and len(digits) == 32 and digits.isalnum() and digits.isascii()
