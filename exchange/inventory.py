"""What is for sale to whom? Line items compiled into an order book, swapped in whole when something changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.creatives.ad_facts import AdFacts, KnownAds
from exchange.creatives.formats import shape_of as shape_of_format
from exchange.eligibility import Scratch, scratch_for
from exchange.order_book import ANY_TERM, OrderBook, key_of, table_of
from exchange.ports import CAMPAIGN_ACCOUNTS, CreativeRecord, LineItemRecord, Ranker
from exchange.request import PricingModel

# A conversion follows this share of clicks until the exchange has counted its own.
CONVERSION_PRIOR = 0.02

# Under which of its targeted dimensions a line item is found: the rarest first.
_RAREST_FIRST = (
    "seen_product",
    "segment",
    "keyword",
    "placement",
    "category",
    "country",
    "language",
    "device",
)
_ALL_HOURS = (0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_NEVER_ENDS = 1 << 62


class Vocabulary:
    """Numbers for words; only ever grows."""

    def __init__(self) -> None:
        self.terms: dict[str, dict[str, int]] = {dimension: {} for dimension in _RAREST_FIRST}
        self.shapes: dict[tuple[int, int, int], int] = {}
        self.blocks: dict[str, int] = {}
        self.zones: dict[str, int] = {}
        self.term_count = ANY_TERM + 1

    def copy(self) -> Vocabulary:
        """As it stands now; a snapshot keeps one, so a word it does not know can never reach its arrays."""
        other = Vocabulary()
        other.terms = {dimension: dict(values) for dimension, values in self.terms.items()}
        other.shapes = dict(self.shapes)
        other.blocks = dict(self.blocks)
        other.zones = dict(self.zones)
        other.term_count = self.term_count
        return other

    def term(self, dimension: str, value: str) -> int:
        """The number of a targeting value, given now when it is new."""
        values = self.terms[dimension]
        number = values.get(value)
        if number is None:
            number = values[value] = self.term_count
            self.term_count += 1
        return number


class Snapshot(msgspec.Struct, frozen=True):
    """An immutable inventory. `ads[i]` belongs to row i of the book's `ad_…` arrays, `items[i]` to `item_…`."""

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


class InventoryCompiler:
    """Keeps the line items in their encoded form, so that a change costs its own encoding and one merge of arrays.

    `account_row` gives the row of an account in the budget book; `in_stock` answers for a product id.
    """

    def __init__(
        self,
        *,
        ranker: Ranker,
        account_row: Callable[[int], int],
        in_stock: Callable[[str], bool] = lambda _: True,
        engagement_value_micros: int = 0,
    ) -> None:
        self._ranker = ranker
        self._account_row = account_row
        self._in_stock = in_stock
        self._engagement_value_micros = engagement_value_micros
        self._vocabulary = Vocabulary()
        self._records: dict[str, LineItemRecord] = {}
        self._rows: dict[int, int] = {}
        self._ads = KnownAds()
        self._products: tuple[list[str], object, NDArray[np.float64]] | None = None

    def put(self, records: Iterable[LineItemRecord]) -> None:
        """Take in new or changed line items."""
        for record in records:
            self._records[record.line_item_id] = record
            # Rows are given here, on the thread that also runs auctions; `compile` may run on another.
            for account in (record.number, CAMPAIGN_ACCOUNTS + record.campaign_number):
                self._rows[account] = self._account_row(account)

    def remove(self, line_item_ids: Iterable[str]) -> None:
        """Take out line items that are active no more."""
        for line_item_id in line_item_ids:
            self._records.pop(line_item_id, None)

    def forget_products(self) -> None:
        """The catalogue changed in what the click model knows of products: compute their part again."""
        self._products = None

    def compile(self, sequence: int, now_ms: int) -> Snapshot:
        """A snapshot of all line items taken in so far; deterministic for the same line items."""
        items = sorted(self._records.values(), key=lambda record: record.number)
        words = self._vocabulary
        self._ads.forget_all_but(set(self._records))
        pairs = [(row, creative) for row, record in enumerate(items) for creative in record.creatives]

        product_ids = sorted({creative.product_id for _, creative in pairs if creative.product_id})
        product_rows = {product_id: row for row, product_id in enumerate(product_ids)}
        compiled, prior = self._product_part(product_ids)
        advertisers = sorted({record.advertiser_domain for record in items})
        advertiser_rows = {domain: row for row, domain in enumerate(advertisers)}

        item_clause, clause_term, terms, primary = self._clauses(items)
        ad_item = np.array([row for row, _ in pairs], dtype=np.int32)
        ad_shape = np.array(
            [words.shapes.setdefault(shape_of(creative), len(words.shapes)) for _, creative in pairs], dtype=np.int32
        )
        ad_product = np.array([product_rows.get(c.product_id, -1) for _, c in pairs], dtype=np.int32)
        item_bid = np.array([record.bid_micros for record in items], dtype=np.int64)
        item_pricing = np.array([record.pricing_model for record in items], dtype=np.uint8)
        ad_worth = self._static_worth(item_bid[ad_item], item_pricing[ad_item], prior[ad_product, 0])
        runs = _postings(ad_item, ad_shape, ad_worth, primary)

        zones = words.zones
        for record in items:
            zones.setdefault(record.time_zone, len(zones))
        book = OrderBook(
            ad_item=ad_item,
            ad_worth=ad_worth,
            ad_cost=_least_money(item_bid[ad_item], item_pricing[ad_item], prior[ad_product].max(axis=1)),
            ad_shape=ad_shape,
            ad_category=np.array(
                [words.blocks.setdefault(c.category, len(words.blocks)) if c.category else -1 for _, c in pairs],
                dtype=np.int32,
            ),
            ad_product=ad_product,
            ad_review=np.array([creative.review_state for _, creative in pairs], dtype=np.uint8),
            item_number=np.array([record.number for record in items], dtype=np.uint32),
            item_campaign=np.array([record.campaign_number for record in items], dtype=np.uint32),
            item_bidder=np.array([record.strategy for record in items], dtype=np.uint8),
            item_pricing=item_pricing,
            item_bid=item_bid,
            item_account=np.array([self._rows[record.number] for record in items], dtype=np.int32),
            item_campaign_account=np.array(
                [self._rows[CAMPAIGN_ACCOUNTS + record.campaign_number] for record in items], dtype=np.int32
            ),
            item_advertiser=np.array([advertiser_rows[r.advertiser_domain] for r in items], dtype=np.int32),
            item_domain=np.array(
                [words.blocks.setdefault(r.advertiser_domain, len(words.blocks)) for r in items], dtype=np.int32
            ),
            item_cap=np.array([record.cap_impressions for record in items], dtype=np.int32),
            item_cap_window_ms=np.array([record.cap_window_s * 1000 for record in items], dtype=np.int64),
            item_starts_at_ms=np.array([record.starts_at_ms for record in items], dtype=np.int64),
            item_ends_at_ms=np.array([record.ends_at_ms or _NEVER_ENDS for record in items], dtype=np.int64),
            item_hours=np.array([_hours(record.hours_of_week) for record in items], dtype=np.uint64).reshape(-1, 3),
            item_zone=np.array([zones[record.time_zone] for record in items], dtype=np.int32),
            item_clause=item_clause,
            clause_term=clause_term,
            terms=terms,
            table_key=runs.table_key,
            table_run=runs.table_run,
            run_start=runs.run_start,
            postings=runs.postings,
            posting_worth=ad_worth[runs.postings],
            term_used=_used(runs.table_key, words.term_count),
            product_in_stock=np.array([self._in_stock(p) for p in product_ids], dtype=np.uint8),
        )
        return Snapshot(
            sequence=sequence,
            compiled_at_ms=now_ms,
            book=book,
            scratch=scratch_for(words.term_count, max(len(pairs), 1), max(len(words.blocks), 1)),
            vocabulary=words.copy(),
            zones=tuple(zones),
            items=items,
            item_rows={record.line_item_id: row for row, record in enumerate(items)},
            ads=[ad for item in items for ad in self._ads.of(item)],
            ad_creative_number=np.array([creative.number for _, creative in pairs], dtype=np.uint32),
            product_ids=product_ids,
            product_rows=product_rows,
            products_compiled=compiled,
            prior=prior,
            advertisers=advertisers,
            advertiser_rows=advertiser_rows,
        )

    def _product_part(self, product_ids: list[str]) -> tuple[object, NDArray[np.float64]]:
        if self._products is None or self._products[0] != product_ids:
            # The row behind the last product answers for ads without one.
            known = [*product_ids, ""]
            self._products = (product_ids, self._ranker.compile_products(known), self._ranker.prior(known))
        return self._products[1], self._products[2]

    def _static_worth(
        self, bids: NDArray[np.int64], pricing: NDArray[np.uint8], rate: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """What a standing bid is worth per thousand impressions before anything is known of the page view."""
        per_click = bids * rate * 1000
        worth = np.select(
            [pricing == PricingModel.CPM, pricing == PricingModel.CPC],
            [bids.astype(np.float64), per_click],
            per_click * CONVERSION_PRIOR,
        )
        return (worth + rate * (1000 * self._engagement_value_micros)).astype(np.int64)

    def _clauses(
        self, items: Sequence[LineItemRecord]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], list[list[int]]]:
        """Targeting as clauses of terms, and for each line item the terms under which it is posted."""
        item_clause, clause_term, terms, primary = [0], [0], [], []
        for record in items:
            posted = [ANY_TERM]
            for dimension in reversed(_RAREST_FIRST):
                values = record.targeting.get(dimension)
                if values:
                    posted = [self._vocabulary.term(dimension, value) for value in values]
                    terms += posted
                    clause_term.append(len(terms))
            item_clause.append(len(clause_term) - 1)
            primary.append(posted)
        return (
            np.array(item_clause, dtype=np.int32),
            np.array(clause_term, dtype=np.int32),
            np.array(terms, dtype=np.int32),
            primary,
        )


def _least_money(bids: NDArray[np.int64], pricing: NDArray[np.uint8], rate: NDArray[np.float64]) -> NDArray[np.int64]:
    """Micros that an impression may cost: exact for CPM, twice what is expected by the prior for CPC and CPA, since the
    model may see a better chance in a visitor.
    """
    per_click = np.ceil(2 * bids * rate)
    expected = np.where(pricing == PricingModel.CPC, per_click, np.ceil(per_click * CONVERSION_PRIOR))
    return np.where(pricing == PricingModel.CPM, -(-bids // 1000), np.maximum(expected, 1)).astype(np.int64)


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


class _Runs(NamedTuple):
    table_key: NDArray[np.int64]
    table_run: NDArray[np.int32]
    run_start: NDArray[np.int32]
    postings: NDArray[np.int32]


def _postings(
    ad_item: NDArray[np.int32], ad_shape: NDArray[np.int32], ad_worth: NDArray[np.int64], primary: list[list[int]]
) -> _Runs:
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
    return _Runs(table_key, table_run, np.append(starts, len(key)).astype(np.int32), ads[order])


def _used(table_key: NDArray[np.int64], term_count: int) -> NDArray[np.uint8]:
    used = np.zeros(term_count, dtype=np.uint8)
    taken = table_key[table_key != -1]
    used[taken & 0xFFFFFFFF] = 1
    return used
