"""Which domains does an operator block or protect? A file with one a line; what is wrong in it is named by line."""

from __future__ import annotations

import re
from typing import Final

from common.errors import FieldError, InvalidInput
from feed.moderation.domains import unicode_of

_MOST: Final = 5_000_000
_MOST_ERRORS: Final = 20
_DOMAIN: Final = re.compile(r"(?:[^\s./:@?#\\]{1,63}\.)+[^\s./:@?#\\]{2,63}")


def read_domains(field: str, content: str) -> frozenset[str]:
    """The domains of a file, as people see them; blank lines and those that begin with # are left out.

    InvalidInput names the first lines that hold no domain, or that there are too many of them.
    """
    lines = content.splitlines()
    if len(lines) > _MOST:
        raise InvalidInput([FieldError(field, f"{len(lines)} lines", f"give at most {_MOST}")])
    found: set[str] = set()
    wrong: list[FieldError] = []
    for number, line in enumerate(lines, 1):
        domain = line.strip().casefold().rstrip(".")
        if not domain or domain.startswith("#"):
            continue
        if not _DOMAIN.fullmatch(domain):
            wrong.append(FieldError(f"{field}, line {number}", line[:80], "give a domain such as shop.example"))
            if len(wrong) == _MOST_ERRORS:
                break
            continue
        found.add(unicode_of(domain))
    if wrong:
        raise InvalidInput(wrong)
    return frozenset(found)
