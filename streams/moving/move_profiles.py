"""How do profiles come from one store into another? In portions by digest; said again, it comes to the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from streams.moving.checksums import Checksum, Compared
from streams.moving.ports import StoredProfiles
from streams.ports import Profile

_AT_ONCE: Final = 2_000
_WHAT: Final = "profiles"

# (what, profiles so far, profiles in all)
Progress = Callable[[str, int, int], None]


def move_profiles(
    source: StoredProfiles,
    target: StoredProfiles,
    *,
    after: bytes = b"",
    reached: Callable[[bytes], None] = lambda digest: None,
    progress: Progress = lambda what, done, of: None,
) -> Compared:
    """Write those beyond `after`, and say by `reached` up to which digest the target has them; then both sides."""
    of, moved = source.count_stored(), 0
    for portion in source.portions(after, _AT_ONCE):
        target.put_stored(dict(portion))
        target.sync()
        reached(portion[-1][0])
        moved += len(portion)
        progress(_WHAT, moved, of)
    return compare_profiles(source, target)


def compare_profiles(source: StoredProfiles, target: StoredProfiles) -> Compared:
    """Both sides: what the target has under the digests of the source, and how many it has in all."""
    here, there = Checksum(), Checksum()
    for portion in source.portions(b"", _AT_ONCE):
        digests = [digest for digest, _ in portion]
        here.add(_bytes(portion))
        found = zip(digests, target.read_stored(digests), strict=True)
        there.add(_bytes((digest, profile) for digest, profile in found if profile is not None))
    return Compared(_WHAT, here.sum(), msgspec.structs.replace(there.sum(), count=target.count_stored()))


def _bytes(profiles: Iterable[tuple[bytes, Profile]]) -> Iterable[bytes]:
    return (digest + msgspec.msgpack.encode(profile) for digest, profile in profiles)
