"""How does a node know another one? By a key that only those can make who hold the exchange's signing keys."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from accounts.ports import Caller
from exchange.tokens import SigningKey

NODE_ROLE: Final = "node"


class NodeKeys:
    """ApiKeys of nodes alone; `keys` are the signing keys, newest first, as Tokens takes them."""

    def __init__(self, keys: Callable[[], Sequence[SigningKey]]) -> None:
        self._keys = keys

    def own(self) -> str:
        """What this node says of itself."""
        return _of(self._keys()[0])

    def caller_of(self, key: str) -> Caller | None:
        """A node, or None; while the signing keys are rotated both are good."""
        known = any(hmac.compare_digest(_of(one).encode(), key.encode("utf-8", "replace")) for one in self._keys())
        return Caller("", NODE_ROLE) if known else None


def _of(key: SigningKey) -> str:
    return hmac.new(key.secret, b"haat node", sha256).hexdigest()
