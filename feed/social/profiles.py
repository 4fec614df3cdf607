"""What of a profile do others see, and what does a verdict make of it? What was let through before stays seen."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from feed.social import calls
from feed.social.comment_rules import reasons_of
from feed.social.words import Person, ProfilePicture, ProfileState, Shown
from feed.verdict import Outcome, Verdict

CHECKER: Final = "checker"
_STATE_OF: Final = {
    Outcome.CLEAN: ProfileState.CLEAN,
    Outcome.LIMITED: ProfileState.LIMITED,
    Outcome.HELD: ProfileState.CHECKING,
    Outcome.REMOVED: ProfileState.REMOVED,
}


class PictureAddresses(Protocol):
    """Where a browser finds pictures."""

    def public(self, media_id: str, name: str) -> str:
        """Where everybody finds the file, once others see it."""

    def preview(self, media_id: str, name: str) -> str:
        """Where its owner finds the file until then."""


def moderated(person: Person, verdict: Verdict | None, decided_by: str = CHECKER) -> Person:
    """The person as moderation leaves it; without a verdict it waits for one. Whoever is held is seen by others as
    it was last let through, whoever is removed without any words.
    """
    if verdict is None:
        return replace(person, state=ProfileState.CHECKING, reasons=(), decided_by="")
    shown = person.shown
    if verdict.outcome in (Outcome.CLEAN, Outcome.LIMITED):
        shown = Shown(
            handle=person.handle, display_name=person.display_name, bio=person.bio, links=person.links,
            picture=person.picture, findable=verdict.outcome is Outcome.CLEAN,
        )  # fmt: skip
    elif verdict.outcome is Outcome.REMOVED:
        shown = None
    return replace(
        person, state=_STATE_OF[verdict.outcome], reasons=reasons_of(verdict), decided_by=decided_by, shown=shown
    )


def edited(before: Person, after: Person, verdict: Verdict | None) -> tuple[Person, Verdict | None]:
    """What an edit makes of a person, and the verdict that holds: what a person has limited or removed is not cleared
    by an edit alone, another person looks.
    """
    by_a_person = before.decided_by not in ("", CHECKER) and before.state is not ProfileState.CLEAN
    if not by_a_person or verdict is None:
        return moderated(after, verdict), verdict
    verdict = msgspec.structs.replace(verdict, outcome=max(verdict.outcome, Outcome.HELD))
    return moderated(after, verdict, before.decided_by), verdict


def own_card(person: Person, addresses: PictureAddresses | None) -> calls.Person:
    """All of a person, for itself."""
    seen = person.shown is not None and person.picture == person.shown.picture
    return calls.view(
        calls.Person,
        person,
        picture_url=_url(person.picture, addresses, public=seen),
        picture_media_id=person.picture.media_id if person.picture else "",
        state=person.state.name.lower(),
    )


def card_for_others(person: Person, addresses: PictureAddresses | None) -> calls.Person:
    """What others see of a person: what was let through, or no words at all."""
    shown = person.shown or Shown("", "")
    return calls.Person(
        person_id=person.person_id, handle=shown.handle, display_name=shown.display_name, bio=shown.bio,
        links=shown.links, joined_at_ms=person.joined_at_ms, revision=person.revision, followers=person.followers,
        following=person.following, picture_url=_url(shown.picture, addresses, public=True),
    )  # fmt: skip


def _url(picture: ProfilePicture | None, addresses: PictureAddresses | None, *, public: bool) -> str:
    if picture is None or addresses is None:
        return ""
    return (addresses.public if public else addresses.preview)(picture.media_id, picture.file)
