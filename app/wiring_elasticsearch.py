"""What runs on Elasticsearch? The inventory that auctions ask, and the search of the feed; its part of the composition
root. Without `elasticsearch_url` everything is embedded, and nothing of this is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import Engine

from app.engine_access import elasticsearch_access_of
from app.settings import Settings
from backends.campaign_index_elasticsearch import CampaignIndex
from backends.campaign_rows_changed_sql import CampaignRows
from backends.campaign_search_elasticsearch import ElasticsearchCampaignSearch
from backends.campaign_search_sql import SqlCampaignSearch
from backends.elasticsearch_client import open_async_client, open_client
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import LINE_ITEMS
from backends.line_item_finder_elasticsearch import ElasticsearchLineItemFinder
from backends.line_items_elasticsearch import ElasticsearchLineItemSource
from backends.line_items_sql import SqlLineItemSource
from backends.search_elasticsearch import ElasticsearchSearch
from backends.search_fts import FtsSearch
from common.clock import Clock
from common.errors import BackendUnavailable
from exchange.campaign_search import CampaignSearch
from exchange.direct_inventory import DirectInventory, FoundLineItems
from exchange.inventory import Snapshot
from exchange.inventory_follower import InventoryFollower
from exchange.ports import LineItemRecord, LineItemSource, Ranker
from exchange.request import PageView
from exchange.static_worth import StaticWorths
from exchange.visitor import Visitor

Find = Callable[[Sequence[PageView], Sequence[Visitor]], Awaitable[Snapshot]]
SearchBackend = FtsSearch | ElasticsearchSearch

# Changes of other processes are carried over this much later at most; those of this process wake the index at once.
POLL_S = 0.25

_log = logging.getLogger(__name__)


def elastic_of(
    settings: Settings,
    clock: Clock,
    engine: Engine,
    ranker: Ranker,
    rate_of: Callable[[str], float],
    viewable_rate: Callable[[], float],
) -> Elastic | None:
    """What runs on Elasticsearch, if anything does; nothing is asked yet."""
    if not settings.elasticsearch_url:
        return None
    worths = StaticWorths(
        ranker=ranker,
        rate_of=rate_of,
        viewable_rate=viewable_rate,
        engagement_value_micros=settings.engagement_value_micros,
    )
    return Elastic(settings, clock, engine, worths)


def source_of(elastic: Elastic | None, engine: Engine) -> LineItemSource:
    """Where line items come from."""
    return SqlLineItemSource(engine) if elastic is None else elastic.source


def find_of(elastic: Elastic | None, follower: InventoryFollower) -> Find | None:
    """How auctions find their line items; None where all of them are in memory. `follower` takes changes in."""
    if elastic is None:
        return None
    elastic.follow(follower)
    return elastic.find


def indices_of(settings: Settings) -> Indices:
    """The indices that the settings name, with a client of their own."""
    return Indices(
        open_client(settings.elasticsearch_url, elasticsearch_access_of(settings)), settings.elasticsearch_prefix
    )


def search_of(settings: Settings) -> SearchBackend:
    """The search of posts, products and people."""
    if settings.elasticsearch_url:
        return ElasticsearchSearch(indices_of(settings))
    return FtsSearch(settings.data_dir / "search.sqlite")


def campaign_search_of(indices: Indices | None, engine: Engine) -> CampaignSearch:
    """The search of campaigns, line items and creatives; without indices in the record itself."""
    return SqlCampaignSearch(engine) if indices is None else ElasticsearchCampaignSearch(indices)


class SearchFilling:
    """Makes an empty search anew from the records, once."""

    def __init__(self, search: SearchBackend, index_all: Callable[[], object]) -> None:
        self._search = search
        self._index_all = index_all
        self._done = False

    def done(self) -> bool:
        """Is it filled? False while it cannot be written to, and then ask again."""
        if self._done:
            return True
        try:
            if isinstance(self._search, ElasticsearchSearch):
                self._search.ensure()
            if not self._search.count():
                self._index_all()
        except BackendUnavailable as error:
            if isinstance(self._search, FtsSearch):
                raise
            _log.warning("the search is filled as soon as it can be: %s", error)
            return False
        self._done = True
        return True


def expunge(search: SearchBackend) -> None:
    """Take what erased persons left in the search off the disk; the embedded one has done so already."""
    if isinstance(search, ElasticsearchSearch):
        search.expunge()


class Elastic:
    """The inventory on Elasticsearch: carried over from SQL, followed or looked into, and how all of that is doing."""

    def __init__(self, settings: Settings, clock: Clock, engine: Engine, worths: StaticWorths) -> None:
        self._clock = clock
        self._direct_wanted = settings.inventory == "direct"
        self._wait_s = settings.inventory_wait_ms / 1000
        self._candidates = settings.inventory_candidates
        self._most_line_items = settings.inventory_line_items
        self.indices = indices_of(settings)
        self.index = CampaignIndex(self.indices, CampaignRows(engine), clock, worths=worths)
        self._found = FoundLineItems(_StartedFromRecord(ElasticsearchLineItemSource(self.indices), engine))
        access = elasticsearch_access_of(settings)
        self._client = open_async_client(settings.elasticsearch_url, access) if self._direct_wanted else None
        self.source: LineItemSource = self._found
        if not self._direct_wanted:
            self.source = _StartedFromRecord(ElasticsearchLineItemSource(self.indices), engine)
        self._follower: InventoryFollower | None = None
        self._direct: DirectInventory | None = None
        self._wake = asyncio.Event()
        self._trouble = ""

    def follow(self, follower: InventoryFollower) -> None:
        """This is who takes changes in."""
        self._follower = follower
        if self._client is not None:
            finder = ElasticsearchLineItemFinder(
                self._client, self.indices.alias(LINE_ITEMS), self._clock, most=self._candidates
            )
            self._direct = DirectInventory(
                finder, self._found, follower, self._clock,
                wait_s=self._wait_s, most_line_items=self._most_line_items,
            )  # fmt: skip

    @property
    def find(self) -> Find | None:
        """How auctions find their line items; None where all of them are in memory."""
        return None if self._direct is None else self._direct.snapshot_for

    @property
    def fresh_at_ms(self) -> int:
        """When the index was last seen to hold all changes."""
        return self.index.fresh_at_ms

    def changed(self) -> None:
        """A campaign was changed in this process: carry it over at once."""
        self._wake.set()

    async def prepare(self) -> None:
        """Bring the index up to date before the inventory is read, if it can be."""
        try:
            await asyncio.to_thread(self.index.catch_up)
        except BackendUnavailable as error:
            _log.warning("Elasticsearch is not up to date, the inventory begins with the record: %s", error)

    async def carry_over(self) -> None:
        """Until cancelled: changes into the index as they come, and the word to whoever follows it."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_S)
            self._wake.clear()
            try:
                written = await asyncio.to_thread(self.index.catch_up)
            except BackendUnavailable as error:
                if not self._trouble:
                    _log.warning("changes cannot be carried into Elasticsearch, they wait: %s", error)
                self._trouble = str(error)
                continue
            if self._trouble:
                _log.info("changes are carried into Elasticsearch again")
            self._trouble = ""
            if written and self._follower is not None:
                self._follower.changed()

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()
        self.indices.client.close()

    def told(self) -> str:
        """A sentence for /status."""
        how = (
            "found for each page view in Elasticsearch" if self._direct_wanted else "all in memory, from Elasticsearch"
        )
        if self._trouble:
            return f"{how}; changes wait: {self._trouble}"
        return f"{how}; it holds every change up to {self.index.sequence}"

    def readings(self) -> dict[str, Any]:
        """For metrics."""
        return {
            "index_age_s": max(self._clock.now_ms() - self.fresh_at_ms, 0) / 1000,
            "index_sequence": self.index.sequence,
            "index_dead_letters": self.index.dead_letters,
            "indexed": {outcome.value: count for outcome, count in self.index.writer.outcomes.items()},
            "found": {} if self._direct is None else dict(self._direct.decided),
        }


class _StartedFromRecord:
    """LineItemSource that begins with the SQL record where Elasticsearch does not answer at the start, and follows
    Elasticsearch from there: both count changes by the same sequence.
    """

    def __init__(self, index: ElasticsearchLineItemSource, engine: Engine) -> None:
        self._index = index
        self._record = SqlLineItemSource(engine)
        self._from_record = False

    def sequence(self) -> int:
        try:
            return self._index.sequence()
        except BackendUnavailable as error:
            _log.warning("the inventory begins with the record: %s", error)
            self._from_record = True
            return self._record.sequence()

    def active(self) -> list[LineItemRecord]:
        if not self._from_record:
            return self._index.active()
        return self._record.active()

    def changed_since(self, sequence: int) -> tuple[int, list[LineItemRecord], list[str]]:
        newest, running, stopped = self._index.changed_since(sequence)
        # An index that is behind where this process began has nothing newer yet.
        return (newest, running, stopped) if newest > sequence else (sequence, [], [])
