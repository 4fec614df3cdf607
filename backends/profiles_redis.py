"""Visitor profiles in Redis, for all nodes: a hash a visitor, that goes when nothing was heard of the visitor for long.

Keys are digests, so ids of visitors are not in it. What is known of a visitor (`known`) and what the visitor was shown
(`seen`, which frequency caps count) are fields of their own: impressions and affinities are added by scripts, so that
nodes which add some for one visitor in the same moment lose none. Both are added by threads that wait patiently: while
Redis is away some thousand wait in memory, in order, and are written when it is back.
"""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from backends.redis_connection import Call, Command, RedisConnection
from backends.writer_thread import WriterThread
from common.errors import BackendUnavailable
from streams.affinities import with_added
from streams.ports import IMPRESSIONS_AT_MOST, AddedAffinities, Impression, Profile

LONGEST_VISITOR_ID: Final = 64
TTL_DAYS: Final = 400
_DAY_MS: Final = 86_400_000
# Line item, creative, when; a creative of before they were remembered is this.
_SEEN: Final = struct.Struct(">IIQ")
_NO_CREATIVE: Final = 0xFFFF_FFFF
_FIELDS: Final = ("known", "seen", "at")
# Up to so many keys are counted one by one; beyond, the share of profiles among so many drawn ones is taken for all.
_COUNTED: Final = 20_000
_DRAWN: Final = 2_000
# What could not be written is tried again after so long.
_AGAIN_AFTER_S: Final = 0.25
# So often what is known of a visitor may change under one who adds to it, before that is tried again later.
_MOST_TURNS: Final = 32

# The name of an addition, by which one that comes again is known, and the addition.
_Addition = tuple[bytes, AddedAffinities]


class _Known(msgspec.Struct, array_like=True):
    segments: list[str]
    affinities: dict[str, float]


class RedisProfileStore:
    """ProfileStore. `hot` is asked while a page view waits, so it waits a few milliseconds at most; `patient` is not.

    Weaker than the port in this: of two nodes that `write` one visitor in the same moment the later counts, and what
    was written lasts as Redis is set to keep it (docs/operations/redis.md). BackendUnavailable when it does not answer.
    """

    def __init__(self, hot: RedisConnection, patient: RedisConnection, *, ttl_ms: int = TTL_DAYS * _DAY_MS) -> None:
        self._hot = hot
        self._patient = patient
        self._ttl_ms = ttl_ms
        self._prefix = f"{hot.prefix}:visitor:"
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(_Known)
        self._broken = 0
        self._impressions: WriterThread[Sequence[Impression]] = WriterThread(
            "impressions to Redis", self._add, again_after_s=_AGAIN_AFTER_S
        )
        self._affinities: WriterThread[_Addition] = WriterThread(
            "affinities to Redis", self._add_weights, again_after_s=_AGAIN_AFTER_S
        )

    @property
    def broken(self) -> int:
        """Stored profiles that were read and could not be understood, since the start."""
        return self._broken

    @property
    def impressions_lost(self) -> int:
        """Batches of impressions that Redis never heard of, since the start: caps do not count them."""
        return self._impressions.counts["dropped"] + self._impressions.counts["failed"]

    @property
    def affinities_lost(self) -> int:
        """Additions to affinities that Redis never heard of, since the start."""
        return self._affinities.counts["dropped"] + self._affinities.counts["failed"]

    def read(self, visitor_ids: Sequence[str]) -> list[Profile | None]:
        """See ProfileStore; one round trip. An id that is too long to be stored is not known."""
        found = self._hot.ask([("HMGET", self._key(visitor_id), *_FIELDS) for visitor_id in visitor_ids])
        return [self._profile(*fields) for fields in found]

    def read_stored(self, digests: Sequence[bytes]) -> list[Profile | None]:
        """See streams.moving.ports.StoredProfiles; one round trip, patiently."""
        found = self._patient.ask([("HMGET", self._prefix + digest.hex(), *_FIELDS) for digest in digests])
        return [self._profile(*fields) for fields in found]

    def write(self, profiles: dict[str, Profile]) -> None:
        """See ProfileStore; one round trip, each profile is whole. ValueError for an id of no or over 64 letters."""
        for visitor_id in profiles:
            if not 0 < len(visitor_id) <= LONGEST_VISITOR_ID:
                raise ValueError(f"a visitor id has 1 to {LONGEST_VISITOR_ID} characters, this has {len(visitor_id)}")
        self._put({self._key(visitor_id): profile for visitor_id, profile in profiles.items()})

    def put_stored(self, profiles: Mapping[bytes, Profile]) -> None:
        """See streams.moving.ports.StoredProfiles; one round trip, and each profile is whole."""
        self._put({self._prefix + digest.hex(): profile for digest, profile in profiles.items()})

    def portions(self, after: bytes, limit: int) -> Iterator[list[tuple[bytes, Profile]]]:
        """See streams.moving.ports.StoredProfiles; all digests are held meanwhile, as Redis knows no order."""
        digests = sorted(digest for digest in self._digests() if digest > after)
        for at in range(0, len(digests), limit):
            some = digests[at : at + limit]
            found = zip(some, self.read_stored(some), strict=True)
            if portion := [(digest, profile) for digest, profile in found if profile is not None]:
                yield portion

    def count_stored(self) -> int:
        """See streams.moving.ports.StoredProfiles; looks at every key."""
        return len(self._digests())

    def _digests(self) -> set[bytes]:
        # A scan may tell of a key more than once.
        own = len(self._prefix)
        return {bytes.fromhex(key[own:].decode()) for key in self._patient.scan(self._prefix + "*")}

    def _put(self, profiles: Mapping[str, Profile]) -> None:
        commands: list[Command] = []
        for key, profile in profiles.items():
            known = self._encoder.encode(_Known(profile.segments, profile.affinities))
            commands.append(("HSET", key, "known", known, "seen", _packed(profile), "at", profile.updated_at_ms))
            commands.append(("PEXPIRE", key, self._ttl_ms))
        self._patient.ask(commands)

    def add_impressions(self, impressions: Sequence[Impression]) -> None:
        """See ProfileStore; written soon, in a thread."""
        self._impressions.put(impressions)

    def add_affinities(self, additions: Sequence[AddedAffinities]) -> None:
        """See ProfileStore; written soon, in a thread."""
        for addition in additions:
            self._affinities.put((os.urandom(8), addition))

    def erase(self, visitor_id: str) -> bool:
        """See ProfileStore. BackendUnavailable also while something waits that might be of the visitor."""
        if not (self._impressions.flush() and self._affinities.flush()):
            raise BackendUnavailable("what is to be written to Redis still waits: erase again when it answers")
        return bool(self._patient.ask([("DEL", self._key(visitor_id))])[0])

    def count(self) -> int:
        """See ProfileStore; beyond some ten thousand keys an estimate, within a few per cent."""
        keys = sum(int(size) for (size,) in self._patient.ask_each_node([("DBSIZE",)]))
        if keys <= _COUNTED:
            return sum(1 for _ in self._patient.scan(self._prefix + "*"))
        drawn = [key for keys in self._patient.ask_each_node([("RANDOMKEY",)] * _DRAWN) for key in keys]
        own = self._prefix.encode()
        profiles = sum(1 for key in drawn if key is not None and key.startswith(own))
        return keys * profiles // max(len(drawn), 1)

    def sync(self) -> None:
        """Return when everything that was added is written, or after some seconds while Redis takes nothing."""
        self._impressions.flush()
        self._affinities.flush()

    def close(self) -> None:
        """See ProfileStore; the connections are not closed."""
        self._impressions.close()
        self._affinities.close()

    def _add(self, batches: Sequence[Sequence[Impression]]) -> None:
        by_visitor: defaultdict[str, list[Impression]] = defaultdict(list)
        for batch in batches:
            for impression in batch:
                by_visitor[impression[0]].append(impression)
        calls: list[Call] = []
        for visitor_id, shown in by_visitor.items():
            seen = b"".join(_SEEN.pack(line_item, creative, at_ms) for _, line_item, at_ms, creative in shown)
            more = (seen, IMPRESSIONS_AT_MOST * _SEEN.size, shown[-1][2], self._ttl_ms)
            calls.append(((self._key(visitor_id),), more))
        self._patient.run("add_impressions", calls)

    def _add_weights(self, additions: Sequence[_Addition]) -> None:
        waiting: dict[str, _Addition] = {}
        for name, (visitor_id, weights, at_ms) in additions:
            before = waiting[visitor_id][1][1] if visitor_id in waiting else {}
            # Named by the last: when the batch comes again it is the same batch.
            waiting[visitor_id] = name, (visitor_id, with_added(before, weights), at_ms)
        for _ in range(_MOST_TURNS):
            waiting = self._added_where_unchanged(waiting)
            if not waiting:
                return
        raise BackendUnavailable(f"{len(waiting)} profiles change faster than something can be added to them")

    def _added_where_unchanged(self, waiting: Mapping[str, _Addition]) -> dict[str, _Addition]:
        """Add what is waiting, in two round trips; what must be tried again, as others added something meanwhile."""
        keys = {visitor_id: self._key(visitor_id) for visitor_id in waiting}
        found = self._patient.ask([("HGET", key, "known") for key in keys.values()])
        calls: list[Call] = []
        for (visitor_id, (name, (_, weights, at_ms))), stored in zip(waiting.items(), found, strict=True):
            known = self._known(stored)
            known.affinities = with_added(known.affinities, weights)
            more = (stored or b"", self._encoder.encode(known), name, at_ms, self._ttl_ms)
            calls.append(((keys[visitor_id],), more))
        done = self._patient.run("add_affinities", calls)
        return {
            visitor_id: addition for (visitor_id, addition), one in zip(waiting.items(), done, strict=True) if not one
        }

    def _known(self, stored: bytes | None) -> _Known:
        try:
            return self._decoder.decode(stored) if stored is not None else _Known([], {})
        except msgspec.DecodeError:
            self._broken += 1
            return _Known([], {})

    def _profile(self, known: bytes | None, seen: bytes | None, at: bytes | None) -> Profile | None:
        if at is None:
            return None
        try:
            fields = self._decoder.decode(known) if known is not None else _Known([], {})
            shown = list(_SEEN.iter_unpack(seen or b""))
            updated_at_ms = int(at)
        except (msgspec.DecodeError, struct.error, ValueError):
            self._broken += 1
            return None
        creatives = [creative for _, creative, _ in shown]
        while _NO_CREATIVE in creatives:
            del creatives[: creatives.index(_NO_CREATIVE) + 1]
        line_items, times = [row[0] for row in shown], [row[2] for row in shown]
        return Profile(fields.segments, fields.affinities, line_items, times, updated_at_ms, creatives)

    def _key(self, visitor_id: str) -> str:
        digest: Any = blake2b(visitor_id.encode(errors="surrogatepass"), digest_size=16)
        return self._prefix + str(digest.hexdigest())


def _packed(profile: Profile) -> bytes:
    missing = len(profile.seen_line_items) - len(profile.seen_creatives)
    creatives = [_NO_CREATIVE] * missing + profile.seen_creatives
    rows = zip(profile.seen_line_items, creatives, profile.seen_at_ms, strict=True)
    return b"".join(_SEEN.pack(*row) for row in rows)
