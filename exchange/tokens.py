"""Who may say that an ad was seen, clicked or led to an order? Whoever holds its token: signed, expiring, for one kind.

A token names an impression and what may be said of it, in characters that need no escaping in a URL:

    version and kind (1 byte), key (1), expires_at in seconds (4), auction (16), placement (2), with a conversion its
    tenant (16), keyed BLAKE2s of all that (RFC 7693 §2.9), 12 bytes long (RFC 2104 §5 asks of a MAC for 10 at least)

BLAKE2s takes its key itself, in one pass over what is less than one block; HMAC-SHA256 takes two and four times as
long, and every ad that is sold is signed twice.

What goes with a token, such as the landing page of a click, is signed along and travels beside it. A conversion's token
is made at the click and carries the impression that was clicked: it is the click id that landing pages get. No price is
in any: what an ad costs is looked up in what was sold, so nobody can bring a price along.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from enum import IntEnum
from hashlib import blake2s, sha256
from struct import Struct
from typing import Final

import msgspec

from exchange.holds import placement_index_of

_BODY: Final = Struct(">BBI16sH")
_TENANT_BYTES: Final = 16
_MAC_BYTES: Final = 12
_LEAST_BYTES: Final = _BODY.size + _MAC_BYTES
MOST_TOKEN_CHARS: Final = -(-(_LEAST_BYTES + _TENANT_BYTES) * 4 // 3)
_CHARS: Final = _LEAST_BYTES * 4 // 3
_VERSION: Final = 1 << 4
_LATEST_S: Final = 0xFFFF_FFFF
KEY_BYTES: Final = 32
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class TokenKind(IntEnum):
    """What the holder may say: that the ad was shown, in view or played; that it was clicked; that it led to an order.

    Whoever got an ad's markup may say all that a browser can, so its events share one token.
    """

    EVENT = 1
    CLICK = 2
    CONVERSION = 3


_EVENT: Final = _VERSION | TokenKind.EVENT.value
_CLICK: Final = _VERSION | TokenKind.CLICK.value


class TokenRefusal(IntEnum):
    """Why a token is not believed."""

    MALFORMED = 1
    FOREIGN = 2
    TAMPERED = 3
    EXPIRED = 4
    WRONG_KIND = 5


class Token(msgspec.Struct, frozen=True, gc=False):
    """What a token says. `tenant` are the 16 bytes of `tenant_bytes` with a conversion, else none."""

    kind: TokenKind
    impression_id: str
    expires_at_s: int
    tenant: bytes = b""


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
        self._prepared: Sequence[SigningKey] = ()
        self._keyed: list[blake2s] = []

    def sign(
        self, kind: TokenKind, impression_id: str, expires_at_s: int, *, tenant: bytes = b"", along: bytes = b""
    ) -> str:
        """The token; the impression id is one that the exchange gave out, `along` is what goes with it. About 1 µs."""
        assert len(tenant) == (_TENANT_BYTES if kind == TokenKind.CONVERSION else 0), "conversions have a tenant"
        keys = self._current()
        auction, index = bytes.fromhex(impression_id[:32]), int(impression_id[33:])
        body = _BODY.pack(_VERSION | kind, keys[0].number, min(expires_at_s, _LATEST_S), auction, index) + tenant
        mac = self._keyed[0].copy()
        mac.update(body + along)
        return b2a_base64(body + mac.digest(), newline=False).translate(_URL_SAFE).rstrip(b"=").decode()

    def sign_ad(self, auction: bytes, placement_index: int, expires_at_s: int, landing_url: bytes) -> tuple[str, str]:
        """What `sign` gives for an ad's events and for its click, which leads to `landing_url`; `auction` are the 16
        bytes of the auction's id. Every ad that is sold needs both, and much of the work is the same.
        """
        number = self._current()[0].number
        if expires_at_s > _LATEST_S:
            expires_at_s = _LATEST_S
        event = _BODY.pack(_EVENT, number, expires_at_s, auction, placement_index)
        click = _BODY.pack(_CLICK, number, expires_at_s, auction, placement_index)
        keyed = self._keyed[0]
        of_event, of_click = keyed.copy(), keyed.copy()
        of_event.update(event)
        of_click.update(click + landing_url)
        # 36 bytes are 48 letters without any padding, so that both are spelled at once.
        text = b2a_base64(event + of_event.digest() + click + of_click.digest(), newline=False).translate(_URL_SAFE)
        both = text.decode()
        return both[:_CHARS], both[_CHARS:]

    def read(self, text: str, now_s: int, *kinds: TokenKind, along: bytes = b"") -> Token | TokenRefusal:
        """What the token says, when it is ours, unchanged, in time and of one of `kinds`. A few microseconds."""
        if len(text) > MOST_TOKEN_CHARS or not text.isascii():
            return TokenRefusal.MALFORMED
        try:
            data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            return TokenRefusal.MALFORMED
        # Decoding passes over foreign letters and spare bits: only the one spelling that we write is taken.
        if len(data) < _LEAST_BYTES or urlsafe_b64encode(data).decode().rstrip("=") != text:
            return TokenRefusal.MALFORMED
        body, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        head, number, expires_at_s, auction, index = _BODY.unpack_from(body)
        tenant = body[_BODY.size :]
        which = next((at for at, key in enumerate(self._current()) if key.number == number), None)
        if which is None:
            return TokenRefusal.FOREIGN
        expected = self._keyed[which].copy()
        expected.update(body + along)
        if not hmac.compare_digest(expected.digest(), mac):
            return TokenRefusal.TAMPERED
        if head & 0xF0 != _VERSION or head & 0x0F not in _KINDS:
            return TokenRefusal.FOREIGN
        if len(tenant) != (_TENANT_BYTES if head & 0x0F == TokenKind.CONVERSION else 0):
            # What was signed along was taken for a part of the token.
            return TokenRefusal.TAMPERED
        if now_s >= expires_at_s:
            return TokenRefusal.EXPIRED
        kind = TokenKind(head & 0x0F)
        if kinds and kind not in kinds:
            return TokenRefusal.WRONG_KIND
        return Token(kind, f"{auction.hex()}.{index}", expires_at_s, tenant)

    def _current(self) -> Sequence[SigningKey]:
        """The keys, with a hash that has taken each of them beside it."""
        keys = self._keys()
        if keys is not self._prepared:
            self._prepared = keys
            self._keyed = [blake2s(digest_size=_MAC_BYTES, key=key.secret) for key in keys]
        return keys


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
