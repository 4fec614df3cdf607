"""Which standing bids could run just now? Those that cannot pay or are out of their dates stay out of the runs.

A walk would meet them again and again, at every placement, only to refuse them: a bid that cannot be made is no bid.
They come back as soon as there is money or their time comes, with the same numbers as before. Where a run would be left
empty its best one stays, so that a placement which is not sold can still say why.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.inventory import Snapshot
from exchange.order_book import OrderBook

# A line item is let in this much before it starts: the walk itself looks at the exact time.
AHEAD_MS = 5_000


def able_bids(book: OrderBook, available_micros: NDArray[np.int64], now_ms: int) -> NDArray[np.bool_]:
    """(standing bids,): does it have money in both accounts for one impression, and is it within its dates?"""
    item = book.ad_item
    pays = available_micros[book.item_account] if len(book.item_account) else np.zeros(0, np.int64)
    campaign_pays = available_micros[book.item_campaign_account] if len(pays) else pays
    dates = (book.item_starts_at_ms <= now_ms + AHEAD_MS) & (now_ms < book.item_ends_at_ms)
    return np.asarray(dates[item] & (np.minimum(pays, campaign_pays)[item] >= book.ad_cost), np.bool_)


def with_runs_of(snapshot: Snapshot, able: NDArray[np.bool_]) -> Snapshot:
    """The snapshot with these standing bids in its runs, and one that is not able in each run that would be empty;
    everything else is shared with it.
    """
    runs, book = snapshot.runs, snapshot.book
    kept = able[runs.postings]
    if len(kept):
        starts = runs.run_start[:-1]
        kept[starts[np.add.reduceat(kept.astype(np.int64), starts) == 0]] = True
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    postings = runs.postings[kept]
    return msgspec.structs.replace(
        snapshot,
        book=book._replace(
            run_start=before[runs.run_start].astype(np.int32), postings=postings, posting_worth=book.ad_worth[postings]
        ),
    )
