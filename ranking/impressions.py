"""What does a log of the Open Bandit Dataset say? Read and checked, as columns."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import FieldError, InvalidInput, NotFound

VISITOR_FEATURES = 4
_AFFINITY = "user-item_affinity_"
_LOG_COLUMNS = ("timestamp", "item_id", "position", "click", "propensity_score")
_USER_COLUMNS = tuple(f"user_feature_{k}" for k in range(VISITOR_FEATURES))
_ITEM_COLUMNS = ("item_id", "item_feature_0", "item_feature_1", "item_feature_2", "item_feature_3")
_HASH = re.compile(r"[0-9A-Za-z_-]{1,64}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_FILE_BYTES = 256 << 20
_MAX_ITEMS = 10_000
_MAX_ERRORS = 20


@dataclass(frozen=True, slots=True)
class LoggedImpressions:
    """One log, in the order of the file; all columns have n entries.

    `at_ms` int64 UTC; `item` int32; `position` int32 1..3; `click` int8 0 or 1; `propensity` float64 within (0, 1];
    `user_features` int32 [n, 4] index `user_vocabulary` (four tuples of text); `affinity` float32 [n, items]: past
    clicks of the visitor on each item.
    """

    campaign: str
    at_ms: NDArray[np.int64]
    item: NDArray[np.int32]
    position: NDArray[np.int32]
    click: NDArray[np.int8]
    propensity: NDArray[np.float64]
    user_features: NDArray[np.int32]
    user_vocabulary: tuple[tuple[str, ...], ...]
    affinity: NDArray[np.float32]

    def segments(self, row: int) -> tuple[str, ...]:
        """The visitor's segments, `uf0=<8 digits>` to `uf3=…`, as all of the project writes them."""
        return tuple(
            f"uf{k}={self.user_vocabulary[k][self.user_features[row, k]][:8]}" for k in range(VISITOR_FEATURES)
        )

    def affinities(self, row: int) -> tuple[tuple[str, float], ...]:
        """(product id, weight) of each product that the visitor clicked before."""
        liked = np.flatnonzero(self.affinity[row])
        return tuple((product_id(self.campaign, int(item)), float(self.affinity[row, item])) for item in liked)


@dataclass(frozen=True, slots=True)
class LoggedItem:
    """An item of the shop: one number and three hashed categories."""

    item: int
    number: float
    categories: tuple[str, str, str]

    def attributes(self, campaign: str) -> dict[str, str]:
        """The attributes under which the catalogue keeps it and the click model finds it."""
        named = {f"item_feature_{k + 1}": text for k, text in enumerate(self.categories)}
        return {"section": campaign, "item_feature_0": repr(self.number), **named}


def product_id(campaign: str, item: int) -> str:
    """The product's id across the project: `men-17`."""
    return f"{campaign}-{item}"


def read(folder: Path, campaign: str) -> LoggedImpressions:
    """Read `<folder>/<campaign>/<campaign>.csv`.

    NotFound when there is no such file; InvalidInput names up to 20 bad cells by line and column.
    """
    rows = _rows(folder / campaign / f"{campaign}.csv")
    header = next(rows)[1]
    at = _places(header, (*_LOG_COLUMNS, *_USER_COLUMNS), campaign)
    affinity_at = _affinity_places(header, campaign)
    items = len(affinity_at)
    errors: list[FieldError] = []
    numbers: list[tuple[int, int, int, int, float]] = []
    users: list[tuple[int, ...]] = []
    codes: tuple[dict[str, int], ...] = tuple({} for _ in _USER_COLUMNS)
    affinities: list[list[float]] = []
    for line, cells in rows:
        cell = _Cells(f"{campaign}.csv line {line}", header, cells, errors)
        if cell.broken:
            continue
        numbers.append(
            (
                cell.time_ms(at[0]),
                cell.whole(at[1], 0, items - 1),
                cell.whole(at[2], 1, 3),
                cell.whole(at[3], 0, 1),
                cell.real(at[4], 0.0, 1.0, above_zero=True),
            )
        )
        users.append(
            tuple(code.setdefault(text, len(code)) for code, text in zip(codes, cell.hashes(at[5:]), strict=True))
        )
        affinities.append([0.0 if cells[place] == "0.0" else cell.real(place, 0.0, 1e9) for place in affinity_at])
        if len(errors) >= _MAX_ERRORS:
            break
    if errors:
        raise InvalidInput(errors[:_MAX_ERRORS])
    if not numbers:
        raise InvalidInput([FieldError(f"{campaign}.csv", "no impressions", "the log is cut off: fetch it again")])
    at_ms, item, position, click, propensity = zip(*numbers, strict=True)
    return LoggedImpressions(
        campaign=campaign,
        at_ms=np.array(at_ms, np.int64),
        item=np.array(item, np.int32),
        position=np.array(position, np.int32),
        click=np.array(click, np.int8),
        propensity=np.array(propensity, np.float64),
        user_features=np.array(users, np.int32),
        user_vocabulary=tuple(tuple(code) for code in codes),
        affinity=np.array(affinities, np.float32),
    )


def read_items(folder: Path, campaign: str) -> tuple[LoggedItem, ...]:
    """Read `<folder>/<campaign>/item_context.csv`; item i is at place i. Errors as in `read`."""
    rows = _rows(folder / campaign / "item_context.csv")
    header = next(rows)[1]
    at = _places(header, _ITEM_COLUMNS, campaign)
    errors: list[FieldError] = []
    items: list[LoggedItem] = []
    for line, cells in rows:
        cell = _Cells(f"{campaign}/item_context.csv line {line}", header, cells, errors)
        if cell.broken or len(errors) >= _MAX_ERRORS:
            continue
        item = cell.whole(at[0], len(items), len(items))
        first, second, third = cell.hashes(at[2:])
        items.append(LoggedItem(item, cell.real(at[1], -1e9, 1e9), (first, second, third)))
    if errors:
        raise InvalidInput(errors[:_MAX_ERRORS])
    return tuple(items)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells), the header first."""
    if not path.is_file():
        raise NotFound(f"no log at {path}; fetch the logs first (`haat train` does so)")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise InvalidInput([FieldError(path.name, "too large", f"at most {_MAX_FILE_BYTES >> 20} MiB are read")])
    reader = None
    try:
        with path.open(encoding="utf-8", newline="") as source:
            reader = csv.reader(source)
            seen = 0
            for cells in reader:
                seen += 1
                yield reader.line_num, cells
            if not seen:
                raise InvalidInput([FieldError(path.name, "empty", "fetch it again")])
    except (csv.Error, UnicodeDecodeError) as trouble:
        line = reader.line_num if reader is not None else 0
        raise InvalidInput(
            [FieldError(f"{path.name} line {line + 1}", str(trouble)[:80], "fetch it again")]
        ) from trouble


def _places(header: Sequence[str], names: Sequence[str], campaign: str) -> list[int]:
    missing = [name for name in names if name not in header]
    if missing:
        raise InvalidInput(
            [FieldError(f"{campaign}: column {name}", "missing", "fetch the log again") for name in missing]
        )
    return [header.index(name) for name in names]


def _affinity_places(header: Sequence[str], campaign: str) -> list[int]:
    count = sum(name.startswith(_AFFINITY) for name in header)
    if not 1 <= count <= _MAX_ITEMS:
        raise InvalidInput([FieldError(f"{campaign}: columns {_AFFINITY}*", str(count), f"1 to {_MAX_ITEMS} are read")])
    return _places(header, [f"{_AFFINITY}{item}" for item in range(count)], campaign)


class _Cells:
    """The cells of one line; a bad one is added to `errors` and read as zero."""

    def __init__(self, where: str, header: Sequence[str], cells: Sequence[str], errors: list[FieldError]) -> None:
        self._where, self._header, self._cells, self._errors = where, header, cells, errors
        self.broken = len(cells) != len(header)
        if self.broken:
            errors.append(
                FieldError(where, f"{len(cells)} cells", f"the header has {len(header)}: the line is cut off")
            )

    def _refuse(self, place: int, remedy: str) -> None:
        column = self._header[place]
        self._errors.append(FieldError(f"{self._where}, column {column}", repr(self._cells[place][:40]), remedy))

    def time_ms(self, place: int) -> int:
        try:
            at = datetime.fromisoformat(self._cells[place])
            return (at - _EPOCH) // timedelta(milliseconds=1)
        except (ValueError, TypeError):
            self._refuse(place, "a time with its zone is expected, as 2019-11-24 00:00:34.762830+00:00")
            return 0

    def whole(self, place: int, low: int, high: int) -> int:
        text = self._cells[place]
        if text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high:
            return int(text)
        self._refuse(place, f"a whole number from {low} to {high} is expected")
        return low

    def real(self, place: int, low: float, high: float, *, above_zero: bool = False) -> float:
        try:
            value = float(self._cells[place])
        except ValueError:
            value = math.nan
        if low <= value <= high and (value > 0.0 or not above_zero):
            return value
        self._refuse(place, f"a number {'above 0' if above_zero else f'from {low:g}'} to {high:g} is expected")
        return 0.0

    def hashes(self, places: Sequence[int]) -> list[str]:
        for place in places:
            if not _HASH.fullmatch(self._cells[place]):
                self._refuse(place, "1 to 64 letters and digits are expected")
        return [self._cells[place] for place in places]
