"""Does a server load what only training needs? It would start seconds later, and hold some ninety megabytes more."""

from __future__ import annotations

import subprocess
import sys

_OF_TRAINING = ("lightgbm", "sklearn", "pandas", "duckdb")


def test_a_server_loads_no_library_of_training() -> None:
    program = f"import sys, app.serving, app.demo; print(*[name for name in {_OF_TRAINING} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert loaded.stdout.split() == []
