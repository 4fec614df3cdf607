"""`python -m app` is `haat`: how one command starts another without knowing where it is installed."""

from __future__ import annotations

import sys

from app.cli import main

sys.exit(main())
