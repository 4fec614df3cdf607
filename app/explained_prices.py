"""Why is this the price? Price rules, deals, currencies and page rules of a recorded auction, in words."""

from __future__ import annotations

from typing import Any, Final

from common.money import exactly
from exchange.clearing_prices import PRICE_STEP_MICROS, REFERENCE_QUALITY
from exchange.packed_bids import cleared_bids, trouble, unpacked
from exchange.page_rules import NO_LIMIT, SEPARATE_CATEGORIES, SEPARATE_PRODUCTS
from exchange.request import PriceRule, PricingModel
from streams.auction_block import AuctionColumns, OfferedDeal

_NAMES: Final = {
    PriceRule.FIRST_PRICE: "first price",
    PriceRule.SECOND_PRICE: "second price plus",
    PriceRule.AGREED_PRICE: "the agreed price",
    PriceRule.QUALITY_WEIGHTED_GSP: "generalised second price",
    PriceRule.VCG: "VCG",
}


_PRICING: Final[dict[int, str]] = {
    PricingModel.CPM: "per thousand impressions",
    PricingModel.CPC: "per click",
    PricingModel.CPA: "per conversion",
    PricingModel.VCPM: "per thousand viewable impressions",
}


def why(columns: AuctionColumns, winner: int, floor_micros: int, rule: PriceRule) -> str:
    """The rule that set the price: what is paid, per thousand impressions, tells the floor from the others."""
    deal = deal_of(columns, winner)
    under = ""
    if deal is not None:
        floor_micros, under = deal.floor_micros, f" (under deal {deal.deal_id})"
        rule = PriceRule(deal.price_rule) if deal.price_rule in _NAMES else rule
        if rule is PriceRule.VCG and (deal.price_rule or deal.guaranteed):
            # VCG is a rule over the page; what a deal sets apart from it is sold at second price.
            rule = PriceRule.SECOND_PRICE
    if (own := own_floor(columns, winner)) is not None:
        floor_micros = own
    return _sentence(columns, winner, floor_micros, rule) + under


def _sentence(columns: AuctionColumns, winner: int, floor_micros: int, rule: PriceRule) -> str:
    name = _NAMES[rule]
    price, bid = int(columns.bid_price_micros[winner]), int(columns.bid_micros[winner])
    if rule is PriceRule.FIRST_PRICE:
        return f"{name}: its own bid"
    if rule is PriceRule.AGREED_PRICE:
        return f"{name}: {exactly(floor_micros, columns.currency)} a thousand, whatever was bid"
    if price == bid:
        return f"{name}, capped by its own bid"
    per_mille = price * int(columns.bid_ecpm_micros[winner]) / bid
    if abs(per_mille - floor_micros) <= max(0.005 * floor_micros, 1):
        return f"{name}: nobody else was worth more than the floor"
    if rule is PriceRule.QUALITY_WEIGHTED_GSP:
        return f"{name}: what keeps its rank before the next"
    if rule is PriceRule.VCG:
        harm = exactly(round(per_mille - floor_micros), columns.currency)
        return f"{name}: what the other advertisers lose by it, {harm} a thousand above the floor"
    return f"{name}: the runner-up and one step of {exactly(PRICE_STEP_MICROS, columns.currency)} a thousand"


def own_floor(columns: AuctionColumns, row: int) -> int | None:
    """The floor that a bid was held to by the length of its video, None where that of its deal or placement held."""
    plus_one = int(columns.bid_own_floor_plus_one[row]) if columns.bid_own_floor_plus_one.size else 0
    return plus_one - 1 if plus_one else None


def score(columns: AuctionColumns, row: int, rule: PriceRule) -> dict[str, Any]:
    """What a cleared bid was ranked by: its worth, and what the shop itself gains from the click; in parts.

    Empty for what was never cleared, and in records that do not say how bids were priced.
    """
    if row >= cleared_bids(columns) or trouble(columns):
        return {}
    told = unpacked(columns)
    chance, pricing = float(told.chance[row]), int(told.pricing[row])
    story: dict[str, Any] = {"pricing": _PRICING.get(pricing, str(pricing))}
    if pricing == PricingModel.CPA:
        story["conversions_per_click"] = columns.conversion_rate
    if pricing == PricingModel.VCPM and columns.placement_viewable.size:
        story["viewable_share"] = round(float(columns.placement_viewable[int(columns.bid_placement[row])]), 6)
    worth = float(columns.bid_ecpm_micros[row])
    squashing = columns.squashing or 1.0
    if rule is PriceRule.QUALITY_WEIGHTED_GSP and squashing != 1.0 and pricing in (PricingModel.CPC, PricingModel.CPA):
        quality = chance if pricing == PricingModel.CPC else chance * columns.conversion_rate
        worth *= REFERENCE_QUALITY * (quality / REFERENCE_QUALITY) ** squashing / quality if quality else 1.0
        story["quality_counts_to_the_power_of"] = squashing
    # Under VCG the shop's own gain stays out.
    own = 0.0 if rule is PriceRule.VCG else columns.engagement_value_micros * chance * 1000.0
    if own:
        story["own_gain_per_mille"] = exactly(round(own), columns.currency)
    story["score_per_mille"] = exactly(round(worth + own), columns.currency)
    return story


def deal_of(columns: AuctionColumns, row: int) -> OfferedDeal | None:
    """The deal that a bid stands under; None for an open bid."""
    index = int(columns.bid_deal_plus_one[row]) - 1 if columns.bid_deal_plus_one.size else -1
    offered = [deal for deal in columns.deals if deal.placement == int(columns.bid_placement[row])]
    return offered[index] if 0 <= index < len(offered) else None


def deal_in_words(columns: AuctionColumns, deal: OfferedDeal) -> str:
    """Its id, its floor, its price rule, and whether it is guaranteed."""
    rule = _NAMES.get(PriceRule(deal.price_rule)) if deal.price_rule in _NAMES else "as the auction"
    kind = "guaranteed, " if deal.guaranteed else ""
    return f"{deal.deal_id}: {kind}floor {exactly(deal.floor_micros, columns.currency)} a thousand, {rule}"


def own_currency(columns: AuctionColumns, row: int) -> str:
    """The currency that a bid was made in, and is paid in."""
    index = int(columns.bid_currency[row]) if columns.bid_currency.size else 0
    return columns.currencies[index] if 0 < index < len(columns.currencies) else columns.currency


def rate(columns: AuctionColumns, row: int) -> str:
    """The rate that a bid was compared by; empty in the auction's own currency."""
    own = own_currency(columns, row)
    if own == columns.currency:
        return ""
    factor = float(columns.currency_rates[columns.currencies.index(own)])
    return f"1 {own} = {factor:.6g} {columns.currency} (rates {columns.rate_table})"


def page_in_words(columns: AuctionColumns, page: int) -> dict[str, Any]:
    """The page rules where they are not the usual ones, and the table of rates where money was converted."""
    story: dict[str, Any] = {}
    if columns.rate_table:
        story["currency_rates"] = columns.rate_table
    if columns.separate.size:
        most, ads, separate = (
            int(column[page]) for column in (columns.most_per_advertiser, columns.most_ads, columns.separate)
        )
        story["page_rules"] = [
            "an advertiser wins as many as it can" if most >= NO_LIMIT else f"at most {most} of an advertiser",
            *(["each product once"] if separate & SEPARATE_PRODUCTS else []),
            *(["competitors of a category apart"] if separate & SEPARATE_CATEGORIES else []),
            *([] if ads >= NO_LIMIT else [f"at most {ads} ads"]),
        ]
    return story
