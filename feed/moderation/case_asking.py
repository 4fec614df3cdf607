"""What does a moderator ask for, and can it be taken?"""

from __future__ import annotations

from typing import Final

import msgspec

from accounts.ports import Caller
from common.errors import Conflict, FieldError
from feed.moderation.case_values import Case
from feed.moderation.reasons import REASONS, Ground
from feed.post_rules import has_control_characters, is_id, shown
from feed.verdict import Outcome

MAX_NOTE_CHARS: Final = 1_000


class ModeratorWrite(msgspec.Struct, frozen=True):
    """Whose write it is: the caller, the tenant it acts for, the idempotency key under which it happens once."""

    caller: Caller
    tenant_id: str
    idempotency_key: str

    @property
    def moderator(self) -> str:
        """Who decides: a key is a person, as only its holder can prove."""
        return self.caller.key_id or f"{self.caller.role} of {self.caller.tenant_id}"


class DecisionAsked(msgspec.Struct, frozen=True):
    """What a moderator decides; `expected_revision` is the case's that was looked at, 0 takes whichever it has."""

    case_id: str
    outcome: Outcome
    reason: str
    note: str = ""
    expected_revision: int = 0


class BulkResult(msgspec.Struct, frozen=True):
    """What became, or would become, of one of many: the case, or why not."""

    case_id: str
    case: Case | None
    error: str = ""


def check_revision(case: Case, expected: int) -> None:
    """Conflict when the case is not the one that was looked at; 0 takes whichever."""
    if expected and case.revision != expected:
        raise Conflict(f"the case has revision {case.revision} and not {expected}: read it again")


def key_errors(key: str) -> list[FieldError]:
    """An idempotency key."""
    if is_id(key):
        return []
    return [FieldError("idempotency_key", shown(key), "give 1 to 64 printable characters, fresh for each write")]


def note_errors(note: str, field: str = "note") -> list[FieldError]:
    """A text of a person, of several lines; it may be empty."""
    if len(note) > MAX_NOTE_CHARS:
        return [FieldError(field, f"has {len(note)} characters", f"give at most {MAX_NOTE_CHARS}")]
    if has_control_characters(note, allowed="\n"):
        return [FieldError(field, shown(note), "leave out control characters and marks that turn the writing around")]
    return []


def decision_errors(asked: DecisionAsked) -> list[FieldError]:
    """An outcome, and a reason that goes with it."""
    errors = note_errors(asked.note)
    reason = REASONS.get(asked.reason)
    if asked.outcome is Outcome.HELD:
        errors.append(FieldError("outcome", "is held", "a person decides: give clean, limited or removed"))
    if reason is None:
        errors.append(FieldError("reason", shown(asked.reason), f"give one of {', '.join(REASONS)}"))
    elif (reason.ground is Ground.NONE) != (asked.outcome is Outcome.CLEAN):
        fitting = [r.code for r in REASONS.values() if (r.ground is Ground.NONE) == (asked.outcome is Outcome.CLEAN)]
        errors.append(
            FieldError(
                "reason",
                f"{asked.reason} does not go with {asked.outcome.name.lower()}",
                f"give one of {', '.join(fitting)}",
            )
        )
    return errors
