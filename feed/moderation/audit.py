"""Who did what to a case, when and why? An entry for each write, chained so that a change of one shows.

Each entry's digest covers the digest before it, so an entry that was changed or taken out breaks the chain from there
on. Entries name moderators by the id of their key and hold nothing of authors and reporters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from feed.moderation.case_values import Case


class AuditEntry(msgspec.Struct, frozen=True):
    """One line; `position` counts the tenant's entries from 1. `before` and `after` are JSON, "" for nothing."""

    tenant_id: str
    case_id: str
    at_ms: int
    actor: str
    action: str
    before: str
    after: str
    reason: str = ""
    note: str = ""
    position: int = 0
    digest: str = ""


def state_of(case: Case | None) -> str:
    """What of a case the trail holds: no text and no person."""
    if case is None:
        return ""
    standing = case.standing
    facts = {
        "state": case.state.name.lower(),
        "outcome": case.outcome.name.lower(),
        "risk": round(case.verdict.risk, 4),
        "reports": case.reports,
        "subject_revision": case.subject_revision,
        "claimed_by": case.claimed_by,
        "decision": standing.decision_id if standing else "",
        "reason": standing.reason if standing else "",
        "effect": case.effect.outcome.name.lower() if case.effect else "",
        "revision": case.revision,
    }
    return msgspec.json.encode(facts).decode()


def entry_of(
    before: Case | None, after: Case, actor: str, action: str, *, reason: str = "", note: str = ""
) -> AuditEntry:
    """The entry of one write; its position and digest come with the store."""
    return AuditEntry(
        after.tenant_id,
        after.case_id,
        after.changed_at_ms,
        actor,
        action,
        state_of(before),
        state_of(after),
        reason,
        note,
    )


def chained(entry: AuditEntry, position: int, previous_digest: str) -> AuditEntry:
    """The entry as the tenant's next one; SHA-256 over the digest before it and all of its fields."""
    placed = msgspec.structs.replace(entry, position=position, digest="")
    digest = hashlib.sha256(previous_digest.encode() + msgspec.json.encode(placed)).hexdigest()
    return msgspec.structs.replace(placed, digest=digest)


def first_break(entries: Iterable[AuditEntry], previous_digest: str = "", position: int = 0) -> int:
    """The position of the first entry that does not fit the one before it; 0 when all do."""
    for entry in entries:
        position += 1
        if entry != chained(entry, position, previous_digest):
            return position
        previous_digest = entry.digest
    return 0
