"""Who may upload what, and who may look at it before others do? Signed words that expire; nothing is stored of them."""

from __future__ import annotations

import base64
import hmac
from enum import IntEnum
from hashlib import sha256
from typing import Final

import msgspec

from feed.media.ports import Upload

MAX_TICKET_CHARS: Final = 1_024
KEY_BYTES: Final = 32
_MAC_BYTES: Final = 16


class TicketRefusal(IntEnum):
    """Why a ticket does not count."""

    ALTERED = 1
    EXPIRED = 2


class Tickets:
    """Tickets signed with HMAC-SHA-256 under one secret of KEY_BYTES bytes at least."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < KEY_BYTES:
            raise ValueError(f"the secret of upload tickets needs {KEY_BYTES} bytes, this has {len(secret)}")
        self._secret = secret

    def sign(self, upload: Upload) -> str:
        """The upload as text that stands in an address; all of it is bound by the signature."""
        body = msgspec.json.encode(upload)
        return f"{_text(body)}.{_text(self._mac(b'upload', body))}"

    def read(self, ticket: str, now_ms: int, *, grace_ms: int = 0) -> Upload | TicketRefusal:
        """What the ticket allows; refused when it is not ours, or expired more than `grace_ms` ago."""
        if len(ticket) > MAX_TICKET_CHARS or not ticket.isascii():
            return TicketRefusal.ALTERED
        body_text, _, mac_text = ticket.partition(".")
        body, mac = _bytes(body_text), _bytes(mac_text)
        # The text is compared too, since several texts decode to the same bytes.
        if not hmac.compare_digest(mac, self._mac(b"upload", body)) or ticket != f"{_text(body)}.{_text(mac)}":
            return TicketRefusal.ALTERED
        upload = msgspec.json.decode(body, type=Upload)
        return upload if now_ms <= upload.expires_at_ms + grace_ms else TicketRefusal.EXPIRED

    def sign_preview(self, media_id: str, expires_at_ms: int) -> str:
        """A word that lets one look at a medium which is not published, until then."""
        return f"{expires_at_ms}-{_text(self._mac(b'preview', f'{media_id} {expires_at_ms}'.encode()))}"

    def may_preview(self, media_id: str, preview: str, now_ms: int) -> bool:
        """Does this word let one look at the medium now?"""
        expires, _, _ = preview.partition("-")
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= 15):
            return False
        expected = self.sign_preview(media_id, int(expires))
        return hmac.compare_digest(preview.encode("utf-8", "replace"), expected.encode()) and now_ms <= int(expires)

    def _mac(self, purpose: bytes, body: bytes) -> bytes:
        return hmac.digest(self._secret, purpose + b"\0" + body, sha256)[:_MAC_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
