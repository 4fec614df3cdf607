"""How long does the processor look for an address? Not as long where memory stands in pages of 2 MB instead of 4 KB.

A page view touches thousands of objects all over the heap, and in a virtual machine each look-up of a page is two.
Linux gives large pages to whoever asks (madvise(2): MADV_HUGEPAGE, and MADV_COLLAPSE from 6.1 on for what is there).
"""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HUGE_BYTES: Final = 2 << 20
_MADV_HUGEPAGE: Final = 14
_MADV_COLLAPSE: Final = 25
_MAPS: Final = Path("/proc/self/maps")


def use_huge_pages() -> int:
    """Ask for large pages under all that was allocated so far; of how many bytes it was brought together. 0 where the
    system has none to give. Blocks for about a second in a large process, and nobody else: call it in a thread.
    """
    if sys.platform != "linux" or not _MAPS.exists():
        return 0
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    brought = 0
    for start, end in _allocated(_MAPS.read_text()):
        # What grows there later is made of large pages at once.
        if advise(start, end - start, _MADV_HUGEPAGE):
            return brought
        for at in range(start, end, HUGE_BYTES):
            brought += 0 if advise(at, HUGE_BYTES, _MADV_COLLAPSE) else HUGE_BYTES
    return brought


def _allocated(maps: str) -> Iterator[tuple[int, int]]:
    """Ranges of whole large pages that hold private data, (first address, address behind the last); see proc(5).

    Stacks of threads are left out: they are as large and all but empty.
    """
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    for line in maps.splitlines():
        where, may, _, _, _, *name = line.split(maxsplit=5)
        if not may.startswith("rw-p") or name not in ([], ["[heap]"]):
            continue
        start, end = (int(address, 16) for address in where.split("-"))
        if end - start == stack:
            continue
        first, last = -(-start // HUGE_BYTES) * HUGE_BYTES, end // HUGE_BYTES * HUGE_BYTES
        if first < last:
            yield first, last
