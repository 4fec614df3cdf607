"""How many examples does a property try? As many as it names; a fifth where quick answers are wanted (`make check`)."""

from __future__ import annotations

import os
from typing import Final

QUICK: Final = bool(os.environ.get("QUICK"))


def examples(whole: int) -> int:
    """`whole`, or a fifth of it and ten at least."""
    return max(10, whole // 5) if QUICK else whole
