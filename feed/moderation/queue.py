"""Which case comes next? By risk × reach, filtered, in pages that new cases do not shift."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

import msgspec

from common.errors import FieldError
from feed.moderation.case_values import Case, CaseState, Origin
from feed.moderation.subjects import SubjectKind
from feed.post_rules import is_id, shown
from feed.verdict import Label

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 200
_MAX_TOKEN_CHARS: Final = 200
# An appeal waits for a person however harmless the program thinks its subject is.
_APPEAL_RISK: Final = 0.5
_MOST_PRIORITY: Final = 1 << 62


class QueueFilter(msgspec.Struct, frozen=True):
    """Which cases; what is empty or None does not filter. `unclaimed_at_ms` leaves out what is claimed at that time,
    except by `claimed_by`.
    """

    states: tuple[CaseState, ...] = (CaseState.OPEN, CaseState.APPEALED)
    origin: Origin | None = None
    kind: SubjectKind | None = None
    label: Label | None = None
    author_id: str = ""
    min_risk: float = 0.0
    claimed_by: str = ""
    unclaimed_at_ms: int = 0
    # Leaves out appeals of what this moderator has decided.
    decidable_by: str = ""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where in the queue a page ended: higher priorities come first, of equal ones the older case."""

    priority: int
    number: int
    fingerprint: str


class CasePage(msgspec.Struct, frozen=True):
    """A part of the queue; `next_page_token` is empty on the last one."""

    cases: list[Case]
    next_page_token: str


def priority_of(risk: float, reach: float, *, appealed: bool = False) -> int:
    """Risk × reach in thousandths of a view: how many are expected to see what should not be seen."""
    weight = max(risk, _APPEAL_RISK) if appealed else risk
    return min(round(1000 * weight * max(reach, 1.0)), _MOST_PRIORITY)


def asked_size(page_size: int, errors: list[FieldError]) -> int:
    """The size of a page that a request asks for."""
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        errors.append(FieldError("page_size", f"is {page_size}", f"give 1 to {MAX_PAGE_SIZE}, or 0 for the default"))
    return page_size or DEFAULT_PAGE_SIZE


def read_token(token: str, wanted: QueueFilter, errors: list[FieldError]) -> Place | None:
    """Where to go on; None at the beginning. A token is good for the filter it was made with alone."""
    if not token:
        return None
    place = None
    if len(token) <= _MAX_TOKEN_CHARS:
        try:
            padded = token + "=" * (-len(token) % 4)
            place = msgspec.json.decode(base64.urlsafe_b64decode(padded.encode("ascii")), type=Place)
        except (ValueError, UnicodeEncodeError, binascii.Error, msgspec.DecodeError):
            place = None
    if place is None or place.fingerprint != _fingerprint(wanted):
        errors.append(
            FieldError("page_token", "is not one of this list", "send next_page_token of the last answer, same filter")
        )
        return None
    return place


def page_of(found: list[Case], size: int, wanted: QueueFilter) -> CasePage:
    """The page, of one case more than fits where the list goes on."""
    if len(found) <= size:
        return CasePage(found, "")
    last = found[size - 1]
    place = Place(last.priority, last.number, _fingerprint(wanted))
    return CasePage(found[:size], base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("="))


def filter_errors(wanted: QueueFilter) -> list[FieldError]:
    """What of a filter cannot be taken."""
    errors = []
    if not 0.0 <= wanted.min_risk <= 1.0:
        errors.append(FieldError("min_risk", f"is {wanted.min_risk}", "give 0 to 1"))
    if wanted.author_id and not is_id(wanted.author_id):
        errors.append(FieldError("author_id", shown(wanted.author_id), "give 1 to 64 printable characters"))
    return errors


def _fingerprint(wanted: QueueFilter) -> str:
    # Time goes on between two pages; it is not what was asked for.
    plain = msgspec.structs.replace(wanted, unclaimed_at_ms=min(wanted.unclaimed_at_ms, 1))
    return hashlib.blake2b(msgspec.json.encode(plain), digest_size=6).hexdigest()
