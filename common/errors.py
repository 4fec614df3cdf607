"""What went wrong, and what to do about it? Trouble outside is one of these; each server catches them in one place.

An expected refusal (a bid below the floor, a notice said twice) is a value with a reason, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that cannot be taken: its path (`placements[0].floor_micros`), what is wrong, and the remedy."""

    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value} — {self.remedy}"


class HaatError(Exception):
    """A sentence that a person can act on."""


class InvalidInput(HaatError):
    """The caller's input cannot be taken; every field at once."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = tuple(errors)


class NotFound(HaatError):
    """No such thing, or it is another tenant's."""


class Conflict(HaatError):
    """The thing changed meanwhile, or the idempotency key was used for another request."""


class Unauthenticated(HaatError):
    """No API key, or one that is not known."""


class PermissionDenied(HaatError):
    """The key is known and may not do this."""


class BackendUnavailable(HaatError):
    """A store or an engine does not answer, is full or is broken."""
