"""Which version of haat is this?"""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The version of the installed distribution; "unknown" when it runs without having been installed."""
    try:
        return metadata.version("haat")
    except metadata.PackageNotFoundError:
        return "unknown"
