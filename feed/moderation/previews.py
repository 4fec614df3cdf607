"""How does a moderator look at what nobody else may see yet? By addresses that are signed and expire soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from common.clock import Clock
from common.errors import NotFound
from feed.media.addresses import MediaAddresses
from feed.media.record import Media
from feed.moderation.case_effects import CaseEffects
from feed.moderation.case_values import Case
from feed.moderation.picture_keeper import JudgedMedia

# As long as a claim: who takes longer reads the case again.
PREVIEW_MS: Final = 600_000


class Preview(msgspec.Struct, frozen=True):
    """One file of a medium, and where whoever holds the address finds it until it expires."""

    media_id: str
    content_type: str
    url: str
    expires_at_ms: int


PreviewsOf = Callable[[Case], tuple[Preview, ...]]


def no_previews(case: Case) -> tuple[Preview, ...]:
    """Of a feed without media."""
    return ()


class Previews:
    """Previews of the media of cases. `is_shown(media_id)` says whether others than its creator see a medium."""

    def __init__(
        self,
        *,
        effects: CaseEffects,
        media: JudgedMedia,
        addresses: MediaAddresses,
        is_shown: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._effects = effects
        self._media = media
        self._addresses = addresses
        self._is_shown = is_shown
        self._clock = clock

    def of(self, case: Case) -> tuple[Preview, ...]:
        """One for each medium of the subject that is not public, the widest file of it. Blocks."""
        try:
            facts = self._effects.keeper(case.subject).facts(case.tenant_id, case.subject)
        except NotFound:
            return ()
        if facts is None or not facts.media_ids:
            return ()
        found = self._media.find(case.tenant_id, facts.media_ids)
        expires_at_ms = self._clock.now_ms() + PREVIEW_MS
        return tuple(
            self._preview(medium, expires_at_ms)
            for medium in found
            if medium is not None and not self._is_shown(medium.media_id)
        )

    def _preview(self, medium: Media, expires_at_ms: int) -> Preview:
        widest = medium.renditions[-1]
        url = self._addresses.preview_until(medium.media_id, widest.name, expires_at_ms)
        return Preview(medium.media_id, widest.content_type, url, expires_at_ms)
