"""Does a recorded batch come to the same again? It is cleared anew from what was recorded, and compared byte for byte.

Money is not part of the record but where it must be. Best first, a bid's money is asked for once at the most, and the
outcome tells the answer: so a bid that fell to its budget gets an account with nothing in it, every other bid one with
plenty. Under VCG a bid may be asked for its money again with another slate; a batch in which a bid of such a page view
fell to its budget carries its accounts and what they had.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.clearing import PENDING, Bids, clear
from exchange.clearing_terms import ClearingTerms
from exchange.eligibility import CODE_INDEX, CODES
from exchange.packed_bids import NONE, cleared_bids, signed, trouble, unpacked
from exchange.page_rules import USUAL
from exchange.refusals import Refusal
from streams.auction_block import AuctionColumns

SAME: Final = "the same, byte for byte"
BEFORE_REPLAYS: Final = "recorded before replays were possible"
_CODE_OF_INDEX = np.array(CODES, np.uint32)
_PLENTY = 1 << 62


class Outcomes(msgspec.Struct, frozen=True):
    """What a batch comes to; names, types and order as in AuctionColumns."""

    winner_row_plus_one: NDArray[np.uint32]
    bid_outcome: NDArray[np.uint32]
    bid_ecpm_micros: NDArray[np.int64]
    bid_price_micros: NDArray[np.int64]
    bid_reserved_micros: NDArray[np.int64]


class Difference(msgspec.Struct, frozen=True):
    """One value that is not as recorded; `row` counts in `column`, `placement` among all placements of the batch."""

    column: str
    row: int
    placement: int
    recorded: int
    replayed: int


def why_not(columns: AuctionColumns) -> str:
    """Why this record cannot be replayed; empty when it can.

    Whoever may be replayed has no index that points past its column: kernels do not look.
    """
    if columns.conversion_rate == 0.0:
        return BEFORE_REPLAYS
    cleared, places, pages = cleared_bids(columns), len(columns.no_ad_reason), len(columns.price_rule)
    if found := trouble(columns):
        return f"the record is damaged: {found}"
    place = columns.bid_placement[:cleared].astype(np.int64)
    if (cleared and len(columns.floor_micros) != places) or len(columns.bid_placement) < cleared:
        return "the record is not complete: floors or bids are missing"
    if cleared and (np.any(np.diff(place) < 0) or place[-1] >= places):
        return "the record is damaged: its bids do not stand in the order of placements"
    of_deal = [deal.placement for deal in columns.deals]
    if of_deal != sorted(of_deal) or (of_deal and of_deal[-1] >= places):
        return "the record is damaged: its deals do not stand in the order of placements"
    offered = np.bincount(np.array(of_deal, np.int64), minlength=places)
    if columns.bid_deal_plus_one.size and np.any(columns.bid_deal_plus_one[:cleared] > offered[place]):
        return "the record is damaged: a bid stands under a deal that is not there"
    if columns.bid_currency.size and np.any(columns.bid_currency[:cleared] >= len(columns.currencies)):
        return "the record is damaged: a bid is in a currency that is not there"
    money = (columns.bid_account, columns.bid_campaign_account)
    if any(len(column) not in (0, cleared) for column in money) or len(money[0]) != len(money[1]):
        return "the record is damaged: a bid has one account without the other"
    if any(np.any((column != NONE) & (column >= len(columns.available_micros))) for column in money):
        return "the record is damaged: a bid has an account that is not there"
    if np.any((money[0] == NONE) != (money[1] == NONE)):
        return "the record is damaged: a bid has one account without the other"
    if np.any(columns.refused_before >= cleared) or np.any(columns.test_page_view >= pages):
        return "the record is damaged: it points to bids or page views that are not there"
    if not set(np.unique(columns.bid_outcome[columns.refused_before]).tolist()) <= set(CODES):
        return "the record has outcomes that this version does not know"
    return ""


def replayed(columns: AuctionColumns) -> Outcomes:
    """Clear the batch again. Pure: `columns` stays as it is. Only for records for which `why_not` is empty.

    What was refused before clearing is taken as recorded, and so is what its budget could not pay; all else, who won,
    who lost for which reason, what each bid is worth, prices and reservations, is worked out anew.
    """
    cleared, total = cleared_bids(columns), len(columns.bid_placement)
    terms = _terms(columns)
    bids, available = _bids(columns, terms)
    page_of_placement = np.repeat(np.arange(len(columns.price_rule)), columns.placement_count)
    page = page_of_placement[bids.placement]
    winners = clear(
        bids,
        np.searchsorted(page, np.arange(len(columns.price_rule) + 1)).astype(np.int32),
        terms,
        available,
        engagement_value_micros=columns.engagement_value_micros,
        conversion_rate=columns.conversion_rate,
        squashing=columns.squashing or 1.0,
    )
    # Tests are decided as all others and give back what they reserved.
    bids.reserved_micros[np.isin(page, columns.test_page_view)] = 0
    outcomes = Outcomes(
        (winners + 1).astype(np.uint32),
        columns.bid_outcome.copy(),
        columns.bid_ecpm_micros.copy(),
        np.zeros(total, np.int64),
        np.zeros(total, np.int64),
    )
    outcomes.bid_outcome[:cleared] = _CODE_OF_INDEX[bids.outcome]
    outcomes.bid_ecpm_micros[:cleared] = bids.ecpm_micros
    outcomes.bid_price_micros[:cleared] = bids.price_micros
    outcomes.bid_reserved_micros[:cleared] = bids.reserved_micros
    return outcomes


def differences(columns: AuctionColumns) -> list[Difference]:
    """Every value that a replay finds otherwise, in the order of columns; none when all bytes are the same."""
    outcomes, found = replayed(columns), []
    for name in outcomes.__struct_fields__:
        recorded, again = getattr(columns, name), getattr(outcomes, name)
        if recorded.tobytes() == again.tobytes():
            continue
        for row in np.nonzero(recorded != again)[0].tolist():
            placement = row if name == "winner_row_plus_one" else int(columns.bid_placement[row])
            found.append(Difference(name, row, placement, int(recorded[row]), int(again[row])))
    return found


def _terms(columns: AuctionColumns) -> ClearingTerms:
    pages, places = len(columns.price_rule), len(columns.no_ad_reason)
    most, ads, separate = USUAL.limits(0)
    deals = columns.deals
    of_deal = np.array([deal.placement for deal in deals], np.int64)
    return ClearingTerms(
        placement_start=np.concatenate([[0], np.cumsum(columns.placement_count)]).astype(np.int32),
        price_rule=columns.price_rule.astype(np.int32),
        most_per_advertiser=_or_usual(columns.most_per_advertiser, pages, most).astype(np.int32),
        most_ads=_or_usual(columns.most_ads, pages, ads).astype(np.int32),
        separate=_or_usual(columns.separate, pages, separate).astype(np.uint8),
        floor_micros=columns.floor_micros if columns.floor_micros.size else np.zeros(places, np.int64),
        private_auction=_or_usual(columns.private_auction, places, 0).astype(np.uint8),
        deal_start=np.searchsorted(of_deal, np.arange(places + 1)).astype(np.int32),
        deal_floor_micros=np.array([deal.floor_micros for deal in deals], np.int64),
        deal_price_rule=np.array([deal.price_rule for deal in deals], np.int32),
        deal_guaranteed=np.array([deal.guaranteed for deal in deals], np.uint8),
    )


def _or_usual(column: NDArray[np.uint32], size: int, usual: int) -> NDArray[np.uint32]:
    return column if column.size else np.full(size, usual, np.uint32)


def _bids(columns: AuctionColumns, terms: ClearingTerms) -> tuple[Bids, NDArray[np.int64]]:
    """(the bids as clearing met them, what their accounts have)."""
    told = unpacked(columns)
    count = len(told.chance)
    recorded = columns.bid_outcome[:count]
    outcome = np.full(count, PENDING, np.int32)
    for row in columns.refused_before.tolist():
        outcome[row] = CODE_INDEX[int(recorded[row])]
    account, campaign, available = _money(columns, recorded)
    rate = np.ones(count, np.float64)
    if columns.bid_currency.size:
        rate = columns.currency_rates[columns.bid_currency[:count]]
    deal = columns.bid_deal_plus_one[:count] if columns.bid_deal_plus_one.size else np.zeros(count, np.uint32)
    viewable = np.ones(count, np.float64)
    if columns.placement_viewable.size:
        viewable = columns.placement_viewable[columns.bid_placement[:count]]
    bids = Bids(
        placement=columns.bid_placement[:count].astype(np.int32),
        pricing=told.pricing,
        bid_micros=columns.bid_micros[:count],
        click_probability=told.chance,
        viewable=viewable,
        advertiser=told.advertiser,
        product=told.product,
        category=told.category,
        deal=deal.astype(np.int32) - np.int32(1),
        rate=rate,
        account=account,
        campaign_account=campaign,
        own_floor_micros=_own_floors(columns, count),
        outcome=outcome,
        ecpm_micros=np.zeros(count, np.int64),
        price_micros=np.zeros(count, np.int64),
        reserved_micros=np.zeros(count, np.int64),
    )
    return bids, available


def _own_floors(columns: AuctionColumns, count: int) -> NDArray[np.int64]:
    if not columns.bid_own_floor_plus_one.size:
        return np.full(count, -1, np.int64)
    return columns.bid_own_floor_plus_one[:count] - 1


def _money(
    columns: AuctionColumns, recorded: NDArray[np.uint32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    if columns.bid_account.size:
        account, campaign = signed(columns.bid_account), signed(columns.bid_campaign_account)
        return account.astype(np.int32), campaign.astype(np.int32), columns.available_micros.copy()
    count = len(recorded)
    row = np.arange(count, dtype=np.int32)
    # The exchange's own bids alone are paid out of its budgets; they have a line item.
    inside = columns.bid_line_item[:count] != 0
    account, campaign = np.where(inside, row, -1), np.where(inside, row + count, -1)
    available = np.full(2 * count, _PLENTY, np.int64)
    available[:count][recorded == int(Refusal.BUDGET_EXHAUSTED)] = 0
    return account.astype(np.int32), campaign.astype(np.int32), available
