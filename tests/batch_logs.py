"""What does a busy exchange's log look like? Made-up auctions, notices, products and pages, for tests of batch work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from app.bridges import placements_of
from backends.event_log_lmdb import LmdbEventLog
from backends.line_item_names_sql import SqlLineItemNames
from backends.reports_sql import SqlReportStore
from backends.table_files_parquet import ParquetTableFiles
from exchange.reports import Reports
from protos import exchange_pb2
from streams.auction_block import AuctionColumns
from streams.batch.export import EventExport, Export
from streams.feed_events import FeedActionTaken, FeedPageServed
from streams.product import Product
from streams.schemas import Event, NoticesTaken, NoticeTaken, ProductsPut, encode
from streams.topics import AUCTIONS, FEED_ACTIONS, FEED_PAGES, NOTICES, PRODUCTS
from tests.campaign_stores import CampaignWorld, campaign_world
from tests.event_batches import U32, auctions

HOUR_MS = 3_600_000
# A minute before midnight in UTC, so that what is made is of two days.
BEGIN_MS = 1_772_755_200_000 - 60_000
_TOPIC_OF = {
    AuctionColumns: AUCTIONS.name,
    NoticesTaken: NOTICES.name,
    ProductsPut: PRODUCTS.name,
    FeedPageServed: FEED_PAGES.name,
    FeedActionTaken: FEED_ACTIONS.name,
}


class BatchWorld:
    """A log and its SQL store in a folder, with four line items of two campaigns, and an export beside it."""

    def __init__(self, folder: Path, campaigns: CampaignWorld, seed: int = 1) -> None:
        self.folder = folder
        self.campaigns = campaigns
        self.clock = campaigns.clock
        self.engine = campaigns.engine
        self.log = LmdbEventLog(folder / "log", map_size_bytes=1 << 28)
        self.chance = np.random.default_rng(seed)
        self.reports = Reports(SqlReportStore(self.engine), placements_of)
        advertiser, campaign, creative, item = campaigns.a_whole_campaign()
        other = campaigns.a_campaign(advertiser, name="Summer")
        more = [campaigns.a_line_item(of, creative) for of in (campaign, other, other)]
        self.items = [item.number, *(one.number for one in more)]

    def append(self, *events: Event, at_ms: int = BEGIN_MS) -> None:
        for event in events:
            self.log.append(_TOPIC_OF[type(event)], [encode(event)], at_ms)

    def count(self) -> None:
        """Let the online reports count all that the log holds."""
        while self.reports.count_once(self.log):
            pass

    def export(
        self, to: str = "export", *, personal: bool = False, rows_a_step: int = 500_000, source: str = ""
    ) -> Export:
        files = ParquetTableFiles(self.folder / to)
        try:
            return EventExport(
                log=self.log,
                files=files,
                line_items=SqlLineItemNames(self.engine),
                clock=self.clock,
                personal=personal,
                rows_a_step=rows_a_step,
                source=source,
            ).run()
        finally:
            files.close()

    def files(self, to: str = "export") -> ParquetTableFiles:
        return ParquetTableFiles(self.folder / to, readonly=True)

    def some_auctions(self, pages: int, at_ms: int, tests: tuple[int, ...] = ()) -> AuctionColumns:
        """Page views of two placements, with bids of line items and of an outside bidder, and some only counted."""
        made = auctions(pages, self.chance, at_ms, tests)
        place, outcome = made.bid_placement, made.bid_outcome.copy()
        item = np.array([0, *self.items], U32)[made.bid_line_item]
        winners = np.zeros(2 * pages, U32)
        for row in np.nonzero(outcome == 0)[0].tolist():
            winners[place[row]] = row + 1
        outcome[np.setdiff1d(np.nonzero(outcome == 0)[0], winners[winners > 0] - 1)] = 1002
        return msgspec.structs.replace(
            made, bid_line_item=item, bid_creative=item * 10, bid_outcome=outcome, winner_row_plus_one=winners,
            no_ad_reason=np.where(winners == 0, 3, 0).astype(U32), permissions=(np.arange(pages) % 2).astype(U32),
            page_view=[_page_view(page) for page in range(pages)],
        )  # fmt: skip

    def some_notices(self, count: int, at_ms: int) -> NoticesTaken:
        """Notices of all kinds and verdicts, corrections of an hour before among them."""
        return NoticesTaken(at_ms, tuple(self._notice(at, at_ms) for at in range(count)))

    def _notice(self, at: int, at_ms: int) -> NoticeTaken:
        item, kind = int(self.chance.choice([0, *self.items])), int(self.chance.choice([1, 1, 1, 2, 3, 4, 5, 9, 15]))
        verdict = int(self.chance.choice([1, 1, 1, 2, 5, 6]))
        return NoticeTaken(
            kind=kind,
            impression_id=f"i{at_ms}.{at}",
            verdict=verdict,
            order_id=f"o{at}" if kind == 3 else "",
            line_item_number=item,
            billed_micros=int(self.chance.integers(0, 9_000)) * (-1 if kind == 15 else 1),
            currency="EUR",
            bidder="" if item else "acme",
            advertiser_domain="" if item else "d0.example",
            visitor_id=f"v{self.chance.integers(9)}",
            product_id=f"s{self.chance.integers(4)}",
            creative_number=item * 10,
            placement_id=str(self.chance.choice(["top", "side"])),
            publisher_id=str(self.chance.choice(["p0", "p1"])),
            validity=11 if verdict == 6 else 0,
            test=bool(self.chance.random() < 0.1),
            corrects_kind=int(self.chance.choice([1, 2, 3])) if kind == 15 else 0,
            corrects_taken_at_ms=at_ms - HOUR_MS if kind == 15 else 0,
        )

    def some_products(self) -> ProductsPut:
        """Four products of publisher p0."""
        return ProductsPut("p0", tuple(a_product(f"s{at}", (at + 1) * 1_000_000) for at in range(4)))

    def fill(self, batches: int = 4) -> None:
        """A bit of everything, over several hours and two days."""
        self.append(self.some_products(), at_ms=BEGIN_MS - HOUR_MS)
        for at in range(batches):
            at_ms = BEGIN_MS + at * HOUR_MS // 2
            self.append(self.some_auctions(9, at_ms, tests=(2, 3)), self.some_notices(40, at_ms + 5), at_ms=at_ms)
            self.append(a_page(f"v{at}", at_ms), an_action(f"v{at}", 12, at_ms, f"s{at % 4}"), at_ms=at_ms)


def a_product(product_id: str, price_micros: int, tenant_id: str = "p0") -> Product:
    return Product(product_id, tenant_id, "a chair", "Brand", "chairs", price_micros, "EUR", "", "", True, {})


def a_page(visitor_id: str, at_ms: int, tenant_id: str = "p0", session_id: str = "s") -> FeedPageServed:
    return FeedPageServed(
        at_ms, tenant_id, f"page-{at_ms}", session_id, visitor_id, ("a", "b"), (1, 1), ("x", "x"), (1, 1)
    )


def an_action(visitor_id: str, kind: int, at_ms: int, detail: str = "", tenant_id: str = "p0") -> FeedActionTaken:
    return FeedActionTaken(at_ms, tenant_id, "s", visitor_id, kind, "post", f"a{at_ms}{visitor_id}{detail}", detail)


def _page_view(page: int) -> bytes:
    view = exchange_pb2.PageView(session_id=f"session-{page}")
    view.visitor.visitor_id = f"v{page}"
    for name in ("top", "side"):
        view.placements.add(placement_id=name)
    return view.SerializeToString()


@contextmanager
def batch_world(folder: Path, seed: int = 1) -> Iterator[BatchWorld]:
    """Open a world in a folder, and close it in the end."""
    with campaign_world(folder) as campaigns:
        world = BatchWorld(folder, campaigns, seed)
        try:
            yield world
        finally:
            world.log.close()
