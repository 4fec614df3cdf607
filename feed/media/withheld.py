"""Which media did moderators take away? In memory, so that a page asks for hundreds without waiting."""

from __future__ import annotations

from collections.abc import Iterable

from feed.media.record import Media
from feed.verdict import Outcome


class Withheld:
    """Ids of media that nobody but their creators may see; any thread. `version` grows with each change."""

    def __init__(self, media_ids: Iterable[str] = ()) -> None:
        self._ids = set(media_ids)
        self.version = 0

    def __contains__(self, media_id: str) -> bool:
        return media_id in self._ids

    def note(self, media: Media) -> None:
        """What holds for a medium by now."""
        (self._ids.discard if media.outcome is Outcome.CLEAN else self._ids.add)(media.media_id)
        self.version += 1
