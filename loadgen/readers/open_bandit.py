"""How does a logged impression of the Open Bandit Dataset become a page view of the shop?

The data: ZOZO, Inc., CC BY 4.0 (Saito et al. 2020, arXiv 2008.07146). Each logged impression becomes one view of the
section's page with the shop's three placements; the logged item, position and click stay beside it.

What the data does not have is made up, and depends on `seed` and the visitor alone:
- no user id: the visitor id is a hash of features and affinities, so one id stands for everybody who looks the same;
- no session: one for each visitor and hour (`session_minutes`);
- no device, country or language: drawn once for each visitor;
- no consent: a share of the visitors (80 % unless told otherwise) grants every purpose, the others grant none. Their
  features are sent all the same, as a careless storefront would: the exchange has to drop them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import pairwise
from math import isfinite
from pathlib import Path

from common.errors import FieldError, InvalidInput, NotFound
from loadgen.readers.fields import ALL_PURPOSES
from loadgen.views import BadLine, LoggedView, ReadTally, draw, stable_hash
from protos.common_pb2 import (
    DEVICE_TYPE_DESKTOP,
    DEVICE_TYPE_PHONE,
    DEVICE_TYPE_TABLET,
    Affinity,
    Consent,
    Device,
    DeviceType,
    Page,
    Visitor,
)
from protos.exchange_pb2 import FORMAT_BANNER, FORMAT_PRODUCT_LISTING, PageView, Placement, Size

SECTIONS = ("all", "men", "women")
PLACES = ("left", "centre", "right")
_LEADING = ("timestamp", "item_id", "position", "click")
_FEATURES = tuple(f"user_feature_{k}" for k in range(4))
_AFFINITY = "user-item_affinity_"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_AFFINITIES = 64
_KEYWORDS = {
    "all": ("fashion", "clothes", "shoes", "sale"),
    "men": ("fashion", "menswear", "shirts", "sneakers"),
    "women": ("fashion", "womenswear", "dresses", "shoes"),
}
_DEVICES: tuple[tuple[float, DeviceType.ValueType], ...] = (
    (0.70, DEVICE_TYPE_PHONE),
    (0.95, DEVICE_TYPE_DESKTOP),
    (1.0, DEVICE_TYPE_TABLET),
)
_COUNTRIES = (
    (0.30, "DE", "de"),
    (0.48, "FR", "fr"),
    (0.63, "IT", "it"),
    (0.76, "ES", "es"),
    (0.86, "NL", "nl"),
    (0.94, "AT", "de"),
    (1.0, "PL", "pl"),
)


@dataclass(frozen=True, slots=True)
class ShopPage:
    """What the shop asks for on its pages: floors for left, centre and right, and what it blocks on all three."""

    floors_micros: tuple[int, int, int] = (300_000, 500_000, 200_000)
    blocked_categories: tuple[str, ...] = ()
    blocked_advertisers: tuple[str, ...] = ()
    currency: str = "EUR"


class OpenBanditLog:
    """The sections' logs in order of time. `folder` holds `<section>/<section>.csv`, the logs of the uniform policy."""

    def __init__(
        self,
        folder: Path,
        *,
        sections: Sequence[str] = SECTIONS,
        seed: int = 1,
        consent_share: float = 0.8,
        session_minutes: int = 60,
        shop: ShopPage | None = None,
    ) -> None:
        self._folder = folder
        self._sections = tuple(sections)
        self._seed = seed
        self._consent_share = consent_share
        self._session_ms = session_minutes * 60_000
        self._shop = shop or ShopPage()
        self.tally = ReadTally()

    def __iter__(self) -> Iterator[LoggedView]:
        """The page views of all sections, merged by time; memory does not grow with the logs.

        NotFound when a log is missing, InvalidInput when its header is another one.
        """
        self.tally = ReadTally()
        logs = [self._section(section) for section in self._sections]
        for view in merge(*logs, key=lambda view: view.page_view.viewed_at_ms):
            self.tally.views += 1
            yield view

    def _section(self, section: str) -> Iterator[LoggedView]:
        path = self._folder / section / f"{section}.csv"
        if not path.is_file():
            raise NotFound(f"there is no log {path}: fetch the Open Bandit Dataset first")
        with path.open(encoding="utf-8", errors="replace", newline="") as source:
            rows = csv.reader(source)
            try:
                columns = _Columns.of(next(rows, []), path.name)
                for cells in rows:
                    try:
                        yield self._view(section, columns, cells)
                    except BadLine as bad:
                        self.tally.refuse(f"{path.name} line {rows.line_num}", str(bad))
            except csv.Error as trouble:
                raise InvalidInput(
                    [FieldError(f"{path.name} line {rows.line_num}", str(trouble), "fetch the log again")]
                ) from trouble

    def _view(self, section: str, columns: _Columns, cells: list[str]) -> LoggedView:
        if len(cells) != columns.count:
            raise BadLine(f"cells: {len(cells)}, the header has {columns.count}")
        viewed_at_ms = _time_ms(cells[columns.timestamp])
        features = [cells[at][:8] for at in columns.features]
        affinities = _affinities(section, cells, columns.affinities)
        visitor_id = stable_hash("visitor", *features, *(f"{one.product_id}={one.weight:g}" for one in affinities))
        agrees = draw(self._seed, "consent", visitor_id) < self._consent_share
        page_view = PageView(
            request_id=f"ob-{section}-{stable_hash(cells[columns.timestamp], cells[0], visitor_id)}",
            visitor=Visitor(
                visitor_id=visitor_id,
                segments=[f"uf{k}={feature}" for k, feature in enumerate(features)],
                affinities=affinities,
            ),
            session_id=stable_hash("session", visitor_id, viewed_at_ms // self._session_ms),
            consent=Consent(granted=ALL_PURPOSES if agrees else ()),
            page=Page(
                url=f"https://shop.example/fashion/{section}",
                categories=["fashion", section],
                keywords=_KEYWORDS.get(section, ("fashion",)),
            ),
            device=self._device(visitor_id),
            placements=self._placements(section),
            currency=self._shop.currency,
            viewed_at_ms=viewed_at_ms,
        )
        return LoggedView(
            page_view,
            item=f"{section}-{_whole(cells[columns.item], 'item_id', len(columns.affinities) - 1)}",
            position=_whole(cells[columns.position], "position", 3, 1),
            clicked=_whole(cells[columns.click], "click", 1) == 1,
        )

    def _placements(self, section: str) -> list[Placement]:
        return [
            Placement(
                placement_id=f"{section}-{place}",
                formats=[FORMAT_BANNER, FORMAT_PRODUCT_LISTING],
                sizes=[Size(width=300, height=250)],
                floor_micros=floor_micros,
                blocked_categories=self._shop.blocked_categories,
                blocked_advertisers=self._shop.blocked_advertisers,
                position=index + 1,
            )
            for index, (place, floor_micros) in enumerate(zip(PLACES, self._shop.floors_micros, strict=True))
        ]

    def _device(self, visitor_id: str) -> Device:
        chance = draw(self._seed, "device", visitor_id)
        device_type = next(kind for upto, kind in _DEVICES if chance < upto)
        chance = draw(self._seed, "country", visitor_id)
        country, language = next((code, language) for upto, code, language in _COUNTRIES if chance < upto)
        return Device(type=device_type, country=country, language=language)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a line each cell stands."""

    count: int
    timestamp: int
    item: int
    position: int
    click: int
    features: tuple[int, ...]
    affinities: range

    @classmethod
    def of(cls, header: list[str], name: str) -> _Columns:
        missing = [column for column in (*_LEADING, *_FEATURES, f"{_AFFINITY}0") if column not in header]
        if missing:
            remedy = "give a log of the Open Bandit Dataset"
            raise InvalidInput([FieldError(f"{name}: column {column}", "missing", remedy) for column in missing])
        items = sum(column.startswith(_AFFINITY) for column in header)
        places = [header.index(f"{_AFFINITY}{k}") if f"{_AFFINITY}{k}" in header else -1 for k in range(items)]
        if any(after != before + 1 for before, after in pairwise(places)):
            raise InvalidInput([FieldError(f"{name}: columns {_AFFINITY}*", "not in order", "fetch the log again")])
        timestamp, item, position, click = (header.index(column) for column in _LEADING)
        features = tuple(header.index(column) for column in _FEATURES)
        return cls(len(header), timestamp, item, position, click, features, range(places[0], places[0] + items))


def _affinities(section: str, cells: list[str], columns: range) -> list[Affinity]:
    """Past clicks by product, the strongest first; at most 64 are kept."""
    liked: list[tuple[float, int]] = []
    for item, text in enumerate(cells[columns.start : columns.stop]):
        if text == "0.0":
            continue
        try:
            weight = float(text)
        except ValueError:
            weight = -1.0
        if not isfinite(weight) or weight < 0:
            raise BadLine(f"{_AFFINITY}{item}: {text[:20]!r}, expected 0 or more")
        if weight > 0:
            liked.append((weight, item))
    liked.sort(key=lambda pair: (-pair[0], pair[1]))
    return [Affinity(product_id=f"{section}-{item}", weight=weight) for weight, item in liked[:_MAX_AFFINITIES]]


def _time_ms(text: str) -> int:
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError):
        raise BadLine(f"timestamp: {text[:40]!r}, expected a time with its zone") from None


def _whole(text: str, column: str, high: int, low: int = 0) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high:
        return int(text)
    raise BadLine(f"{column}: {text[:20]!r}, expected {low} to {high}")
