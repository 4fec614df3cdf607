"""How are sets of vendors kept, when a few letters can name all 65,535? As runs, so that size follows the text."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Set

_ONES = re.compile("1+")


class VendorIds(Set[int]):
    """A set of ids from 1 on that never changes; takes 8 bytes for each run of neighbours."""

    __slots__ = ("_bounds",)

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """`ranges` are (first, last), both within, in any order and over one another."""
        # Where a run begins and where the next gap does, by turns.
        self._bounds = array("I")
        for first, last in sorted(ranges):
            if self._bounds and first <= self._bounds[-1]:
                self._bounds[-1] = max(self._bounds[-1], last + 1)
            else:
                self._bounds.extend((first, last + 1))

    @classmethod
    def of_field(cls, field: int, width: int) -> VendorIds:
        """Of a bit field of `width` bits, the first of which is id 1."""
        return cls((run.start() + 1, run.end()) for run in _ONES.finditer(f"{field:0{width}b}" if width else ""))

    def __contains__(self, vendor_id: object) -> bool:
        return isinstance(vendor_id, int) and bisect_right(self._bounds, vendor_id) % 2 == 1

    def __iter__(self) -> Iterator[int]:
        for at in range(0, len(self._bounds), 2):
            yield from range(self._bounds[at], self._bounds[at + 1])

    def __len__(self) -> int:
        return sum(self._bounds[1::2]) - sum(self._bounds[::2])
