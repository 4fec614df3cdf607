"""How are profiles moderated? Moderated over the use cases of people, which know states and no cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from feed.moderation.case_intake import MAX_EXCERPT_CHARS, CaseIntake
from feed.moderation.settled_keeper import SettledKeeper, tell_intake
from feed.moderation.subjects import SubjectFacts, SubjectKind
from feed.social.words import Person, ProfileState
from feed.verdict import Outcome, Verdict

_OUTCOME_OF: Final = {
    ProfileState.CLEAN: Outcome.CLEAN,
    ProfileState.LIMITED: Outcome.LIMITED,
    ProfileState.CHECKING: Outcome.HELD,
    ProfileState.REMOVED: Outcome.REMOVED,
}


class JudgedPeople(Protocol):
    """The use cases of people that moderation needs; both block."""

    def get(self, tenant_id: str, person_id: str, /) -> Person:
        """The person in any state; NotFound."""

    def settle(
        self, tenant_id: str, person_id: str, verdict: Verdict, expected_revision: int, decided_by: str, /
    ) -> Person:
        """A moderator's word; Conflict when the person has another revision, NotFound."""


class ProfileKeeper(SettledKeeper[Person]):
    """Moderated for profiles: a subject's id is the person's."""

    def __init__(self, people: JudgedPeople) -> None:
        super().__init__(people.get, lambda *asked: people.settle(*asked).revision, facts_of)


def facts_of(person: Person) -> SubjectFacts:
    """What moderation knows of a profile: name and handle, bio and links, one a line."""
    pictures = () if person.picture is None else (person.picture.media_id,)
    parts = [f"{person.display_name} @{person.handle}", person.bio, *person.links]
    parts += [f"picture {media_id}" for media_id in pictures]
    excerpt = "\n".join(part for part in parts if part)[:MAX_EXCERPT_CHARS]
    return SubjectFacts(
        person.person_id, person.revision, _OUTCOME_OF[person.state], excerpt, person.decided_by, pictures
    )  # fmt: skip


def judged_profile(intake: Callable[[], CaseIntake]) -> Callable[[Person, Verdict], None]:
    """Makes a case of what the checker held or limited, and closes one that it clears. `intake` is asked each time."""

    def judged(person: Person, verdict: Verdict) -> None:
        kind = SubjectKind.PROFILE
        tell_intake(intake(), person.tenant_id, kind, person.person_id, facts_of(person), verdict)

    return judged
