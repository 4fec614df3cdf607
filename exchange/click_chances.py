"""How likely is a click on each finalist? What the click model asks for, gathered from the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from exchange.bid_rows import InsideRows
from exchange.eligibility import PageArrays
from exchange.inventory import Snapshot
from exchange.ports import PageColumns, Ranker
from exchange.request import PageView
from exchange.visitor import Visitor
from ranking.kernel_cache import kernel


def click_chances(
    ranker: Ranker,
    snapshot: Snapshot,
    inside: InsideRows,
    pages: PageArrays,
    views: Sequence[PageView],
    visitors: Sequence[Visitor],
) -> NDArray[np.float64]:
    """Calibrated click probabilities, one for each finalist."""
    product = snapshot.book.ad_product[inside.ad]
    affinity = np.zeros(len(product), np.float32)
    if len(pages.affinity_product):
        _affinities(pages.affinity_start, pages.affinity_product, pages.affinity_weight, inside.page, product, affinity)
    positions = np.array([placement.position for view in views for placement in view.placements], np.int32)
    # Ads without a product are scored by the row behind the last one.
    product_rows = np.where(product >= 0, product, len(snapshot.product_ids)).astype(np.int32)
    columns = PageColumns(
        np.array([view.viewed_at_ms for view in views], np.int64),
        [visitor.segments for visitor in visitors],
        np.array([view.device_type for view in views], np.int32),
        np.array([sum(visitor.affinities.values()) for visitor in visitors], np.float32),
    )
    return ranker.score(
        snapshot.products_compiled, product_rows, inside.page, positions[inside.placement], affinity, columns
    )


@kernel
def _affinities(start, products, weights, page, product, affinity):  # type: ignore[no-untyped-def]
    for row in range(page.shape[0]):
        for at in range(start[page[row]], start[page[row] + 1]):
            if products[at] == product[row]:
                affinity[row] = weights[at]
                break
