"""How likely is a click on each finalist? The exchange's Ranker, by the model or by the prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ranking.evaluator import Masks
from ranking.features.context import place
from ranking.features.feature import Attributes, Pages
from ranking.model import ClickModel, ModelRefused, load, load_prior
from ranking.prior import FLAT, PriorRates

__all__ = ["FLAT", "AttributesOf", "ClickRanker", "CompiledProducts", "PriorRanker", "open_ranker"]

AttributesOf = Callable[[str], Attributes | None]


@dataclass(frozen=True, slots=True)
class CompiledProducts:
    """Products of one snapshot; line items that share a product share its row.

    `row_of` int32 leads from a product of the snapshot to its row; `masks` is None where the prior serves; `prior`
    float64 [rows, 4].
    """

    row_of: NDArray[np.int32]
    masks: Masks | None
    prior: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _EmptyPage:
    """One page view of which nothing is known."""

    viewed_at_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    segments: list[tuple[str, ...]] = field(default_factory=lambda: [()])
    device_type: NDArray[np.int32] = field(default_factory=lambda: np.zeros(1, np.int32))
    affinity_sums: NDArray[np.float32] = field(default_factory=lambda: np.zeros(1, np.float32))


class PriorRanker:
    """Scores by the smoothed rate of product and position; it needs no model file."""

    def __init__(self, rates: PriorRates, version: str = "prior") -> None:
        self.version = version
        self._rates = rates

    def compile_products(self, product_ids: Sequence[str]) -> CompiledProducts:
        """The rates of each product that occurs."""
        distinct, row_of = _distinct(product_ids)
        return CompiledProducts(row_of, None, self._rates.table(distinct))

    def prior(self, product_ids: Sequence[str]) -> NDArray[np.float64]:
        """Smoothed click rates, float64 [products, 4]: position unknown, 1, 2, 3 and beyond."""
        distinct, row_of = _distinct(product_ids)
        table: NDArray[np.float64] = self._rates.table(distinct)[row_of]
        return table

    def score(
        self,
        compiled: object,
        product_rows: NDArray[np.int32],
        page_rows: NDArray[np.int32],
        positions: NDArray[np.int32],
        affinities: NDArray[np.float32],
        pages: Pages,
    ) -> NDArray[np.float64]:
        """The rate of each finalist, float64 [rows]; the page and the visitor do not matter."""
        assert isinstance(compiled, CompiledProducts), "score takes what compile_products returned"
        rates: NDArray[np.float64] = compiled.prior[compiled.row_of[product_rows], place(positions)]
        return rates

    def warm(self) -> None:
        """Compile what compiles on first use (some seconds on a fresh machine), so that no auction waits for it."""


class ClickRanker(PriorRanker):
    """Scores by the click model where it serves, by its prior otherwise.

    `attributes_of` looks a product up in the catalogue; one that is not there has unknown features and no rate of its
    own. `serving` "auto" follows the model's evaluation.
    """

    def __init__(
        self, model: ClickModel, attributes_of: AttributesOf, serving: Literal["auto", "model", "prior"] = "auto"
    ) -> None:
        self.serving = model.serving if serving == "auto" else serving
        super().__init__(model.prior, f"{self.serving}-{model.version}")
        self._model = model
        self._attributes_of = attributes_of

    def compile_products(self, product_ids: Sequence[str]) -> CompiledProducts:
        """Masks and rates of each product that occurs: made with the snapshot, off the hot path."""
        compiled = super().compile_products(product_ids)
        if self.serving == "prior":
            return compiled
        distinct, _ = _distinct(product_ids)
        masks = self._model.product_masks(distinct, [self._attributes_of(product_id) for product_id in distinct])
        return CompiledProducts(compiled.row_of, masks, compiled.prior)

    def score(
        self,
        compiled: object,
        product_rows: NDArray[np.int32],
        page_rows: NDArray[np.int32],
        positions: NDArray[np.int32],
        affinities: NDArray[np.float32],
        pages: Pages,
    ) -> NDArray[np.float64]:
        """Calibrated click probabilities, float64 [rows]."""
        assert isinstance(compiled, CompiledProducts), "score takes what compile_products returned"
        if compiled.masks is None:
            return super().score(compiled, product_rows, page_rows, positions, affinities, pages)
        if not len(product_rows):
            return np.empty(0, np.float64)
        raw = self._model.raw_scores(
            compiled.masks, compiled.row_of[product_rows], page_rows, positions, affinities, pages
        )
        return self._model.calibration.apply(raw)

    def warm(self) -> None:
        """Score one unknown product on an empty page."""
        nothing = np.zeros(1, np.int32)
        self.score(self.compile_products([""]), nothing, nothing, nothing, np.zeros(1, np.float32), _EmptyPage())


def open_ranker(
    folder: Path, attributes_of: AttributesOf, serving: Literal["auto", "model", "prior"] = "auto"
) -> tuple[PriorRanker, str]:
    """The best ranker that `folder` allows, and a sentence about it for the log and the terminal. Never fails."""
    try:
        ranker = ClickRanker(load(folder), attributes_of, serving)
    except ModelRefused as refused:
        try:
            return PriorRanker(
                load_prior(folder), "prior-only"
            ), f"{refused}. The smoothed rates serve without the model."
        except ModelRefused:
            return PriorRanker(FLAT, "flat"), f"{refused}. One flat click rate serves for every ad."
    if ranker.serving == "model":
        return ranker, f"The click model {ranker.version} serves."
    return ranker, f"The smoothed rates serve ({ranker.version})."


def _distinct(product_ids: Sequence[str]) -> tuple[list[str], NDArray[np.int32]]:
    rows: dict[str, int] = {}
    row_of = np.array([rows.setdefault(product_id, len(rows)) for product_id in product_ids], np.int32)
    return list(rows), row_of
