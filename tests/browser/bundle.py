"""Where does Prebid.js come from? Its released chunks, put together in the order in which they need one another."""

from __future__ import annotations

import json
import os
from pathlib import Path

MODULES = ("prebid-core", "prebidServerBidAdapter", "tealBidAdapter", "nativeRendering")
_ROOT = Path(__file__).parents[2]


def chunks_dir() -> Path:
    """The chunks of npm's `prebid.js`, unpacked by `make browser-test`, or wherever PREBID_PACKAGE says."""
    return Path(os.environ.get("PREBID_PACKAGE", _ROOT / "var" / "browser" / "package")) / "dist" / "chunks"


def bundle() -> str:
    """One script with everything of MODULES, unmodified, that starts at its end."""
    chunks = chunks_dir()
    needs: dict[str, list[str]] = json.loads((chunks / "dependencies.json").read_text())
    ordered: dict[str, None] = {}

    def put(name: str) -> None:
        if name not in ordered:
            for other in needs.get(name, []):
                put(other)
            ordered[name] = None

    for module in MODULES:
        put(f"{module}.js")
    return "\n".join([*((chunks / name).read_text() for name in ordered), "pbjs.processQueue();"])
