"""Which profiles are there? A profile is a TOML file of settings beside this module; all else goes before it."""

from __future__ import annotations

from pathlib import Path

from common.errors import FieldError, InvalidInput

_FOLDER = Path(__file__).parent / "profiles"


def profiles() -> list[str]:
    """The names, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def profile_file(name: str, called: str) -> Path:
    """The file of a profile; InvalidInput with the list of names, under the name that the user called it by."""
    if name not in profiles():
        remedy = f"there is no such profile: give one of {', '.join(profiles())}"
        raise InvalidInput([FieldError(called, name[:100] if name.isprintable() else repr(name[:100]), remedy)])
    return _FOLDER / f"{name}.toml"
