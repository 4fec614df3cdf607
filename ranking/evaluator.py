"""What does the forest say of these rows? The same sums as LightGBM's own predict, bit by bit, and far sooner.

After QuickScorer (Lucchese et al. 2015): every split that sends a row to the right rules out the leaves below its left
child; what remains of a tree's leaves after all its splits begins with the leaf that the row falls into. Here the
masks of all trees are tabulated for each feature and each interval between its thresholds, so that a column costs one
look-up and one AND per tree, and they are factored: a product's columns are combined once when it is compiled, a page's
once per page, a position's once per forest. A row is the AND of three rows of masks, and a sum over the trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking import kernels
from ranking.features.feature import SCOPES, Scope
from ranking.forest import Forest, ModelRefused, Split

# LightGBM's kZeroThreshold, a float literal: what lies within is a zero to it.
ZERO = float(np.float32(1e-35))
_ALL_LEAVES = 0xFFFF_FFFF_FFFF_FFFF
_MAX_TABLE_BYTES = 256 << 20

Masks = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class MaskTable:
    """Masks of all columns of one scope: `masks` uint64 [bins, trees], the bins of column c from `first_bin[c]` on.

    Numeric column: bin 0 is NaN, 1 is zero, 2 + i is (threshold i-1, threshold i]. Categorical: bin 0 is anything
    unknown, 1 + code a code. `thresholds` holds the thresholds of all columns, those of c from `first_threshold[c]`.
    """

    masks: Masks
    first_bin: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    first_threshold: NDArray[np.int64]
    categories: NDArray[np.int64]

    def combine(self, columns: NDArray[np.float64]) -> Masks:
        """AND over the columns of each row: float64 [rows, columns] to uint64 [rows, trees]."""
        out = np.empty((len(columns), self.masks.shape[1]), np.uint64)
        kernels.combine(
            np.ascontiguousarray(columns),
            self.masks,
            self.first_bin,
            self.thresholds,
            self.first_threshold,
            self.categories,
            ZERO,
            out,
        )
        return out


@dataclass(frozen=True, slots=True)
class Evaluator:
    """A compiled forest. `tables` has one MaskTable per scope; leaf l of tree t: `leaf_values[first_leaf[t] + l]`."""

    tables: dict[Scope, MaskTable]
    leaf_values: NDArray[np.float64]
    first_leaf: NDArray[np.int64]

    @property
    def trees(self) -> int:
        """How many trees are added up."""
        return len(self.first_leaf)

    def masks(self, scope: Scope, columns: NDArray[np.float64]) -> Masks:
        """Masks of rows of one scope's columns, uint64 [rows, trees]; what `raw_scores` combines."""
        return self.tables[scope].combine(columns)

    def raw_scores(
        self,
        products: Masks,
        pages: Masks,
        positions: Masks,
        product_rows: NDArray[np.int32],
        page_rows: NDArray[np.int32],
        position_rows: NDArray[np.int32],
        pairs: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Sums of leaf values (log-odds before calibration), float64 [rows]; `pairs` float64 [rows, pair columns].

        The three `*_rows` index the three masks; one outside of them is an assertion, not a wild read.
        """
        rows = len(product_rows)
        assert len(page_rows) == len(position_rows) == len(pairs) == rows, "one entry per row in every column"
        out = np.empty(rows, np.float64)
        if not rows:
            return out
        for name, index, masks in (
            ("product", product_rows, products),
            ("page", page_rows, pages),
            ("position", position_rows, positions),
        ):
            # As an unsigned number what is below zero is very large.
            inside = np.maximum.reduce(index.astype(np.uint32)) < len(masks)
            assert inside, f"a {name} row lies outside of its {len(masks)} masks"
            assert masks.shape[1] == self.trees, f"the {name} masks were made by another forest"
        table = self.tables["pair"]
        kernels.score(
            products,
            pages,
            positions,
            np.ascontiguousarray(product_rows, np.int32),
            np.ascontiguousarray(page_rows, np.int32),
            np.ascontiguousarray(position_rows, np.int32),
            np.ascontiguousarray(pairs, np.float64),
            table.masks,
            table.first_bin,
            table.thresholds,
            table.first_threshold,
            table.categories,
            ZERO,
            self.leaf_values,
            self.first_leaf,
            out,
        )
        return out


def compile_forest(forest: Forest, scopes: Sequence[Scope]) -> Evaluator:
    """Tabulate the masks; `scopes` tells the scope of each feature of the forest, in its order."""
    assert len(scopes) == len(forest.feature_names), "one scope per feature"
    splits: list[list[tuple[int, Split]]] = [[] for _ in scopes]
    for number, tree in enumerate(forest.trees):
        for split in tree.splits:
            splits[split.feature].append((number, split))
    tables = {
        scope: _tabulate([splits[at] for at, own in enumerate(scopes) if own == scope], len(forest.trees))
        for scope in SCOPES
    }
    return Evaluator(
        tables=tables,
        leaf_values=np.array([value for tree in forest.trees for value in tree.leaf_values], np.float64),
        first_leaf=np.cumsum([0, *(len(tree.leaf_values) for tree in forest.trees)][:-1]).astype(np.int64),
    )


def _tabulate(features: Sequence[Sequence[tuple[int, Split]]], trees: int) -> MaskTable:
    blocks: list[Masks] = []
    thresholds: list[NDArray[np.float64]] = []
    categories: list[int] = []
    size = 0
    for splits in features:
        kinds = {split.categories is None for _, split in splits}
        if len(kinds) == 2:
            raise ModelRefused("model.txt splits one feature both by number and by category; train again")
        if kinds == {False}:
            codes = 1 + max((max(split.categories or (0,)) for _, split in splits), default=0)
            block = _categorical_masks(splits, codes, trees)
            own = np.empty(0, np.float64)
            categories.append(codes)
        else:
            own = np.unique(np.array([split.threshold for _, split in splits], np.float64))
            block = _numeric_masks(splits, own, trees)
            categories.append(0)
        size += block.nbytes
        if size > _MAX_TABLE_BYTES:
            raise ModelRefused(f"the model needs more than {_MAX_TABLE_BYTES >> 20} MiB of masks; train fewer trees")
        blocks.append(block)
        thresholds.append(own)
    return MaskTable(
        masks=np.concatenate(blocks) if blocks else np.empty((0, trees), np.uint64),
        first_bin=np.cumsum([0, *map(len, blocks)]).astype(np.int64),
        thresholds=np.concatenate(thresholds) if thresholds else np.empty(0, np.float64),
        first_threshold=np.cumsum([0, *map(len, thresholds)]).astype(np.int64),
        categories=np.array(categories, np.int64),
    )


def _numeric_masks(splits: Sequence[tuple[int, Split]], thresholds: NDArray[np.float64], trees: int) -> Masks:
    masks = np.full((len(thresholds) + 3, trees), _ALL_LEAVES, np.uint64)
    for tree, split in splits:
        keep = np.uint64(_ALL_LEAVES ^ split.left_leaves)
        # Bins above the threshold go right.
        masks[2 + int(np.searchsorted(thresholds, split.threshold)) + 1 :, tree] &= keep
        zero_left = split.default_left if split.missing == "zero" else split.threshold >= 0.0
        nan_left = split.default_left if split.missing == "nan" else zero_left
        if not nan_left:
            masks[0, tree] &= keep
        if not zero_left:
            masks[1, tree] &= keep
    return masks


def _categorical_masks(splits: Sequence[tuple[int, Split]], codes: int, trees: int) -> Masks:
    masks = np.full((codes + 1, trees), _ALL_LEAVES, np.uint64)
    for tree, split in splits:
        right = np.ones(codes + 1, np.bool_)
        right[[1 + code for code in split.categories or ()]] = False
        masks[right, tree] &= np.uint64(_ALL_LEAVES ^ split.left_leaves)
    return masks
