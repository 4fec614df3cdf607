"""What does the click model learn from? The logged impressions of all sections of the shop, as one set of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import FieldError, InvalidInput
from ranking import impressions
from ranking.features import columns
from ranking.features.feature import FeatureState


@dataclass(frozen=True, slots=True)
class LoggedPages:
    """Page views of a log, one per impression, in the shape in which features take them (`Pages`)."""

    viewed_at_ms: NDArray[np.int64]
    segments: list[tuple[str, ...]]
    device_type: NDArray[np.int32]
    affinity_sums: NDArray[np.float32]

    def __getitem__(self, rows: NDArray[np.intp]) -> LoggedPages:
        return LoggedPages(
            self.viewed_at_ms[rows],
            [self.segments[row] for row in rows],
            self.device_type[rows],
            self.affinity_sums[rows],
        )


@dataclass(frozen=True, slots=True)
class Examples:
    """n impressions. `product` int32 indexes `product_ids`; `section` int32 indexes `sections`.

    `affinity` float32 [n, products] is the visitor's past clicks on each product; `weight` float64 is the inverse
    propensity, scaled to a mean of 1 within each section: the policy chose among the products of its own section, so
    how many those are must not decide how much a section counts.
    """

    sections: tuple[str, ...]
    product_ids: tuple[str, ...]
    attributes: Mapping[str, Mapping[str, str]]
    section_of_product: NDArray[np.int32]
    section: NDArray[np.int32]
    product: NDArray[np.int32]
    position: NDArray[np.int32]
    click: NDArray[np.int8]
    propensity: NDArray[np.float64]
    weight: NDArray[np.float64]
    pages: LoggedPages
    affinity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.click)

    def products_of(self, section: int) -> NDArray[np.intp]:
        """The rows of `product_ids` that belong to a section."""
        return np.flatnonzero(self.section_of_product == section)


@dataclass(frozen=True, slots=True)
class Parts:
    """Rows of the three parts, in time order within each section: no row is older than one of the part before it.

    `bounds_ms` maps a section to the first and the last time of training, validation and test (six numbers).
    """

    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    bounds_ms: Mapping[str, tuple[int, ...]]


def read_examples(folder: Path, sections: Sequence[str]) -> Examples:
    """Read the logs of `sections` below `folder`; errors as `impressions.read`."""
    logs = [impressions.read(folder, section) for section in sections]
    product_ids: list[str] = []
    attributes: dict[str, dict[str, str]] = {}
    products_before = [0]
    for log in logs:
        items = impressions.read_items(folder, log.campaign)
        if len(items) != log.affinity.shape[1]:
            raise InvalidInput(
                [
                    FieldError(
                        f"{log.campaign}/item_context.csv",
                        f"{len(items)} items",
                        f"the log knows {log.affinity.shape[1]}: fetch both again",
                    )
                ]
            )
        for item in items:
            product_ids.append(impressions.product_id(log.campaign, item.item))
            attributes[product_ids[-1]] = item.attributes(log.campaign)
        products_before.append(len(product_ids))
    affinity = np.zeros((sum(len(log.click) for log in logs), len(product_ids)), np.float32)
    at = 0
    for place, log in enumerate(logs):
        affinity[at : at + len(log.click), products_before[place] : products_before[place + 1]] = log.affinity
        at += len(log.click)
    return Examples(
        sections=tuple(sections),
        product_ids=tuple(product_ids),
        attributes=attributes,
        section_of_product=np.repeat(np.arange(len(logs), dtype=np.int32), np.diff(products_before)),
        section=np.repeat(np.arange(len(logs), dtype=np.int32), [len(log.click) for log in logs]),
        product=np.concatenate([log.item + np.int32(products_before[place]) for place, log in enumerate(logs)]),
        position=np.concatenate([log.position for log in logs]),
        click=np.concatenate([log.click for log in logs]),
        propensity=np.concatenate([log.propensity for log in logs]),
        weight=np.concatenate([_normalised(1.0 / log.propensity) for log in logs]),
        pages=LoggedPages(
            viewed_at_ms=np.concatenate([log.at_ms for log in logs]),
            segments=[log.segments(row) for log in logs for row in range(len(log.click))],
            # The logs do not tell the device.
            device_type=np.zeros(len(affinity), np.int32),
            affinity_sums=affinity.sum(axis=1, dtype=np.float32),
        ),
        affinity=affinity,
    )


def split_by_time(examples: Examples, training_share: float, validation_share: float) -> Parts:
    """Cut each section at time quantiles; impressions of the same millisecond stay together."""
    parts: tuple[list[NDArray[np.intp]], ...] = ([], [], [])
    bounds: dict[str, tuple[int, ...]] = {}
    for number, section in enumerate(examples.sections):
        rows = np.flatnonzero(examples.section == number)
        at_ms = examples.pages.viewed_at_ms[rows]
        rows = rows[np.argsort(at_ms, kind="stable")]
        at_ms = examples.pages.viewed_at_ms[rows]
        shares = np.array([training_share, training_share + validation_share])
        cuts = np.searchsorted(at_ms, at_ms[(shares * len(rows)).astype(np.intp)], side="left")
        edges: list[int] = []
        for part, own in zip(parts, np.split(rows, cuts), strict=True):
            if not len(own):
                raise InvalidInput(
                    [
                        FieldError(
                            f"section {section}", f"{len(rows)} impressions", "too few to be split in three by time"
                        )
                    ]
                )
            part.append(own)
            own_ms = examples.pages.viewed_at_ms[own]
            edges += [int(own_ms[0]), int(own_ms[-1])]
        bounds[section] = tuple(edges)
    training, validation, test = (np.concatenate(part) for part in parts)
    return Parts(training, validation, test, bounds)


def vocabularies_of(examples: Examples, rows: NDArray[np.intp]) -> dict[str, tuple[str, ...]]:
    """The categories that occur in `rows`, sorted, by feature."""
    shown = {examples.product_ids[product] for product in np.unique(examples.product[rows])}
    segments = {segment for row in rows for segment in examples.pages.segments[row]}
    found: dict[str, set[str]] = {name: set() for name in columns.SPELLED}
    for product_id in shown:
        for name, text in examples.attributes[product_id].items():
            if name in found:
                found[name].add(text)
    for segment in segments:
        name, _, text = segment.partition("=")
        if name in found:
            found[name].add(text)
    return {name: tuple(sorted(texts)) for name, texts in found.items()}


def columns_of(examples: Examples, rows: NDArray[np.intp], state: FeatureState) -> NDArray[np.float64]:
    """The model's columns for `rows`, float64 [rows, features], by the code that serves."""
    products = columns.of_products(
        examples.product_ids, [examples.attributes.get(p) for p in examples.product_ids], state
    )
    own = examples.product[rows]
    matrix = np.empty((len(rows), len(columns.FEATURES)), np.float64)
    matrix[:, columns.places("product")] = products[own]
    matrix[:, columns.places("page")] = columns.of_pages(examples.pages[rows], state)
    matrix[:, columns.places("position")] = columns.of_positions(examples.position[rows])
    matrix[:, columns.places("pair")] = columns.of_pairs(examples.affinity[rows, own])
    return matrix


def _normalised(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = weights / weights.mean()
    return scaled
