"""Where are the keys that sign tokens and postbacks? In files of the data folder, readable by their owner alone.

A file holds one or two lines `number hexadecimal-secret`, newest first. A rotation puts a fresh key in front and keeps
the one before, so what was signed with it is believed until the next rotation. A running server sees the change.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import time
from hashlib import sha256
from pathlib import Path

from common.errors import BackendUnavailable
from common.whole_files import replace_file
from exchange.tokens import KEY_BYTES, SigningKey

TOKEN_KEYS = "tokens.key"
POSTBACK_KEYS = "postback.key"
_KEPT = 2
_LOOK_EVERY_S = 1.0


class SigningKeys:
    """The keys of one file, read again when the file changes; made when there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            _make(path)
        self._keys = _read(path)
        self._changed_ns = path.stat().st_mtime_ns
        self._looked_at = time.monotonic()

    def __call__(self) -> tuple[SigningKey, ...]:
        """Newest first. Looks at the file once a second."""
        if time.monotonic() - self._looked_at > _LOOK_EVERY_S:
            self._look()
        return self._keys

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self._keys, self._changed_ns = _read(self._path), changed_ns
        except (OSError, BackendUnavailable):
            # A file that is away for a moment must not stop what is running.
            return


def rotate(path: Path) -> SigningKey:
    """Put a fresh key in front; the newest key before it stays good until the next rotation."""
    before = list(_read(path)) if path.exists() else []
    fresh = SigningKey((before[0].number % 255 + 1) if before else 1, secrets.token_bytes(KEY_BYTES))
    _write(path, [fresh, *before][:_KEPT])
    return fresh


def postback_secret(key: SigningKey, tenant: bytes) -> str:
    """The secret that one tenant (`tenant_bytes` of its id) signs conversions with, as 64 hexadecimal digits; derived,
    so that none is stored.
    """
    return hmac.new(key.secret, b"postback " + tenant, sha256).hexdigest()


def _read(path: Path) -> tuple[SigningKey, ...]:
    try:
        lines = path.read_text("ascii").split("\n")
        keys = tuple(
            SigningKey(int(number), bytes.fromhex(digits))
            for number, digits in (line.split() for line in lines if line.strip())
        )
    except (OSError, ValueError) as error:
        raise BackendUnavailable(f"the keys in {path} cannot be read ({error}): restore the file") from None
    if not keys or any(len(key.secret) != KEY_BYTES or not 0 < key.number < 256 for key in keys):
        raise BackendUnavailable(f"{path} holds no keys: restore the file, or remove it to have new ones made")
    return keys


def _make(path: Path) -> None:
    """The first key; of two processes that make it at once, one does."""
    fresh = path.with_name(f"{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    _write(fresh, [SigningKey(1, secrets.token_bytes(KEY_BYTES))])
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def _write(path: Path, keys: list[SigningKey]) -> None:
    lines = "".join(f"{key.number} {key.secret.hex()}\n" for key in keys)
    replace_file(path, lines.encode("ascii"), mode=0o600)
