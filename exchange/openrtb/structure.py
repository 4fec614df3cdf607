"""Is every field of the kind that the standard gives it, and is nothing of it boundless?

This is the first look at what came in, so it believes nothing: kinds, lengths, depths and numbers are checked here, and
later steps may rely on them. Flags come out as 0 or 1, and a field that is null is taken out, as if it were not there.
What cannot be taken is taken out too, after it was told of, so that the rest of the request can still be looked at.
"""

from __future__ import annotations

from typing import Any, Final

from exchange.openrtb.fields import FIELDS, SECTIONS, Kind
from exchange.openrtb.problems import Problems

# The deepest path of the standard itself has nine steps; extensions may add to it.
DEPTH_LIMIT: Final = 32
TEXT_LIMIT: Final = 65_536
WORDS_LIMIT: Final = 2_000
# Arrays of objects: the number that a real request never reaches.
OBJECTS_LIMIT: Final = 256
WHOLE_LIMIT: Final = (1 << 31) - 1
NUMBER_LIMIT: Final = 1e15

_GIVE: Final = {
    "text": f"give a text of at most {TEXT_LIMIT} characters",
    "whole": "give a whole number within 32 bits",
    "number": "give a number of at most 1e15 in size",
    "flag": "give 0 or 1",
}


def check_structure(value: Any, name: str, path: str, problems: Problems) -> None:
    """Check the object `name` (a row of exchange.openrtb.fields) and all within it, in place."""
    if type(value) is not dict:
        problems.error(path, value, "give an object", SECTIONS[name])
        return
    _object(value, name, path, problems, 0)


def _object(value: dict[str, Any], name: str, path: str, problems: Problems, depth: int) -> None:
    fields = FIELDS[name]
    out: list[str] = []
    for key, held in value.items():
        kind = fields.get(key)
        if held is None:
            out.append(key)
        elif kind is None or kind.of == "ext":
            if not _unlisted(held, key, kind, path, problems, depth, SECTIONS[name]):
                out.append(key)
        elif kind.many:
            if type(held) is list:
                _array(held, kind, f"{path}.{key}" if path else key, problems, depth, SECTIONS[name])
            else:
                problems.error(_at(path, key), held, "give an array", SECTIONS[name])
                out.append(key)
        elif kind.of in _GIVE:
            sort = type(held)
            if sort is str:
                good = kind.of == "text" and len(held) <= TEXT_LIMIT
            elif sort is int:
                good = _whole_fits(held, kind.of)
            elif sort is bool:
                good = kind.of == "flag"
                value[key] = int(held)
            elif sort is float:
                good = _float_fits(held, kind.of)
                if good and kind.of != "number":
                    value[key] = int(held)
            else:
                good = False
            if not good:
                problems.error(_at(path, key), held, _GIVE[kind.of], SECTIONS[name])
                out.append(key)
        elif type(held) is dict:
            _object(held, kind.of, _at(path, key), problems, depth + 1)
        else:
            problems.error(_at(path, key), held, "give an object", SECTIONS.get(kind.of, SECTIONS[name]))
            out.append(key)
    for key in out:
        del value[key]


def _array(held: list[Any], kind: Kind, path: str, problems: Problems, depth: int, section: str) -> None:
    scalar = kind.of in _GIVE
    limit = WORDS_LIMIT if scalar else OBJECTS_LIMIT
    if len(held) > limit:
        problems.error(path, f"{len(held)} of them", f"give at most {limit}", section)
        held.clear()
    elif kind.of == "text":
        for index, word in enumerate(held):
            if type(word) is not str or len(word) > TEXT_LIMIT:
                problems.error(f"{path}[{index}]", word, _GIVE["text"], section)
                held[index] = ""
    elif kind.of == "whole":
        for index, number in enumerate(held):
            if type(number) is float and _float_fits(number, "whole"):
                held[index] = int(number)
            elif type(number) is not int or not _whole_fits(number, "whole"):
                problems.error(f"{path}[{index}]", number, _GIVE["whole"], section)
                held[index] = 0
    else:
        for index, one in enumerate(held):
            if type(one) is dict:
                _object(one, kind.of, f"{path}[{index}]", problems, depth + 1)
            else:
                problems.error(f"{path}[{index}]", one, "give an object", SECTIONS[kind.of])
                held[index] = {}


def _whole_fits(number: int, of: str) -> bool:
    if of == "flag":
        return number == 0 or number == 1
    if of == "whole":
        return -WHOLE_LIMIT <= number <= WHOLE_LIMIT
    return of == "number" and -NUMBER_LIMIT <= number <= NUMBER_LIMIT


def _float_fits(number: float, of: str) -> bool:
    """A comparison with NaN is false, so NaN fits nowhere."""
    if of == "number":
        return -NUMBER_LIMIT <= number <= NUMBER_LIMIT
    if of == "flag":
        return number == 0.0 or number == 1.0
    return of == "whole" and -WHOLE_LIMIT <= number <= WHOLE_LIMIT and number.is_integer()


def _unlisted(held: Any, key: str, kind: Kind | None, path: str, problems: Problems, depth: int, section: str) -> bool:
    """Can it be taken?"""
    if kind is not None and type(held) is not dict:
        problems.error(_at(path, key), held, "give an object", section)
        return False
    if type(held) in (dict, list) and not _shallow(held, DEPTH_LIMIT - depth):
        problems.error(_at(path, key), "nested too deeply", f"nest at most {DEPTH_LIMIT} deep", section)
        return False
    return True


def _shallow(held: Any, depth: int) -> bool:
    """Is it nested at most `depth` deep?"""
    if depth <= 0:
        return False
    for one in held.values() if type(held) is dict else held:
        if type(one) in (dict, list) and not _shallow(one, depth - 1):
            return False
    return True


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
