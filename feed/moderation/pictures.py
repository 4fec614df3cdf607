"""Is a picture banned, or somebody else's? Asks two indexes of each tenant: of bans, and of what was published."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from feed.media.record import Media
from feed.moderation.check_ports import ImageBan
from feed.moderation.image_hash import LEAST_QUALITY, SAME_WITHIN, ImageHash, read_stored
from feed.moderation.picture_index import PictureIndex
from feed.verdict import Finding, Label

# Of plain pictures (a colour, a gradient) many are alike by chance.
_SAME_WITHIN_IF_PLAIN: Final = 6
_THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to be checked: the field that it stands in, its id, and its hash."""

    where: str
    picture_id: str
    hash: ImageHash


class KnownPictures:
    """Banned and published pictures in memory; whoever keeps them tells of each change, from any thread."""

    def __init__(self) -> None:
        self._banned: dict[str, PictureIndex] = {}
        self._published: dict[str, PictureIndex] = {}
        self._lock = threading.Lock()

    def set_bans(self, tenant_id: str, bans: Iterable[ImageBan]) -> None:
        """Take these bans of a tenant in place of all before."""
        index = PictureIndex()
        for ban in bans:
            index.add(ban.image_hash, bytes.fromhex(ban.image_hash))
        with self._lock:
            self._banned[tenant_id] = index

    def ban(self, tenant_id: str, image_hash: str) -> None:
        """A picture was banned: 64 hexadecimal digits."""
        with self._lock:
            self._banned.setdefault(tenant_id, PictureIndex()).add(image_hash, bytes.fromhex(image_hash))

    def lift(self, tenant_id: str, image_hash: str) -> None:
        """A ban was lifted."""
        with self._lock:
            self._banned.setdefault(tenant_id, PictureIndex()).remove(image_hash)

    def publish(self, tenant_id: str, picture_id: str, owner_id: str, bits: bytes) -> None:
        """A picture was published by its owner: `bits` as an ImageHash or its stored form has them."""
        with self._lock:
            self._published.setdefault(tenant_id, PictureIndex()).add(picture_id, bits[:32], owner_id)

    def withdraw(self, tenant_id: str, picture_id: str) -> None:
        """A picture is gone."""
        with self._lock:
            self._published.setdefault(tenant_id, PictureIndex()).remove(picture_id)

    def finding(self, tenant_id: str, owner_id: str, picture: Picture) -> Finding | None:
        """What is wrong with a picture of `owner_id`; a ban comes before a copy."""
        with self._lock:
            return self._finding(tenant_id, owner_id, picture)

    def banned(self, tenant_id: str, media: Media) -> Finding | None:
        """Why this medium may not be published, if so."""
        if media.picture_hash is None:
            return None
        # Whatever its owner: a ban comes first, and nothing else is asked for here.
        found = self.finding(
            tenant_id, media.creator_id, Picture("whole", media.media_id, read_stored(media.picture_hash))
        )
        return found if found is not None and found.label is Label.BANNED_IMAGE else None

    def published_like(self, tenant_id: str, bits: bytes) -> list[str]:
        """Ids of the published pictures that show the same as this hash."""
        with self._lock:
            near = self._index(self._published, tenant_id).near(read_stored(bits), SAME_WITHIN, most=1_000)
        return [known.picture_id for known in near]

    def _finding(self, tenant_id: str, owner_id: str, picture: Picture) -> Finding | None:
        plain = picture.hash.quality < LEAST_QUALITY
        within = _SAME_WITHIN_IF_PLAIN if plain else SAME_WITHIN
        if near := self._index(self._banned, tenant_id).near(picture.hash, within, most=1):
            said = f"{near[0].distance} of 256 bits differ from a banned picture"
            return Finding(Label.BANNED_IMAGE, _sure(near[0].distance), _THRESHOLD, picture.where, said)
        if plain:
            return None
        # Several, since the owner's own copies may be the nearest.
        for known in self._index(self._published, tenant_id).near(picture.hash, within, most=50):
            if known.owner_id != owner_id:
                said = f"{known.distance} of 256 bits differ from picture {known.picture_id[:40]}"
                return Finding(Label.COPIED_IMAGE, _sure(known.distance), _THRESHOLD, picture.where, said[:80])
        return None

    @staticmethod
    def _index(indexes: dict[str, PictureIndex], tenant_id: str) -> PictureIndex:
        return indexes.get(tenant_id) or _EMPTY


_EMPTY: Final = PictureIndex()


def _sure(distance: int) -> float:
    # Two unrelated pictures differ in 128 bits, give or take 8; at 31 it is still the same picture as a rule.
    return 1.0 - 0.4 * distance / SAME_WITHIN
