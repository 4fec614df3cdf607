"""What is for sale to whom? Line items compiled into an order book, swapped in whole when something changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.by_identity import ByIdentity
from exchange.creatives.ad_facts import AdFacts, KnownAds
from exchange.creatives.formats import shape_of as shape_of_format
from exchange.order_book import ANY_TERM, OrderBook, key_of, packed, table_of
from exchange.placement_asks import PageAsks, known_asks
from exchange.ports import CAMPAIGN_ACCOUNTS, CreativeRecord, LineItemRecord, Ranker
from exchange.request import Placement, PricingModel
from exchange.standing_bids import ADVERTISER, CAMPAIGN, CREATIVE, Standing, standing
from exchange.static_worth import CONVERSION_PRIOR, static_worth
from exchange.traits import Kind, Trait
from exchange.viewable_rates import PRIOR
from exchange.vocabulary import DEAL, RAREST_FIRST, Vocabulary
from exchange.walk_arrays import Scratch, scratch_for

_ALL_HOURS = (0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_NEVER_ENDS = 1 << 62


class Runs(NamedTuple):
    """Postings by (shape, term), best first; names as in the order book."""

    table_key: NDArray[np.int64]
    table_run: NDArray[np.int32]
    run_start: NDArray[np.int32]
    postings: NDArray[np.int32]


class KnownItems(NamedTuple):
    """Whose were the line items that visitors have seen? By line item number, 0 where it was never active here."""

    campaign: NDArray[np.int32]
    brand: NDArray[np.int32]


class Snapshot(msgspec.Struct, frozen=True):
    """An immutable inventory. `ads[i]` belongs to row i of the book's `ad_…` arrays, `items[i]` to `item_…`.

    `book` leaves out of its runs what cannot run for now; `runs` are those of all standing bids.
    """

    sequence: int
    compiled_at_ms: int
    book: OrderBook
    scratch: Scratch
    vocabulary: Vocabulary
    zones: tuple[str, ...]
    items: list[LineItemRecord]
    item_rows: dict[str, int]
    ads: list[AdFacts]
    ad_creative_number: NDArray[np.uint32]
    product_ids: list[str]
    product_rows: dict[str, int]
    products_compiled: object
    # Smoothed click rate of each product by position, (products + 1, 4); the last row is for no product.
    prior: NDArray[np.float64]
    advertisers: list[str]
    advertiser_rows: dict[str, int]
    # Currencies of the line items; (items,) indices into them.
    currencies: tuple[str, ...]
    item_currency: NDArray[np.int32]
    runs: Runs
    known: KnownItems
    # Scopes of caps that are in use, beside that of the line item itself.
    cap_scopes: frozenset[int]
    # What the placements of a page ask for in numbers of this snapshot.
    asks: ByIdentity[tuple[Placement, ...], PageAsks]
    # Does anybody bid per thousand viewable impressions?
    by_view: bool = False


class InventoryCompiler:
    """Keeps the line items in their encoded form, so that a change costs its own encoding and one merge of arrays.

    `account_row` gives the row of an account in the budget book; `in_stock` answers for a product id; `rate_of` gives
    what one micro of a currency is worth in micros of the auction's, `viewable_rate` which part is in view.
    """

    def __init__(
        self,
        *,
        ranker: Ranker,
        account_row: Callable[[int], int],
        in_stock: Callable[[str], bool] = lambda _: True,
        engagement_value_micros: int = 0,
        rate_of: Callable[[str], float] = lambda _: 1.0,
        viewable_rate: Callable[[], float] = lambda: PRIOR,
    ) -> None:
        self._viewable_rate = viewable_rate
        self._ranker = ranker
        self._account_row = account_row
        self._in_stock = in_stock
        self._engagement_value_micros = engagement_value_micros
        self._rate_of = rate_of
        self._vocabulary = Vocabulary()
        self._standing: dict[str, Standing] = {}
        # Traits of each creative in numbers, by line item.
        self._traits: dict[str, list[list[int]]] = {}
        self._known = KnownItems(np.zeros(1024, np.int32), np.zeros(1024, np.int32))
        self._rows: dict[int, int] = {}
        self._ads = KnownAds()
        self._products: tuple[list[str], object, NDArray[np.float64]] | None = None

    def put(self, records: Iterable[LineItemRecord]) -> None:
        """Take in new or changed line items."""
        for record in records:
            self._standing[record.line_item_id] = made = standing(record)
            self._traits[record.line_item_id] = [[self._trait(t) for t in traits] for traits in made.traits]
            self._know(record)
            # Rows are given here, on the thread that also runs auctions; `compile` may run on another.
            for account in (record.number, CAMPAIGN_ACCOUNTS + record.campaign_number):
                self._rows[account] = self._account_row(account)

    def remove(self, line_item_ids: Iterable[str]) -> None:
        """Take out line items that are active no more."""
        for line_item_id in line_item_ids:
            self._standing.pop(line_item_id, None)
            self._traits.pop(line_item_id, None)

    def forget_products(self) -> None:
        """The catalogue changed in what the click model knows of products: compute their part again."""
        self._products = None

    def compile(self, sequence: int, now_ms: int) -> Snapshot:
        """A snapshot of all line items taken in so far; deterministic for the same line items."""
        made = sorted(self._standing.values(), key=lambda one: one.record.number)
        items = [one.record for one in made]
        words = self._vocabulary
        self._ads.forget_all_but(set(self._standing))
        pairs = [(row, creative) for row, record in enumerate(items) for creative in record.creatives]

        product_ids = sorted({creative.product_id for _, creative in pairs if creative.product_id})
        product_rows = {product_id: row for row, product_id in enumerate(product_ids)}
        compiled, prior = self._product_part(product_ids)
        advertisers = sorted({record.advertiser_domain for record in items})
        advertiser_rows = {domain: row for row, domain in enumerate(advertisers)}
        currencies = tuple(sorted({record.currency for record in items}))

        item_clause, clause_term, terms, primary = self._clauses(items)
        ad_trait_start, ad_trait = _rows_of(traits for item in items for traits in self._traits[item.line_item_id])
        item_deal_start, item_deal = _rows_of([words.term(DEAL, d) for d in item.deal_ids] for item in items)
        item_cap_start, _ = _rows_of([cap.scope for cap in one.caps] for one in made)
        caps = [cap for one in made for cap in one.caps]
        ad_item = np.array([row for row, _ in pairs], dtype=np.int32)
        ad_shape = np.array(
            [words.shapes.setdefault(shape_of(creative), len(words.shapes)) for _, creative in pairs], dtype=np.int32
        )
        ad_product = np.array([product_rows.get(c.product_id, -1) for _, c in pairs], dtype=np.int32)
        item_bid = np.array([record.bid_micros for record in items], dtype=np.int64)
        item_pricing = np.array([record.pricing_model for record in items], dtype=np.uint8)
        # The order of the walk goes by the rates of now; clearing goes by those of its own moment.
        rates = np.array([self._rate_of(record.currency) for record in items], dtype=np.float64)
        ad_worth = static_worth(
            item_bid[ad_item] * rates[ad_item], item_pricing[ad_item], prior[ad_product, 0],
            # Where it will stand, nobody knows yet.
            viewable_rate=self._viewable_rate(), engagement_value_micros=self._engagement_value_micros,
        )  # fmt: skip
        runs = _postings(ad_item, ad_shape, ad_worth, primary)

        zones = words.zones
        for record in items:
            zones.setdefault(record.time_zone, len(zones))
        columns: dict[str, Any] = {
            "ad_item": ad_item,
            "ad_worth": ad_worth,
            "ad_cost": _least_money(item_bid[ad_item], item_pricing[ad_item], prior[ad_product].max(axis=1)),
            "ad_shape": ad_shape,
            "ad_category": np.array(
                [words.traits.get((Kind.CATEGORY, creative.category), -1) for _, creative in pairs], dtype=np.int32
            ),
            "ad_product": ad_product,
            "ad_review": np.array([creative.review_state for _, creative in pairs], dtype=np.uint8),
            "ad_creative": np.array([creative.number for _, creative in pairs], dtype=np.uint32),
            "ad_trait_start": ad_trait_start,
            "ad_trait": ad_trait,
            "trait_kind": np.array([int(kind) for kind, _ in words.traits] or [0], dtype=np.uint8),
            "item_number": np.array([record.number for record in items], dtype=np.uint32),
            "item_campaign": np.array([record.campaign_number for record in items], dtype=np.uint32),
            "item_bidder": np.array([record.strategy for record in items], dtype=np.uint8),
            "item_pricing": item_pricing,
            "item_bid": item_bid,
            "item_account": np.array([self._rows[record.number] for record in items], dtype=np.int32),
            "item_campaign_account": np.array(
                [self._rows[CAMPAIGN_ACCOUNTS + record.campaign_number] for record in items], dtype=np.int32
            ),
            "item_advertiser": np.array([advertiser_rows[r.advertiser_domain] for r in items], dtype=np.int32),
            "item_brand": np.array([words.brands[r.advertiser_domain] for r in items], dtype=np.int32),
            "item_domain": np.array(
                [words.traits.get((Kind.ADVERTISER, r.advertiser_domain), -1) for r in items], dtype=np.int32
            ),
            "item_seat": np.array([words.traits.get((Kind.SEAT, one.seat), -1) for one in made], dtype=np.int32),
            "item_deal_start": item_deal_start,
            "item_deal": item_deal,
            "item_deals_only": np.array([record.deals_only for record in items], dtype=np.uint8),
            "item_cap_start": item_cap_start,
            "cap_scope": np.array([cap.scope for cap in caps], dtype=np.int8),
            "cap_impressions": np.array([cap.impressions for cap in caps], dtype=np.int32),
            "cap_window_ms": np.array([cap.window_ms for cap in caps], dtype=np.int64),
            "cap_share": np.array([cap.share for cap in caps], dtype=np.uint64),
            "item_starts_at_ms": np.array([record.starts_at_ms for record in items], dtype=np.int64),
            "item_ends_at_ms": np.array([record.ends_at_ms or _NEVER_ENDS for record in items], dtype=np.int64),
            "item_hours": np.array([_hours(record.hours_of_week) for record in items], dtype=np.uint64).reshape(-1, 3),
            "item_zone": np.array([zones[record.time_zone] for record in items], dtype=np.int32),
            "item_clause_start": item_clause,
            "clause_term": clause_term,
            "terms": terms,
            "table_key": runs.table_key,
            "table_run": runs.table_run,
            "run_start": runs.run_start,
            "postings": runs.postings,
            "posting_worth": ad_worth[runs.postings],
            "term_used": _used(runs.table_key, words.term_count),
            "product_in_stock": np.array([self._in_stock(p) for p in product_ids], dtype=np.uint8),
        }
        book = OrderBook(**columns, packed=packed(columns))
        # Its own: what is learned for later snapshots has no numbers in this one's arrays.
        vocabulary = words.copy()
        return Snapshot(
            sequence=sequence,
            compiled_at_ms=now_ms,
            book=book,
            scratch=scratch_for(words.term_count, max(len(pairs), 1), max(len(words.traits), 1)),
            vocabulary=vocabulary,
            zones=tuple(zones),
            items=items,
            item_rows={record.line_item_id: row for row, record in enumerate(items)},
            ads=[ad for item in items for ad in self._ads.of(item)],
            ad_creative_number=book.ad_creative,
            product_ids=product_ids,
            product_rows=product_rows,
            products_compiled=compiled,
            prior=prior,
            advertisers=advertisers,
            advertiser_rows=advertiser_rows,
            currencies=currencies,
            item_currency=np.array([currencies.index(record.currency) for record in items], dtype=np.int32),
            runs=runs,
            known=KnownItems(self._known.campaign.copy(), self._known.brand.copy()),
            cap_scopes=frozenset(abs(cap.scope) for cap in caps) & {CAMPAIGN, ADVERTISER, CREATIVE},
            asks=known_asks(vocabulary),
            by_view=bool((item_pricing == PricingModel.VCPM).any()),
        )

    def _trait(self, trait: Trait) -> int:
        return self._vocabulary.traits.setdefault(trait, len(self._vocabulary.traits))

    def _know(self, record: LineItemRecord) -> None:
        """Remember whose line item this is, also when it is active no more: its impressions still count."""
        brands = self._vocabulary.brands
        # 0 stands for line items that are not known.
        brand = brands.setdefault(record.advertiser_domain, len(brands) + 1)
        if record.number >= len(self._known.campaign):
            more = np.zeros(record.number + 1, np.int32)
            self._known = KnownItems(*(np.concatenate([column, more]) for column in self._known))
        self._known.campaign[record.number] = record.campaign_number
        self._known.brand[record.number] = brand

    def _product_part(self, product_ids: list[str]) -> tuple[object, NDArray[np.float64]]:
        if self._products is None or self._products[0] != product_ids:
            # The row behind the last product answers for ads without one.
            known = [*product_ids, ""]
            self._products = (product_ids, self._ranker.compile_products(known), self._ranker.prior(known))
        return self._products[1], self._products[2]

    def _clauses(
        self, items: Sequence[LineItemRecord]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], list[list[int]]]:
        """Targeting as clauses of terms, and for each line item the terms under which it is posted."""
        item_clause, clause_term, terms, primary = [0], [0], [], []
        for record in items:
            posted = [ANY_TERM]
            for dimension in reversed(RAREST_FIRST):
                values = record.targeting.get(dimension)
                if values:
                    posted = [self._vocabulary.term(dimension, value) for value in values]
                    terms += posted
                    clause_term.append(len(terms))
            item_clause.append(len(clause_term) - 1)
            deals = [self._vocabulary.term(DEAL, deal_id) for deal_id in record.deal_ids]
            primary.append(deals if record.deals_only else [*posted, *deals])
        return (
            np.array(item_clause, dtype=np.int32),
            np.array(clause_term, dtype=np.int32),
            np.array(terms, dtype=np.int32),
            primary,
        )


def _least_money(bids: NDArray[np.int64], pricing: NDArray[np.uint8], rate: NDArray[np.float64]) -> NDArray[np.int64]:
    """Micros that an impression may cost: exact for CPM, and for vCPM when it is viewable; twice what the prior expects
    for CPC and CPA, since the model may see a better chance in a visitor.
    """
    per_click = np.ceil(2 * bids * rate)
    expected = np.where(pricing == PricingModel.CPC, per_click, np.ceil(per_click * CONVERSION_PRIOR))
    by_view = (pricing == PricingModel.CPM) | (pricing == PricingModel.VCPM)
    return np.where(by_view, -(-bids // 1000), np.maximum(expected, 1)).astype(np.int64)


def shape_of(creative: CreativeRecord) -> tuple[int, int, int]:
    """(format, width, height) under which a creative is found."""
    return shape_of_format(creative.format, creative.width, creative.height)


def _hours(hours_of_week: tuple[int, ...]) -> tuple[int, int, int]:
    if not hours_of_week:
        return _ALL_HOURS
    bits = 0
    for hour in hours_of_week:
        bits |= 1 << hour
    return bits & 0xFFFFFFFFFFFFFFFF, bits >> 64 & 0xFFFFFFFFFFFFFFFF, bits >> 128


def _postings(
    ad_item: NDArray[np.int32], ad_shape: NDArray[np.int32], ad_worth: NDArray[np.int64], primary: list[list[int]]
) -> Runs:
    """Every standing bid under each of its terms, as runs by (shape, term), best first, ties by row."""
    keys = [
        key_of(shape, term)
        for item, shape in zip(ad_item.tolist(), ad_shape.tolist(), strict=True)
        for term in primary[item]
    ]
    lengths = np.array([len(primary[item]) for item in ad_item.tolist()], dtype=np.int64)
    ads = np.repeat(np.arange(len(ad_item), dtype=np.int32), lengths) if len(ad_item) else np.empty(0, np.int32)
    key = np.array(keys, dtype=np.int64)
    order = np.lexsort((ads, -ad_worth[ads], key))
    distinct, starts = np.unique(key[order], return_index=True)
    table_key, table_run = table_of(distinct)
    return Runs(table_key, table_run, np.append(starts, len(key)).astype(np.int32), ads[order])


def _used(table_key: NDArray[np.int64], term_count: int) -> NDArray[np.uint8]:
    used = np.zeros(term_count, dtype=np.uint8)
    taken = table_key[table_key != -1]
    used[taken & 0xFFFFFFFF] = 1
    return used


def _rows_of(rows: Iterable[Sequence[int]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(where each row starts and the last ends, all entries)."""
    starts, entries = [0], list[int]()
    for row in rows:
        entries += row
        starts.append(len(entries))
    return np.array(starts, np.int32), np.array(entries, np.int32)
