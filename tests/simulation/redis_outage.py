"""What do two nodes do while Redis is gone for long? Page views without a pause, one budget that runs out, one cap.

`python -m tests.simulation.redis_outage --seconds 60`; needs `make services`. Both nodes spend the budget of one
campaign through the pool in Redis, and count a capped line item by visitors' profiles there; then the line is cut.
Prints a line of counts, and fails when fewer than 99 in 100 page views were answered, when the budget was overspent by
anything, or when a visitor saw the capped line item more often than docs/operations/redis.md says.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles

import msgspec

from app.demo_keys import DemoKeys, make_keys
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.sql import open_engine, sqlite_url
from client.errors import CallFailed
from client.exchange import ExchangeClient
from common.clock import SystemClock
from common.money import MICROS
from exchange.ports import CAMPAIGN_ACCOUNTS
from protos import exchange_pb2 as exchange
from services import addresses, folders
from tests.redis_worlds import remove
from tests.scenarios.conftest import Served, served
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign, until_sold
from tests.services.proxy import Proxy, proxy_before

NODES = 2
CLIENTS_OF_A_NODE = 4
CAP = 3
# Of each client at a time.
VISITORS = 10
PAGES_OF_A_VISIT = 20
# Of a thousand impressions; each of the brands outbids the next, so an impression costs about 0.27.
BIDS_MICROS = (300 * MICROS, 280 * MICROS, 260 * MICROS)
# Once a visitor's profile cannot be read, its visits are counted, by each node that it comes to.
MOST_SEEN = CAP * NODES
_LEAST_SHARE = 0.99
_GIVE_UP_S = 120.0


class Outcome(msgspec.Struct):
    """What became of it; times in milliseconds as clients saw them, money in micros."""

    budget_micros: int
    asked: int = 0
    failed: int = 0
    sold: int = 0
    there_ms: list[float] = []
    gone_ms: list[float] = []
    spent_micros: int = 0
    spent_while_gone_micros: int = 0
    seen: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def answered_share(self) -> float:
        """Of the page views while Redis was gone."""
        return 1 - self.failed / max(self.asked, 1)

    @property
    def overspent_micros(self) -> int:
        return max(self.spent_micros - self.budget_micros, 0)

    @property
    def most_seen(self) -> int:
        """How often one visitor saw the capped line item while Redis was gone."""
        return max(self.seen.values(), default=0)

    def line(self) -> str:
        """All of it in a line."""
        return (
            f"page_views={self.asked} answered={self.asked - self.failed} share={self.answered_share:.5f} "
            f"sold={self.sold} p99_there_ms={p99(self.there_ms):.1f} p99_gone_ms={p99(self.gone_ms):.1f} "
            f"budget={self.budget_micros} spent_while_gone={self.spent_while_gone_micros} spent={self.spent_micros} "
            f"overspent={self.overspent_micros} bound=0 cap={CAP} most_seen={self.most_seen} most_allowed={MOST_SEEN}"
        )


def p99(values: Sequence[float]) -> float:
    """The 99th percentile; 0 of nothing."""
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else sum(values)


class World:
    """Two nodes over one database and one Redis, behind a proxy."""

    def __init__(self, nodes: Sequence[Served], keys: DemoKeys, proxy: Proxy, url: str, budget_micros: int) -> None:
        self.nodes, self.keys, self.proxy, self.url = nodes, keys, proxy, url
        self.outcome = Outcome(budget_micros)
        self._gone = False
        self._over = asyncio.Event()
        self._capped_id = ""
        self._budgeted_id = ""
        self._since_sold_s = time.monotonic()

    async def run(self, there_s: float, gone_s: float) -> Outcome:
        """Ask with Redis, without it, and with it again until nothing is left of the budget."""
        target, (first, second, third) = self.nodes[0].target, self.keys.brands
        budget_micros = self.outcome.budget_micros
        await run_campaign(target, self.keys, third, bid_micros=BIDS_MICROS[2], budget_micros=10**6 * MICROS)
        capped = await run_campaign(
            target, self.keys, second, bid_micros=BIDS_MICROS[1], budget_micros=10**6 * MICROS, cap=CAP
        )
        budgeted = await run_campaign(target, self.keys, first, bid_micros=BIDS_MICROS[0], budget_micros=budget_micros)
        self._capped_id, self._budgeted_id = capped.line_item_id, budgeted.line_item_id
        async with AsyncExitStack() as stack:
            shops = [
                await stack.enter_async_context(ExchangeClient(node.target, self.keys.shop.key, timeout_ms=5_000))
                for node in self.nodes
            ]
            for shop in shops:
                await until_sold(shop, line_item_id=self._budgeted_id)
            clients = [
                asyncio.create_task(self._client(shop, at * CLIENTS_OF_A_NODE + number))
                for at, shop in enumerate(shops)
                for number in range(CLIENTS_OF_A_NODE)
            ]
            await asyncio.sleep(there_s)
            self.proxy.cut()
            self._gone = True
            await asyncio.sleep(gone_s)
            self._gone = False
            self.proxy.heal()
            # What the pool had leased comes back with it.
            self._since_sold_s = time.monotonic()
            until_s = self._since_sold_s + _GIVE_UP_S
            while time.monotonic() < min(until_s, self._since_sold_s + 10):
                await asyncio.sleep(0.1)
            self._over.set()
            await asyncio.gather(*clients)
        return self.outcome

    async def _client(self, shop: ExchangeClient, number: int) -> None:
        page = 0
        while not self._over.is_set():
            page += 1
            # Each comes to both nodes, and leaves before there were more impressions than are counted.
            visit = page // (VISITORS * PAGES_OF_A_VISIT)
            visitor = f"visitor-{number % CLIENTS_OF_A_NODE}-{visit}-{page % VISITORS}"
            view = a_page_view(page * 1_000 + number, visitor=visitor)
            # One visit of each visitor, on pages that are never the same: none is answered out of memory.
            view.session_id = visitor
            view.page.url = f"https://shop.example/{number}/{page}"
            begun_s, gone = time.monotonic(), self._gone
            try:
                (place,) = (await shop.hold_auction(view)).placements
            except CallFailed:
                self._note(begun_s, gone=gone, failed=True)
                continue
            self._note(begun_s, gone=gone)
            if place.HasField("ad"):
                await self._seen(shop, visitor, place.ad, gone=gone)

    async def _seen(self, shop: ExchangeClient, visitor: str, ad: exchange.Ad, *, gone: bool) -> None:
        seen = exchange.Notice(kind=exchange.Notice.KIND_IMPRESSION, impression_id=ad.impression_id)
        (outcome,) = await shop.report_notices([seen])
        self.outcome.sold += gone
        if ad.line_item_id == self._budgeted_id:
            self._since_sold_s = time.monotonic()
            self.outcome.spent_while_gone_micros += outcome.billed_micros * gone
        elif ad.line_item_id == self._capped_id:
            self.outcome.seen[visitor] += gone

    def _note(self, begun_s: float, *, gone: bool, failed: bool = False) -> None:
        took_ms = 1_000 * (time.monotonic() - begun_s)
        if gone:
            self.outcome.asked += 1
            self.outcome.failed += failed
        if not failed:
            (self.outcome.gone_ms if gone else self.outcome.there_ms).append(took_ms)

    def account(self) -> None:
        """What the ledger says, when both nodes have ended."""
        assert [node.stop() for node in self.nodes] == [0] * NODES
        engine = open_engine(self.url)
        # The third campaign that was made.
        standing = SqlBudgetLedger(engine).state(CAMPAIGN_ACCOUNTS + 3, SystemClock().now_ms())
        engine.dispose()
        self.outcome.spent_micros = standing.spent_total_micros + standing.leased_micros


@contextmanager
def a_world(redis_url: str, folder: Path, budget_micros: int) -> Iterator[World]:
    """Two nodes that serve, with keys of their own in Redis, removed at the end."""
    prefix = f"haat-simulation-{uuid.uuid4().hex[:12]}"
    first = folder / "node-1"
    keys = make_keys(first, ["First brand", "Second brand", "Third brand"])
    url = sqlite_url(first.resolve())
    with ExitStack() as stack:
        proxy = stack.enter_context(proxy_before(redis_url))
        stack.callback(remove, redis_url, prefix)
        nodes = []
        for number in range(1, NODES + 1):
            config = folder / f"node-{number}.toml"
            settings = {
                "node": f"exchange-{number}", "database_url": url, "shared_dir": str(first),
                "redis_url": proxy.before(redis_url), "redis_prefix": prefix,
            }  # fmt: skip
            config.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
            nodes.append(stack.enter_context(served(folder / f"node-{number}", folder, config=str(config))))
        yield World(nodes, keys, proxy, url, budget_micros)


def play(redis_url: str, *, there_s: float, gone_s: float, budget_micros: int) -> Outcome:
    """All of it, once."""
    with tempfile.TemporaryDirectory() as folder, a_world(redis_url, Path(folder), budget_micros) as world:
        asyncio.run(world.run(there_s, gone_s))
        world.account()
        return world.outcome


def main() -> int:
    """Run it; 0 when all was as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--budget", type=int, default=500, help="in EUR; an impression costs about 0.27")
    asked = parser.parse_args()
    url = addresses.read(folders.services_dir()).get("redis")
    if not url:
        print("redis was never started: run `make services` first", file=sys.stderr)
        return 3
    found = play(url, there_s=asked.seconds / 6, gone_s=asked.seconds, budget_micros=asked.budget * MICROS)
    print(found.line())
    fine = found.answered_share >= _LEAST_SHARE and not found.overspent_micros and found.most_seen <= MOST_SEEN
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
