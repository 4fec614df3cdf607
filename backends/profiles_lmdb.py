"""Visitor profiles in one LMDB file: a digest of the visitor's id as key, so the id itself is not on disk."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from backends.lmdb_folder import LmdbFolder
from streams.ports import Profile

LONGEST_VISITOR_ID = 64


class LmdbProfileStore:
    """ProfileStore in a folder of its own; see LmdbFolder for what survives and what is refused.

    An erased profile is unreadable at once; its bytes stay in the file until LMDB uses the room again.
    """

    def __init__(self, path: Path | str, *, map_size_bytes: int = 16 << 30, readonly: bool = False) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Profile)
        self._broken = 0
        self._folder = LmdbFolder(path, what="profile store", map_size_bytes=map_size_bytes, readonly=readonly)

    @property
    def broken(self) -> int:
        """Stored profiles that were read and could not be understood, since the start."""
        return self._broken

    def read(self, visitor_ids: Sequence[str]) -> list[Profile | None]:
        """See ProfileStore; one transaction. An id that is too long to be stored is not known."""
        decode = self._decoder.decode
        profiles: list[Profile | None] = []
        with self._folder.reading() as transaction:
            for visitor_id in visitor_ids:
                stored = transaction.get(_key(visitor_id))
                if stored is None:
                    profiles.append(None)
                    continue
                try:
                    profile = decode(stored)
                    if not len(profile.seen_creatives) <= len(profile.seen_line_items) == len(profile.seen_at_ms):
                        raise msgspec.ValidationError("impressions without their time")
                except msgspec.DecodeError:
                    self._broken += 1
                    profiles.append(None)
                else:
                    profiles.append(profile)
        return profiles

    def write(self, profiles: dict[str, Profile]) -> None:
        """See ProfileStore; one transaction. ValueError for an id that is empty or longer than 64 characters."""
        for visitor_id in profiles:
            if not 0 < len(visitor_id) <= LONGEST_VISITOR_ID:
                raise ValueError(f"a visitor id has 1 to {LONGEST_VISITOR_ID} characters, this has {len(visitor_id)}")
        encode = self._encoder.encode
        # In the order of the keys, neighbours share pages.
        stored = sorted((_key(visitor_id), encode(profile)) for visitor_id, profile in profiles.items())
        with self._folder.writing() as transaction:
            for key, value in stored:
                transaction.put(key, value)

    def erase(self, visitor_id: str) -> bool:
        """See ProfileStore."""
        with self._folder.writing() as transaction:
            return transaction.delete(_key(visitor_id))

    def count(self) -> int:
        """See ProfileStore."""
        with self._folder.reading() as transaction:
            return transaction.stat()["entries"]

    def sync(self) -> None:
        """Return when everything written so far would survive the death of the machine."""
        self._folder.sync()

    def close(self) -> None:
        """See ProfileStore."""
        self._folder.close()


def _key(visitor_id: str) -> bytes:
    return blake2b(visitor_id.encode(errors="surrogatepass"), digest_size=16).digest()
