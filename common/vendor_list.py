"""Which vendors declare which purposes? The Global Vendor List, format 3, read from a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import BackendUnavailable
from common.tcf import Vendor

_LARGEST_BYTES = 64 << 20


def read_vendor_list(file: Path) -> dict[int, Vendor]:
    """Every vendor that is not deleted, by its number. BackendUnavailable with the reason when it cannot be read."""
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise BackendUnavailable(f"the vendor list {file} has more than {_LARGEST_BYTES >> 20} MiB")
        vendors = json.loads(file.read_bytes())["vendors"]
        return {int(number): _vendor(entry) for number, entry in vendors.items() if "deletedDate" not in entry}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackendUnavailable(
            f"the vendor list {file} cannot be read ({error}): give a Global Vendor List of format 3 in JSON"
        ) from None


def _vendor(entry: Mapping[str, Any]) -> Vendor:
    def purposes(name: str) -> frozenset[int]:
        return frozenset(int(number) for number in entry.get(name) or ())

    return Vendor(purposes("purposes"), purposes("legIntPurposes"), purposes("flexiblePurposes"))
