"""What is wrong with a request, where, and by which section of the standard? All of it at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from common.errors import FieldError, InvalidInput

# Beyond so many, the rest is only counted.
MOST_PROBLEMS = 64
_VALUE_CHARS = 40


class Problem(msgspec.Struct, frozen=True):
    """One thing that cannot be taken (or, as a warning, that was read in the stricter way).

    `path` is a JSON path without the root (`imp[0].banner.format[1].w`), `value` what stands there, cut; `section` that
    of OpenRTB 2.6, of Native 1.2 where it says so.
    """

    path: str
    value: str
    remedy: str
    section: str


class Problems:
    """Collects problems; `errors` refuse the request, `warnings` only tell."""

    __slots__ = ("_taken_out", "errors", "unlisted", "warnings")

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.unlisted = 0
        self._taken_out: tuple[str, ...] = ()

    def look_closer(self) -> None:
        """From here on what is wrong already, and was taken out for it, is not told of again as missing, nor is what
        holds it.
        """
        self._taken_out = tuple(problem.path for problem in self.errors)

    def error(self, path: str, value: object, remedy: str, section: str) -> None:
        """The request cannot be taken because of this."""
        if self._taken_out and any(_within(path, gone) or _within(gone, path) for gone in self._taken_out):
            return
        if len(self.errors) < MOST_PROBLEMS:
            self.errors.append(Problem(path, _shown_at(path, value), remedy, section))
        else:
            self.unlisted += 1

    def warn(self, path: str, value: object, remedy: str, section: str) -> None:
        """The request is taken all the same."""
        if len(self.warnings) < MOST_PROBLEMS:
            self.warnings.append(Problem(path, _shown_at(path, value), remedy, section))

    def raise_if_any(self) -> None:
        """InvalidRequest with all errors; nothing happens without one."""
        if self.errors:
            raise InvalidRequest(self.errors, self.unlisted)


class InvalidRequest(InvalidInput):
    """The bid request cannot be taken; `problems` say all that is wrong with it."""

    def __init__(self, problems: Sequence[Problem], unlisted: int = 0) -> None:
        super().__init__([_field_error(problem) for problem in problems])
        self.problems = tuple(problems)
        self.unlisted = unlisted


def one_problem(path: str, value: object, remedy: str, section: str) -> InvalidRequest:
    """The exception for a request with which nothing else can be looked at."""
    return InvalidRequest([Problem(path, shown(value), remedy, section)])


def shown(value: object) -> str:
    """A value for people: cut, without control characters, and never a whole object."""
    if value is None:
        return "missing"
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of many digits"
    text = value if isinstance(value, str) else str(value)
    text = text if len(text) <= _VALUE_CHARS else text[:_VALUE_CHARS] + "…"
    return text if text.isprintable() else repr(text)


def as_json(problems: Iterable[Problem], unlisted: int = 0) -> bytes:
    """The problems as a JSON array, for the body of an answer 400."""
    listed: list[object] = list(problems)
    if unlisted:
        listed.append(Problem("", f"{unlisted} more", "mend these first", "2.3"))
    return msgspec.json.encode(listed)


def _within(path: str, outer: str) -> bool:
    return path == outer or path.startswith((f"{outer}.", f"{outer}["))


def _shown_at(path: str, value: object) -> str:
    """Errors end up in logs, so what is said of a person is told by its kind alone."""
    if value is None or not (_within(path, "user") or _within(path, "device")):
        return shown(value)
    if isinstance(value, (dict, list)):
        return shown(value)
    return "a text" if isinstance(value, str) else "a number"


def _field_error(problem: Problem) -> FieldError:
    section = problem.section if problem.section.startswith("Native") else f"OpenRTB 2.6 §{problem.section}"
    return FieldError(problem.path, problem.value, f"{problem.remedy} ({section})")
