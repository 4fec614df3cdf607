from __future__ import annotations

import resource
import sys

import pytest

from app.huge_pages import HUGE_BYTES, _allocated, use_huge_pages

MEGABYTE = 1 << 20


def line(start: int, size: int, may: str = "rw-p", name: str = "") -> str:
    return f"{start:x}-{start + size:x} {may} 00000000 00:00 0 {name}".rstrip()


def test_whole_large_pages_of_what_was_allocated_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8 * MEGABYTE, -1))
    maps = "\n".join(
        (
            line(0x1000_0000, 5 * MEGABYTE),
            line(0x2010_0000, 6 * MEGABYTE, name="[heap]"),
            line(0x3010_0000, 2 * MEGABYTE),
            line(0x4000_0000, 64 * MEGABYTE, may="r--p", name="/usr/lib/lib of something.so"),
            line(0x5000_0000, 64 * MEGABYTE, may="rw-s", name="/data/log/data.mdb"),
            line(0x6000_0000, 8 * MEGABYTE),
            line(0x7000_0000, 64 * MEGABYTE, name="[stack]"),
        )
    )

    assert list(_allocated(maps)) == [(0x1000_0000, 0x1040_0000), (0x2020_0000, 0x2060_0000)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems are not asked")
def test_what_stands_in_memory_stays_as_it_is() -> None:
    held = [bytes([number % 251]) * 100 for number in range(200_000)]

    brought = use_huge_pages()

    assert brought % HUGE_BYTES == 0
    assert all(text == bytes([number % 251]) * 100 for number, text in enumerate(held))
