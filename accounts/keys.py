"""How is an API key made, and who comes with one? Only its SHA-256 is ever stored."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping

from accounts.ports import AccountStore, Caller

PREFIX = "haat_"
# So many keys are remembered by their text, which saves the hash; beyond it all are forgotten and hashed again.
MAX_REMEMBERED = 10_000


def new_key(random_text: Callable[[], str] = secrets.token_urlsafe) -> str:
    """A fresh key, as `haat_` and 43 random characters; it is shown once and cannot be read back."""
    return PREFIX + random_text()


def hash_of(key: str) -> str:
    """What is stored of a key: its SHA-256, 64 hexadecimal digits. Keys are random, so no salt is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class CachedApiKeys:
    """ApiKeys in memory: every key that is not revoked, read again whenever this process changes one."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._by_hash: Mapping[str, Caller] = {}
        self._by_key: dict[str, Caller] = {}
        self._refreshing = threading.Lock()
        store.follow(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Read all keys again, for changes of other processes; those that were revoked open nothing from now on."""
        # One at a time, so that what was read later is what stays.
        with self._refreshing:
            # Both maps are replaced and not changed: other threads are reading them.
            self._by_hash = dict(self._store.callers())
            self._by_key = {}

    def caller_of(self, key: str) -> Caller | None:
        """Whom the key belongs to: one look into a dict, and one SHA-256 the first time."""
        by_key = self._by_key
        found = by_key.get(key)
        if found is None:
            found = self._by_hash.get(hash_of(key))
            if found is not None:
                if len(by_key) >= MAX_REMEMBERED:
                    by_key.clear()
                by_key[key] = found
        return found
