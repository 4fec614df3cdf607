"""How is a history spread over a table of neighbours, and a row read out again? Two loops, compiled by numba.

The same as a product of sparse matrices, without its objects: of those a single page would make some thirty.
"""

# numba's decorators carry no types; the functions that call these kernels do.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ranking.kernel_cache import kernel


@kernel
def spread(
    starts: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    row_starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    sums: NDArray[np.float64],
    marks: NDArray[np.int64],
    out_starts: NDArray[np.int64],
    out_items: NDArray[np.int32],
    out_values: NDArray[np.float64],
) -> None:
    """Row v of the outcome is the sum of weights[e] * table[items[e]] over the events e of visitor v.

    `marks` holds -1 everywhere at first, and the last visitor who touched a column; `sums` needs no clearing.
    """
    filled = 0
    for visitor in range(len(starts) - 1):
        begin = filled
        for event in range(starts[visitor], starts[visitor + 1]):
            weight = weights[event]
            if weight == 0.0:
                continue
            for at in range(row_starts[items[event]], row_starts[items[event] + 1]):
                column = columns[at]
                value = values[at]
                if value == 0.0:
                    continue
                if marks[column] != visitor:
                    marks[column] = visitor
                    sums[column] = 0.0
                    out_items[filled] = column
                    filled += 1
                sums[column] += weight * value
        for at in range(begin, filled):
            out_values[at] = sums[out_items[at]]
        out_starts[visitor + 1] = filled


@kernel
def read_out(
    starts: NDArray[np.int64],
    items: NDArray[np.int32],
    values: NDArray[np.float64],
    visitors: NDArray[np.int64],
    wanted: NDArray[np.int32],
    sums: NDArray[np.float64],
    marks: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """`out[pair]`: the entry of row visitors[pair] at column wanted[pair], 0 where there is none; visitors ascend."""
    written = -1
    for pair in range(len(visitors)):
        visitor = visitors[pair]
        if visitor != written:
            for at in range(starts[visitor], starts[visitor + 1]):
                marks[items[at]] = visitor
                sums[items[at]] = values[at]
            written = visitor
        column = wanted[pair]
        out[pair] = sums[column] if marks[column] == visitor else 0.0
