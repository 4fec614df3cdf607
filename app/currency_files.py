"""Where do rates of currencies come from? The file that the setting `currency_rates` names; nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from common.errors import BackendUnavailable
from exchange.currencies import LARGEST_FILE_BYTES


def reader_of(path: Path | None) -> Callable[[], tuple[bytes, str]] | None:
    """Reads the file's bytes, no more than may be in one, with its name; None where no file is named."""
    if path is None:
        return None

    def read() -> tuple[bytes, str]:
        try:
            with path.open("rb") as stream:
                return stream.read(LARGEST_FILE_BYTES + 1), path.name
        except OSError as error:
            raise BackendUnavailable(
                f"the currency rates in {path} cannot be read ({error.strerror}): the last ones serve on"
            ) from error

    return read
