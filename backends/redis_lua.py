"""What do the Lua scripts say, and by which hash does Redis know them? Files of `redis_scripts/`, read once."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Final

import msgspec

_FOLDER: Final = Path(__file__).parent / "redis_scripts"


class Script(msgspec.Struct, frozen=True):
    """A script: its text, and the hash that EVALSHA wants."""

    name: str
    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """The script `redis_scripts/<name>.lua`."""
    text = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    # The name that Redis gives to a script, no matter of safety.
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())
