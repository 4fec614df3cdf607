"""Which weights of an item-to-item table are worth keeping?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

_ROWS_AT_ONCE = 512


def pruned(weights: NDArray[np.float32] | csr_array, keep: int) -> csr_array:
    """The `keep` entries of each row that are largest by amount: csr float32, no stored zeros."""
    rows, columns, values = [], [], []
    for first in range(0, weights.shape[0], _ROWS_AT_ONCE):
        block: NDArray[Any] = weights[first : first + _ROWS_AT_ONCE]
        block = block.toarray() if not isinstance(block, np.ndarray) else block
        width = min(keep, block.shape[1])
        best = (
            np.argpartition(-np.abs(block), width - 1, axis=1)[:, :width] if width else np.zeros((len(block), 0), int)
        )
        rows.append(np.repeat(np.arange(first, first + len(block)), width))
        columns.append(best.ravel())
        values.append(np.take_along_axis(block, best, axis=1).ravel())
    if not rows:
        return csr_array(weights.shape, dtype=np.float32)
    table = csr_array(
        (np.concatenate(values).astype(np.float32), (np.concatenate(rows), np.concatenate(columns))),
        shape=weights.shape,
    )
    table.eliminate_zeros()
    table.sort_indices()
    return table
