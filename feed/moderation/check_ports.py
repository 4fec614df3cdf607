"""What does the automatic check need from outside: whom to trust, which pictures are banned, where links lead?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class ImageBan(msgspec.Struct, frozen=True):
    """A picture that nobody may publish: its PDQ as 64 hexadecimal digits, why, by whom, and since when."""

    image_hash: str
    reason: str
    banned_by: str
    banned_at_ms: int


class ImageBans(Protocol):
    """The banned pictures of each tenant, kept over a restart. May block: called outside of the hot path."""

    def add(self, tenant_id: str, ban: ImageBan) -> bool:
        """Ban a picture; False, and nothing changed, when this very hash is banned already."""

    def remove(self, tenant_id: str, image_hash: str) -> bool:
        """Lift a ban; False when there is none for this very hash."""

    def all(self, tenant_id: str) -> Sequence[ImageBan]:
        """Every ban of the tenant, the oldest first."""


class HashedPicture(Protocol):
    """A picture of a post: the field that it stands in, its id, and `ImageHash.stored` of it, None when not hashed."""

    @property
    def where(self) -> str:
        """As in `media[0]`."""

    @property
    def media_id(self) -> str:
        """Names it among the published ones."""

    @property
    def picture_hash(self) -> bytes | None:
        """33 bytes, or the 32 of a PDQ from elsewhere."""


class Reputations(Protocol):
    """How far somebody is trusted. In memory: asked while a post waits."""

    def of(self, tenant_id: str, person_id: str) -> float:
        """0 (not at all) to 1; somebody new has what a newcomer has."""

    def posts_a_day(self, tenant_id: str, person_id: str) -> int:
        """How much somebody of this standing may post, at least 1."""


class RedirectHop(Protocol):
    """Asks one address where it leads, without following. Goes out to the network: never called by the check."""

    async def __call__(self, url: str) -> str:
        """The address that it redirects to; "" when it is the end. BackendUnavailable when it cannot be told."""
