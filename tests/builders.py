"""Valid things to start a test from; a test names only what it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.answers_memory import MemoryAnswers
from bidders.roster import ROSTER
from common.clock import SteppedClock
from exchange.able_bids import able_bids, with_runs_of
from exchange.answer import Answer
from exchange.auction import Auction
from exchange.bidder_terms import BidderTerms
from exchange.bidding import OutsideBid, OutsideBidder
from exchange.callout import Callout
from exchange.creatives.composer import Composer
from exchange.creatives.templates import PlainUrls
from exchange.currencies import BUILT_IN
from exchange.inventory import InventoryCompiler, Snapshot
from exchange.near_products import NearProducts
from exchange.pacing_draw import NOBODY, Paces
from exchange.ports import AnswerCache, CreativeRecord, LineItemRecord, PageColumns, Ranker
from exchange.refusals import Refusal
from exchange.request import Format, PageView, Placement, PriceRule, PricingModel
from exchange.session_answers import SessionAnswers
from exchange.session_impressions import SessionImpressions
from exchange.viewable_rates import Place, Shown, ViewableRates
from exchange.visitor import Visitor
from exchange.won_batch import WonBatch
from streams.affinities import with_added
from streams.auction_block import AuctionColumns
from streams.ports import AddedAffinities, Impression, Profile
from streams.product import Product

ALL_PERMISSIONS = 15
PUBLIC_URL = "https://ads.example"
BANNER = (int(Format.BANNER), 300, 250)
LISTING = (int(Format.PRODUCT_LISTING), 0, 0)


def a_creative(number: int = 1, **changes: Any) -> CreativeRecord:
    """An approved banner of 300 × 250."""
    facts: dict[str, Any] = {
        "creative_id": f"creative-{number}", "number": number, "format": 1, "width": 300, "height": 250,
        "title": "A chair", "image_url": "https://shop.example/chair.png",
        "landing_url": "https://shop.example/chair", "video_url": "", "duration_s": 0,
        "product_id": f"product-{number}", "category": "furniture", "review_state": 2,
    }  # fmt: skip
    return CreativeRecord(**{**facts, **changes})


def a_line_item(number: int = 1, **changes: Any) -> LineItemRecord:
    """A CPM brand line item at 2.00, of its own campaign and advertiser, without targeting."""
    facts: dict[str, Any] = {
        "line_item_id": f"item-{number}", "number": number, "campaign_id": f"campaign-{number}",
        "campaign_number": number, "advertiser_id": f"advertiser-{number}",
        "advertiser_domain": f"brand-{number}.example", "strategy": 1, "pricing_model": int(PricingModel.CPM),
        "bid_micros": 2_000_000, "currency": "EUR", "targeting": {}, "cap_impressions": 0, "cap_window_s": 0,
        "starts_at_ms": 0, "ends_at_ms": 0, "hours_of_week": (), "time_zone": "UTC",
        "creatives": (a_creative(number),), "revision": 1,
    }  # fmt: skip
    return LineItemRecord(**{**facts, **changes})


def a_placement(placement_id: str = "top", **changes: Any) -> Placement:
    """A banner placement at position 1 with a floor of 0.50."""
    facts: dict[str, Any] = {"shapes": (BANNER,), "floor_micros": 500_000, "position": 1}
    return Placement(placement_id=placement_id, **{**facts, **changes})


def a_page_view(**changes: Any) -> PageView:
    """A page view with one placement, by a visitor who agreed to everything, at second price."""
    facts: dict[str, Any] = {
        "request_id": "request-1", "session_id": "", "visitor_id": "visitor-1", "segments": (), "affinities": (),
        "permissions": ALL_PERMISSIONS, "url": "https://shop.example/", "categories": (), "keywords": (),
        "product_id": "", "device_type": 1, "country": "DE", "language": "de", "placements": (a_placement(),),
        "price_rule": int(PriceRule.SECOND_PRICE), "tmax_ms": 50, "viewed_at_ms": 1_700_000_000_000, "wire": b"",
    }  # fmt: skip
    return PageView(**{**facts, **changes})


def an_outside_bid(auction_id: str, **changes: Any) -> OutsideBid:
    """A well-formed banner bid at 9.00 for placement `top`."""
    facts: dict[str, Any] = {
        "placement_id": "top", "bid_id": "bid-1", "bid_micros": 9_000_000, "currency": "EUR",
        "advertiser_domain": "outside.example", "creative_id": "their-creative", "format": 1, "width": 300,
        "height": 250, "markup": "<b>hello</b>", "category": "", "product_id": "",
    }  # fmt: skip
    return OutsideBid(auction_id=auction_id, **{**facts, **changes})


def a_product(number: int = 1, **changes: Any) -> Product:
    """A chair at 49.90 EUR, in stock."""
    facts: dict[str, Any] = {
        "product_id": f"product-{number}", "tenant_id": "shop", "name": "Oak chair", "brand": "Chairs of Dhaka",
        "category": "furniture", "price_micros": 49_900_000, "currency": "EUR",
        "image_url": "https://shop.example/chair.png", "landing_url": "https://shop.example/chair", "in_stock": True,
        "attributes": {},
    }  # fmt: skip
    return Product(**{**facts, **changes})


def nothing_near(vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]:
    """exchange.near_recorded.Nearest of an empty catalogue."""
    return [[] for _ in vectors]


class FlatRanker:
    """The same chance of a click for everything."""

    version = "flat"

    def __init__(self, chance: float = 0.01) -> None:
        self.chance = chance

    def compile_products(self, product_ids: Sequence[str]) -> object:
        return None

    def prior(self, product_ids: Sequence[str]) -> NDArray[np.float64]:
        return np.full((len(product_ids), 4), self.chance)

    def score(
        self,
        compiled: object,
        product_rows: NDArray[np.int32],
        page_rows: NDArray[np.int32],
        positions: NDArray[np.int32],
        affinities: NDArray[np.float32],
        pages: PageColumns,
    ) -> NDArray[np.float64]:
        return np.full(len(product_rows), self.chance)


class Purse:
    """A budget book as the auction sees it, with money for every account unless told otherwise."""

    def __init__(self, each_micros: int = 10**12) -> None:
        self.available = np.full(1024, each_micros, np.int64)
        self.rows: dict[int, int] = {}

    def row_of(self, account: int) -> int:
        return self.rows.setdefault(account, len(self.rows))


class KnownVisitors:
    """Profiles from a dictionary; counts who was asked for."""

    def __init__(self, profiles: dict[str, Profile] | None = None) -> None:
        self.profiles = profiles or {}
        self.asked: list[str] = []

    def read(self, visitor_ids: Sequence[str]) -> list[Profile | None]:
        self.asked += visitor_ids
        return [self.profiles.get(visitor_id) for visitor_id in visitor_ids]

    def write(self, profiles: dict[str, Profile]) -> None:
        self.profiles.update(profiles)

    def add_impressions(self, impressions: Sequence[Impression]) -> None:
        for visitor_id, line_item_number, at_ms, creative_number in impressions:
            profile = self.profiles.setdefault(visitor_id, Profile())
            profile.seen_line_items.append(line_item_number)
            profile.seen_at_ms.append(at_ms)
            profile.seen_creatives.append(creative_number)

    def add_affinities(self, additions: Sequence[AddedAffinities]) -> None:
        for visitor_id, weights, _ in additions:
            profile = self.profiles.setdefault(visitor_id, Profile())
            profile.affinities = with_added(profile.affinities, weights)

    def sync(self) -> None:
        pass

    def erase(self, visitor_id: str) -> bool:
        return self.profiles.pop(visitor_id, None) is not None

    def count(self) -> int:
        return len(self.profiles)

    def close(self) -> None:
        pass


class Tally:
    """What an observer was told."""

    def __init__(self) -> None:
        self.outcomes: NDArray[np.int64] | None = None
        self.filled = 0
        self.recalled = 0
        self.bidders: list[tuple[str, int, int, Refusal]] = []

    def batch_held(
        self, duration_ns: int, page_views: int, placements: int, filled: int, outcomes: NDArray[np.int64]
    ) -> None:
        self.outcomes = outcomes if self.outcomes is None else self.outcomes + outcomes
        self.filled += filled

    def answers_recalled(self, page_views: int) -> None:
        self.recalled += page_views

    def bidder_answered(self, name: str, page_views: int, bids: int, trouble: Refusal) -> None:
        self.bidders.append((name, page_views, bids, trouble))


class Market:
    """An auction over given line items with everything around it in memory."""

    def __init__(
        self,
        items: Iterable[LineItemRecord] = (),
        *,
        outside: Sequence[OutsideBidder] = (),
        terms: BidderTerms | Mapping[str, BidderTerms] | None = None,
        chance: float = 0.01,
        engagement_value_micros: int = 0,
        profiles: dict[str, Profile] | None = None,
        in_stock: Callable[[str], bool] = lambda _: True,
        publish: Callable[[AuctionColumns], None] | None = None,
        session_answer_ttl_ms: int = 30_000,
        product: Callable[[str], Product | None] = lambda _: None,
        squashing: float = 1.0,
        ranker: Ranker | None = None,
        paces: Callable[[Sequence[int]], Paces] = lambda _: NOBODY,
        viewable: Mapping[Place, Shown] | None = None,
        shared_answers: AnswerCache | None = None,
        find: bool = False,
        near: NearProducts | None = None,
    ) -> None:
        self.clock = SteppedClock()
        self.purse = Purse()
        self.ranker: Ranker = ranker or FlatRanker(chance)
        self.compiler = InventoryCompiler(
            ranker=self.ranker,
            account_row=self.purse.row_of,
            in_stock=in_stock,
            engagement_value_micros=engagement_value_micros,
            rate_of=lambda currency: BUILT_IN.factor(currency, "EUR"),
        )
        # The documents that players fetch, by impression.
        self.films: dict[str, str] = {}
        composer = Composer(urls=PlainUrls(PUBLIC_URL), product=product, keep_video=self.films.__setitem__)
        self.answers = SessionAnswers(
            MemoryAnswers(),
            ttl_ms=session_answer_ttl_ms,
            shared=shared_answers,
            refreshed=composer.refreshed,
            adopted=composer.adopt,
        )
        self.tally = Tally()
        self.sessions = SessionImpressions()
        self.published: list[AuctionColumns] = []
        self.held: list[WonBatch] = []
        self.visitors = KnownVisitors(profiles)
        self.snapshot = self.load(items)
        # The terms of all outside bidders, or of each by its name.
        each = terms if isinstance(terms, Mapping) else {bidder.name: terms or BidderTerms() for bidder in outside}
        self.callouts = [Callout(bidder, self.clock, terms=each[bidder.name]) for bidder in outside]
        self.auction = Auction(
            clock=self.clock,
            inventory=lambda: self.snapshot,
            profiles=self.visitors,
            roster=ROSTER,
            outside=self.callouts,
            ranker=self.ranker,
            money=self.purse,
            answers=self.answers,
            composer=composer,
            publish=publish or self.published.append,
            hold=self.held.append,
            observer=self.tally,
            currency="EUR",
            engagement_value_micros=engagement_value_micros,
            sessions=self.sessions,
            squashing=squashing,
            paces=paces,
            viewable=ViewableRates(viewable),
            find=self.find if find else None,
            widened=near.widened if near is not None else None,
        )

    async def find(self, views: Sequence[PageView], visitors: Sequence[Visitor]) -> Snapshot:
        """The inventory for these page views, in a market that finds it for each batch."""
        raise NotImplementedError

    def load(self, items: Iterable[LineItemRecord]) -> Snapshot:
        """Take line items in and swap the snapshot."""
        self.compiler.put(items)
        self.snapshot = self.compiler.compile(len(self.published) + 1, self.clock.now_ms())
        return self.snapshot

    def leave_out_exhausted(self) -> Snapshot:
        """Swap the snapshot for one without what could not run now."""
        able = able_bids(self.snapshot.book, self.purse.available, self.clock.now_ms())
        self.snapshot = with_runs_of(self.snapshot, able)
        return self.snapshot

    async def ask(self, *views: PageView) -> list[Answer]:
        """Hold auctions for a batch."""
        return await self.auction.hold_auctions(views)

    async def ask_one(self, **changes: Any) -> Answer:
        """Hold the auction of one page view."""
        return (await self.ask(a_page_view(**changes)))[0]
