"""Visitor profiles in one LMDB file: a digest of the visitor's id as key, so the id itself is not on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from backends.lmdb_folder import LmdbFolder
from streams.affinities import with_added
from streams.ports import IMPRESSIONS_AT_MOST, AddedAffinities, Impression, Profile

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
        return self.read_stored([_key(visitor_id) for visitor_id in visitor_ids])

    def read_stored(self, digests: Sequence[bytes]) -> list[Profile | None]:
        """See streams.moving.ports.StoredProfiles."""
        profiles: list[Profile | None] = []
        with self._folder.reading() as transaction:
            for digest in digests:
                profiles.append(self._understood(transaction.get(digest)))
        return profiles

    def add_impressions(self, impressions: Sequence[Impression]) -> None:
        """See ProfileStore; one transaction."""
        with self._folder.writing() as transaction:
            profiles: dict[bytes, Profile] = {}
            for visitor_id, line_item_number, at_ms, creative_number in impressions:
                key = _key(visitor_id)
                if (profile := profiles.get(key)) is None:
                    profile = profiles[key] = self._understood(transaction.get(key)) or Profile()
                profile.seen_line_items.append(line_item_number)
                profile.seen_at_ms.append(at_ms)
                profile.seen_creatives.append(creative_number)
                profile.updated_at_ms = at_ms
            for key, profile in sorted(profiles.items()):
                for seen in (profile.seen_line_items, profile.seen_at_ms, profile.seen_creatives):
                    del seen[:-IMPRESSIONS_AT_MOST]
                transaction.put(key, self._encoder.encode(profile))

    def add_affinities(self, additions: Sequence[AddedAffinities]) -> None:
        """See ProfileStore; one transaction."""
        with self._folder.writing() as transaction:
            for visitor_id, weights, at_ms in additions:
                key = _key(visitor_id)
                profile = self._understood(transaction.get(key)) or Profile()
                profile.affinities = with_added(profile.affinities, weights)
                profile.updated_at_ms = at_ms
                transaction.put(key, self._encoder.encode(profile))

    def write(self, profiles: dict[str, Profile]) -> None:
        """See ProfileStore; one transaction. ValueError for an id that is empty or longer than 64 characters."""
        for visitor_id in profiles:
            if not 0 < len(visitor_id) <= LONGEST_VISITOR_ID:
                raise ValueError(f"a visitor id has 1 to {LONGEST_VISITOR_ID} characters, this has {len(visitor_id)}")
        self.put_stored({_key(visitor_id): profile for visitor_id, profile in profiles.items()})

    def portions(self, after: bytes, limit: int) -> Iterator[list[tuple[bytes, Profile]]]:
        """See streams.moving.ports.StoredProfiles; one transaction a portion."""
        while digests := self._digests(after, limit):
            found = zip(digests, self.read_stored(digests), strict=True)
            if portion := [(digest, profile) for digest, profile in found if profile is not None]:
                yield portion
            after = digests[-1]

    def put_stored(self, profiles: Mapping[bytes, Profile]) -> None:
        """See streams.moving.ports.StoredProfiles; one transaction."""
        encode = self._encoder.encode
        # In the order of the keys, neighbours share pages.
        stored = sorted((digest, encode(profile)) for digest, profile in profiles.items())
        with self._folder.writing() as transaction:
            for key, value in stored:
                transaction.put(key, value)

    def _digests(self, after: bytes, limit: int) -> list[bytes]:
        digests: list[bytes] = []
        with self._folder.reading() as transaction, transaction.cursor() as cursor:
            # The next digest is one byte longer than `after`, or greater.
            found = cursor.set_range(after + b"\0") if after else cursor.first()
            while found and len(digests) < limit:
                digests.append(bytes(cursor.key()))
                found = cursor.next()
        return digests

    def erase(self, visitor_id: str) -> bool:
        """See ProfileStore."""
        with self._folder.writing() as transaction:
            return transaction.delete(_key(visitor_id))

    def count(self) -> int:
        """See ProfileStore."""
        with self._folder.reading() as transaction:
            return transaction.stat()["entries"]

    def count_stored(self) -> int:
        """See streams.moving.ports.StoredProfiles."""
        return self.count()

    def sync(self) -> None:
        """Return when everything written so far would survive the death of the machine."""
        self._folder.sync()

    def close(self) -> None:
        """See ProfileStore."""
        self._folder.close()

    def _understood(self, stored: Any) -> Profile | None:
        if stored is None:
            return None
        try:
            profile = self._decoder.decode(stored)
            if not len(profile.seen_creatives) <= len(profile.seen_line_items) == len(profile.seen_at_ms):
                raise msgspec.ValidationError("impressions without their time")
        except msgspec.DecodeError:
            self._broken += 1
            return None
        return profile


def _key(visitor_id: str) -> bytes:
    return blake2b(visitor_id.encode(errors="surrogatepass"), digest_size=16).digest()
