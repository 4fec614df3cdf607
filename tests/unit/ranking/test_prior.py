"""Are rates pulled together as far as the counts ask for it?"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ranking.prior import FLAT, PriorRates, fit_prior

IDS = ("p-0", "p-1", "p-2")


def fitted(counts: dict[tuple[int, int], tuple[int, int]], weight: float = 1.0) -> PriorRates:
    """`counts` maps (product, position) to (clicks, impressions)."""
    rows = [
        (product, position, int(at < clicks))
        for (product, position), (clicks, shown) in counts.items()
        for at in range(shown)
    ]
    product, position, click = (np.array(column) for column in zip(*rows, strict=True))
    weights: NDArray[np.float64] = np.full(len(rows), weight)
    return fit_prior(IDS, product.astype(np.int32), position.astype(np.int32), click.astype(np.int8), weights)


def even(clicks: int, shown: int) -> dict[tuple[int, int], tuple[int, int]]:
    return {(product, position): (clicks, shown) for product in range(3) for position in (1, 2, 3)}


def test_equal_counts_are_pooled_into_one_rate() -> None:
    table = fitted(even(5, 500)).table(IDS)

    assert table.shape == (3, 4)
    assert table == pytest.approx(np.full((3, 4), 0.01), rel=1e-3)


def test_products_that_clearly_differ_keep_their_rates() -> None:
    counts = even(5, 1000)
    counts.update({(2, position): (100, 1000) for position in (1, 2, 3)})

    table = fitted(counts).table(IDS)

    assert table[2, 1:] == pytest.approx(0.1, rel=0.1)
    assert table[0, 1:] == pytest.approx(0.005, rel=0.5)


def test_few_impressions_move_a_product_less_than_many() -> None:
    counts = {(0, 1): (20, 2000), (1, 1): (3, 30), (2, 1): (200, 2000)}

    table = fitted(counts).table(IDS)

    assert table[0, 1] < table[1, 1] < 0.1
    assert table[2, 1] == pytest.approx(0.1, rel=0.1)


def test_positions_that_clearly_differ_keep_their_rates_for_unknown_products_too() -> None:
    counts = {(product, position): (60 // position, 1000) for product in range(3) for position in (1, 2, 3)}

    rates = fitted(counts)

    unknown = rates.table(["never-seen"])[0]
    assert unknown[1] > unknown[2] > unknown[3]
    assert unknown.tolist() == list(rates.by_position)
    assert unknown[0] == pytest.approx(110 / 3000, rel=1e-6)


def test_weights_count_impressions_and_clicks_alike() -> None:
    counts = even(5, 500)
    counts[(0, 1)] = (40, 500)

    single, double = fitted(counts).table(IDS), fitted(counts, weight=2.0).table(IDS)

    assert single.mean() == pytest.approx(double.mean(), rel=0.05)
    assert double[0, 1] > single[0, 1]


def test_without_any_click_rates_stay_above_zero() -> None:
    table = fitted(even(0, 100)).table([*IDS, "never-seen"])

    assert (table > 0.0).all()
    assert (table < 0.01).all()


def test_a_flat_prior_knows_no_product() -> None:
    assert FLAT.table(["a", "b"]).tolist() == [[0.004] * 4] * 2
    assert FLAT.table([]).shape == (0, 4)
