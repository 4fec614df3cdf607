"""Where do the engines answer? Kept in addresses.json, for tests, profiles and the next start."""

from __future__ import annotations

import json
from pathlib import Path

FILE = "addresses.json"


def read(folder: Path) -> dict[str, str]:
    """Address by engine; nothing where none was started."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(address) for name, address in found.items()} if isinstance(found, dict) else {}


def write(folder: Path, found: dict[str, str]) -> None:
    """Replace the file as a whole, so that nobody reads half of it."""
    fresh = folder / (FILE + ".new")
    fresh.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    fresh.replace(folder / FILE)
