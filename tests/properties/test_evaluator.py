"""Does the evaluator add up what LightGBM adds up, bit by bit, whatever the forest and the rows?"""

from __future__ import annotations

from functools import cache

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ranking.evaluator import compile_forest
from ranking.features.feature import SCOPES, Scope
from ranking.forest import MAX_LEAVES, parse_forest
from tests.examples import examples

# Two numeric features and a categorical one of every scope but the position, which has one of each.
CATEGORICAL = (2, 5, 7, 10)
OF_SCOPE: dict[Scope, list[int]] = {"product": [0, 1, 2], "page": [3, 4, 5], "position": [6, 7], "pair": [8, 9, 10]}
WIDTH = 11
SCOPE_OF: list[Scope] = [next(scope for scope in SCOPES if at in OF_SCOPE[scope]) for at in range(WIDTH)]
ODD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-36, -1e-36, 1e-35, 1.1e-35, 1e300, -1e300, 5e-324])
ODD_CODES = np.array([np.nan, -1.0, -0.5, 0.5, 0.999, 1e-36, 39.0, 40.0, 999.0, 65_536.0, 2e9])

SIZES: dict[Scope, int] = {"product": 30, "page": 9, "position": 4}

FORESTS: tuple[dict[str, object], ...] = (
    {},
    {"zero_as_missing": True},
    {"use_missing": False},
    {"num_leaves": 2},
    {"num_leaves": MAX_LEAVES, "min_data_in_leaf": 2},
    {"max_cat_to_onehot": 64},
    {"max_cat_to_onehot": 1, "max_cat_threshold": 64, "feature_fraction": 0.4},
    {"min_data_in_leaf": 100_000},
)


def rows_of(chance: np.random.Generator, count: int, odd: float) -> NDArray[np.float64]:
    rows = chance.normal(size=(count, WIDTH))
    rows[:, 4] = chance.integers(0, 24, count)
    rows[:, 8] *= chance.random(count) < 0.3
    for at in CATEGORICAL:
        rows[:, at] = chance.integers(0, 40, count)
    for at in range(WIDTH):
        pool = ODD_CODES if at in CATEGORICAL else ODD
        rows[:, at] = np.where(chance.random(count) < odd, pool[chance.integers(0, len(pool), count)], rows[:, at])
    return rows


@cache
def forest_of(kind: int) -> lightgbm.Booster:
    """Trained on rows with gaps, so that splits learn where missing values go."""
    chance = np.random.default_rng(kind)
    rows = rows_of(chance, 3_000, 0.0)
    rows[chance.random(rows.shape) < 0.1] = np.nan
    known = np.nan_to_num(rows)
    wanted = np.sin(known[:, 2]) + known[:, 0] * known[:, 3] + np.cos(known[:, 5]) + known[:, 8] + np.isnan(rows[:, 1])
    clicks = chance.random(len(rows)) < 1 / (1 + np.exp(1.0 - wanted))
    parameters = {
        "objective": "binary",
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "num_leaves": 15,
        "min_data_per_group": 5,
        "cat_smooth": 1.0,
        **FORESTS[kind],
    }
    data = lightgbm.Dataset(rows, clicks.astype(np.int8), categorical_feature=list(CATEGORICAL), params=parameters)
    text = lightgbm.train(parameters, data, 25).model_to_string()
    return lightgbm.Booster(model_str=text)


def raw_of(booster: lightgbm.Booster, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(booster.predict(rows, raw_score=True, num_threads=1), np.float64)


def test_the_forests_hold_every_kind_of_split() -> None:
    trees = [tree for kind in range(len(FORESTS)) for tree in parse_forest(forest_of(kind).model_to_string()).trees]
    splits = [split for tree in trees for split in tree.splits]

    assert {(split.missing, split.default_left) for split in splits if split.categories is None} >= {
        ("none", True),
        ("zero", False),
        ("zero", True),
        ("nan", False),
        ("nan", True),
    }
    sizes = {len(split.categories) for split in splits if split.categories is not None}
    assert min(sizes) == 1
    assert max(sizes) > 15
    assert {split.feature for split in splits} == set(range(WIDTH))
    assert {len(tree.leaf_values) for tree in trees} >= {1, 2, MAX_LEAVES}


@settings(max_examples=examples(60), deadline=None)
@given(kind=st.integers(0, len(FORESTS) - 1), seed=st.integers(0, 2**32 - 1), odd=st.sampled_from([0.0, 0.1, 0.6]))
def test_sums_are_those_of_lightgbm_bit_by_bit(kind: int, seed: int, odd: float) -> None:
    chance = np.random.default_rng(seed)
    booster = forest_of(kind)
    evaluator = compile_forest(parse_forest(booster.model_to_string()), SCOPE_OF)
    # Factored as it is served: few products, pages and positions, many rows that combine them.
    products, pages, positions = (
        rows_of(chance, size, odd)[:, np.array(OF_SCOPE[scope])] for scope, size in SIZES.items()
    )
    count = int(chance.integers(0, 200))
    of_product, of_page, of_position = (chance.integers(0, size, count).astype(np.int32) for size in SIZES.values())
    pairs = rows_of(chance, count, odd)[:, np.array(OF_SCOPE["pair"])]
    rows = np.hstack([products[of_product], pages[of_page], positions[of_position], pairs])

    raw = evaluator.raw_scores(
        evaluator.masks("product", products),
        evaluator.masks("page", pages),
        evaluator.masks("position", positions),
        of_product,
        of_page,
        of_position,
        pairs,
    )

    expected = raw_of(booster, rows) if count else np.empty(0)
    assert raw.tobytes() == expected.tobytes()


def test_every_threshold_and_its_neighbours_go_the_same_way() -> None:
    booster = forest_of(0)
    forest = parse_forest(booster.model_to_string())
    evaluator = compile_forest(forest, SCOPE_OF)
    edges = {(s.feature, s.threshold) for tree in forest.trees for s in tree.splits if s.categories is None}
    rows = np.zeros((3 * len(edges), WIDTH))
    for number, (feature, threshold) in enumerate(sorted(edges)):
        near = (np.nextafter(threshold, -np.inf), threshold, np.nextafter(threshold, np.inf))
        rows[3 * number : 3 * number + 3, feature] = near
    at = np.arange(len(rows), dtype=np.int32)
    zeros = np.zeros(len(rows), np.int32)

    for start in range(0, len(rows), 100):
        block = rows[start : start + 100]
        own = at[: len(block)]
        raw = evaluator.raw_scores(
            evaluator.masks("product", block[:, OF_SCOPE["product"]]),
            evaluator.masks("page", block[:, OF_SCOPE["page"]]),
            evaluator.masks("position", block[:1, OF_SCOPE["position"]]),
            own,
            own,
            zeros[: len(block)],
            block[:, OF_SCOPE["pair"]],
        )
        # One position serves all rows of the block, so rows that vary it are left to the other test.
        alike = (block[:, OF_SCOPE["position"]] == block[:1, OF_SCOPE["position"]]).all(axis=1)
        assert alike.any()
        assert raw[alike].tobytes() == raw_of(booster, block)[alike].tobytes()


def test_rows_outside_of_the_masks_are_noticed() -> None:
    evaluator = compile_forest(parse_forest(forest_of(0).model_to_string()), SCOPE_OF)
    masks = [evaluator.masks(scope, np.zeros((2, len(OF_SCOPE[scope])))) for scope in SIZES]
    inside, outside = np.zeros(1, np.int32), np.full(1, 2, np.int32)
    pairs = np.zeros((1, 3))

    for at in range(3):
        for wrong in (outside, -1 - inside):
            rows = [wrong if place == at else inside for place in range(3)]
            with pytest.raises(AssertionError, match="outside"):
                evaluator.raw_scores(masks[0], masks[1], masks[2], rows[0], rows[1], rows[2], pairs)
