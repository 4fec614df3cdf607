"""What is learned from: who there is, what there is, and what was done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed.recommender.histories import Histories
from feed.recommender.items import Items


@dataclass(frozen=True, slots=True)
class Log:
    """Events of all visitors; `histories` has a visitor for each of `visitors`.

    `asked` marks visitors that may be recommended to; others (orders without a customer) are learned from alone.
    `targets` are the kinds of feedback that are to be foreseen.
    """

    visitors: tuple[str, ...]
    asked: NDArray[np.bool_]
    items: Items
    histories: Histories
    targets: tuple[int, ...]
