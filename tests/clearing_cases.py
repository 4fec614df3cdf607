"""One page view with its bids as plain values, cleared: for samples and properties of clearing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.clearing import PENDING, Bids, clear
from exchange.clearing_terms import ClearingTerms, clearing_terms
from exchange.eligibility import CODE_INDEX
from exchange.page_rules import PageRules
from exchange.refusals import Refusal
from exchange.request import Deal
from tests.builders import a_page_view, a_placement

CONVERSION_RATE = 0.02
PLENTY = 10**15


class Cleared(msgspec.Struct):
    """What became of a page: its bids, its terms, the winning row by placement and the money that is left."""

    bids: Bids
    terms: ClearingTerms
    winners: NDArray[np.int32]
    available: NDArray[np.int64]


def as_bids(rows: Sequence[Mapping[str, Any]]) -> Bids:
    """Bids by row; what is not named is a CPM bid of an advertiser of its own, open, in the auction's currency."""
    count = len(rows)

    def column(name: str, usual: Any, type_: Any) -> NDArray[Any]:
        return np.array([row.get(name, usual) for row in rows], type_)

    account = column("account", -1, np.int32)
    return Bids(
        placement=column("placement", 0, np.int32),
        pricing=column("pricing", 1, np.uint8),
        bid_micros=column("bid_micros", 0, np.int64),
        click_probability=column("click_probability", 0.0, np.float64),
        viewable=column("viewable", 1.0, np.float64),
        advertiser=np.array([row.get("advertiser", 1000 + at) for at, row in enumerate(rows)], np.int64),
        product=column("product", -1, np.int64),
        category=column("category", -1, np.int64),
        deal=column("deal", -1, np.int32),
        rate=column("rate", 1.0, np.float64),
        account=account,
        campaign_account=np.where(account >= 0, account + 100, -1).astype(np.int32),
        own_floor_micros=column("own_floor_micros", -1, np.int64),
        outcome=np.array(
            [CODE_INDEX[Refusal[row["refused"].upper()]] if "refused" in row else PENDING for row in rows], np.int32
        ),
        ecpm_micros=np.zeros(count, np.int64),
        price_micros=np.zeros(count, np.int64),
        reserved_micros=np.zeros(count, np.int64),
    )


def cleared(
    rows: Sequence[Mapping[str, Any]],
    placements: Sequence[Mapping[str, Any]],
    rule: int,
    *,
    page_rules: PageRules | None = None,
    engagement: int = 0,
    money: Mapping[int, int] | None = None,
    squashing: float = 1.0,
) -> Cleared:
    """Clear one page view; rows must stand in the order of placements."""
    places = tuple(
        a_placement(
            str(at),
            floor_micros=placement.get("floor_micros", 0),
            private_auction=placement.get("private_auction", False),
            deals=tuple(Deal(**{"deal_id": "", **deal}) for deal in placement.get("deals", ())),
        )
        for at, placement in enumerate(placements)
    )
    view = a_page_view(placements=places, price_rule=rule, page_rules=page_rules)
    terms = clearing_terms([view], np.array([0, len(places)], np.int32))
    bids = as_bids(rows)
    available = np.full(200, PLENTY, np.int64)
    for account, micros in (money or {}).items():
        available[account] = micros
    winners = clear(
        bids, np.array([0, len(rows)], np.int32), terms, available,
        engagement_value_micros=engagement, conversion_rate=CONVERSION_RATE, squashing=squashing,
    )  # fmt: skip
    return Cleared(bids, terms, winners, available)
