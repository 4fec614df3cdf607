"""How are masks combined and leaves added up? The loops of the evaluator, compiled by numba on their first use.

Additions stay in the order of the trees (no fast-math), so sums are those of LightGBM. Four rows go side by side: each
is a chain of additions that waits for itself, and four chains fill the wait.
"""

# numba's decorators and intrinsics carry no types; the functions that call these kernels do.
# mypy: disable-error-code="untyped-decorator,no-any-return"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from ranking.kernel_cache import inlined, kernel

_TOGETHER = 4


@intrinsic
def _first_bit(typingctx: Any, word: Any) -> Any:
    """The place of the lowest set bit of a uint64 that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


@inlined
def _bin_of(
    value: float,
    column: int,
    first_bin: NDArray[np.int64],
    thresholds: NDArray[np.float64],
    first_threshold: NDArray[np.int64],
    categories: NDArray[np.int64],
    zero: float,
) -> int:
    """The row of the mask table in which a value lies."""
    start = first_bin[column]
    codes = categories[column]
    if codes > 0:
        # As LightGBM: cut to a whole number towards zero; missing, negative and unknown ones are in no set.
        if value != value or value <= -1.0 or value >= codes:
            return start
        return start + 1 + int(value)
    if value != value:
        return start
    if -zero <= value <= zero:
        return start + 1
    low = first_threshold[column]
    high = first_threshold[column + 1]
    first = low
    while low < high:
        middle = (low + high) >> 1
        if value <= thresholds[middle]:
            high = middle
        else:
            low = middle + 1
    return start + 2 + (low - first)


@kernel
def combine(
    columns: NDArray[np.float64],
    masks: NDArray[np.uint64],
    first_bin: NDArray[np.int64],
    thresholds: NDArray[np.float64],
    first_threshold: NDArray[np.int64],
    categories: NDArray[np.int64],
    zero: float,
    out: NDArray[np.uint64],
) -> None:
    """`out[row, tree]` becomes the AND over the columns of `masks[bin of the value, tree]`."""
    rows, width = columns.shape
    trees = masks.shape[1]
    for row in range(rows):
        for tree in range(trees):
            out[row, tree] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for column in range(width):
            at = _bin_of(columns[row, column], column, first_bin, thresholds, first_threshold, categories, zero)
            for tree in range(trees):
                out[row, tree] &= masks[at, tree]


@kernel
def score(
    products: NDArray[np.uint64],
    pages: NDArray[np.uint64],
    positions: NDArray[np.uint64],
    product_rows: NDArray[np.int32],
    page_rows: NDArray[np.int32],
    position_rows: NDArray[np.int32],
    pairs: NDArray[np.float64],
    masks: NDArray[np.uint64],
    first_bin: NDArray[np.int64],
    thresholds: NDArray[np.float64],
    first_threshold: NDArray[np.int64],
    categories: NDArray[np.int64],
    zero: float,
    leaf_values: NDArray[np.float64],
    first_leaf: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """`out[row]`: the sum of the leaves that remain of products[…] & pages[…] & positions[…] & the masks of its pair
    columns. A page's masks and all positions' stay near for its rows; put together beforehand they would not.
    """
    rows = len(product_rows)
    trees = len(first_leaf)
    width = pairs.shape[1]
    left = np.empty((_TOGETHER, trees), np.uint64)
    for start in range(0, rows, _TOGETHER):
        for lane in range(_TOGETHER):
            # The last rows fill their lanes with the last one, so that every lane has something to add.
            row = min(start + lane, rows - 1)
            product = product_rows[row]
            page = page_rows[row]
            position = position_rows[row]
            for tree in range(trees):
                left[lane, tree] = products[product, tree] & pages[page, tree] & positions[position, tree]
            for column in range(width):
                at = _bin_of(pairs[row, column], column, first_bin, thresholds, first_threshold, categories, zero)
                for tree in range(trees):
                    left[lane, tree] &= masks[at, tree]
        sum_0 = sum_1 = sum_2 = sum_3 = 0.0
        for tree in range(trees):
            leaf = first_leaf[tree]
            sum_0 += leaf_values[leaf + np.int64(_first_bit(left[0, tree]))]
            sum_1 += leaf_values[leaf + np.int64(_first_bit(left[1, tree]))]
            sum_2 += leaf_values[leaf + np.int64(_first_bit(left[2, tree]))]
            sum_3 += leaf_values[leaf + np.int64(_first_bit(left[3, tree]))]
        out[start] = sum_0
        if start + 1 < rows:
            out[start + 1] = sum_1
        if start + 2 < rows:
            out[start + 2] = sum_2
        if start + 3 < rows:
            out[start + 3] = sum_3
