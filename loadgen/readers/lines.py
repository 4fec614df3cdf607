"""How is a log of JSON lines read? Line by line, packed or not, with its size bounded and its bad lines named."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from common.errors import FieldError, InvalidInput, NotFound
from loadgen.views import BadLine, LoggedView, ReadTally

MAX_LINE_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line) of a text file, gzip or plain; a line above 1 MiB comes as its first 1 MiB and one byte.

    NotFound when there is no such file, InvalidInput when the gzip stream is broken.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        source: IO[bytes] = gzip.open(raw) if packed else raw  # type: ignore[assignment]  # noqa: SIM115
        number = 0
        try:
            while line := source.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield number, line
                while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = source.readline(MAX_LINE_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as trouble:
            remedy = "the file is cut off or damaged: fetch it again"
            raise InvalidInput([FieldError(f"{path.name} line {number + 1}", str(trouble), remedy)]) from trouble
        finally:
            source.close()


class JsonLines:
    """Page views of a file with one JSON object a line; `to_view` raises BadLine for what it cannot take."""

    def __init__(self, path: Path, to_view: Callable[[dict[str, Any]], LoggedView]) -> None:
        self._path = path
        self._to_view = to_view
        self.tally = ReadTally()

    def __iter__(self) -> Iterator[LoggedView]:
        """The page views; numbers with a point are Decimals."""
        self.tally = ReadTally()
        for number, line in numbered_lines(self._path):
            if not line.strip():
                continue
            try:
                view = self._to_view(parse_object(line))
            except BadLine as bad:
                self.tally.refuse(f"{self._path.name} line {number}", str(bad))
                continue
            self.tally.views += 1
            yield view


def parse_object(line: bytes) -> dict[str, Any]:
    """The JSON object of a line; BadLine when it is none."""
    if len(line) > MAX_LINE_BYTES:
        raise BadLine(f"line: longer than {MAX_LINE_BYTES} bytes")
    try:
        found = json.loads(line, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as trouble:
        raise BadLine(f"no JSON: {str(trouble)[:120]}") from None
    if not isinstance(found, dict):
        raise BadLine(f"no JSON object: {type(found).__name__}")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
