"""Are two nodes over one database one exchange? Budgets, notices at the wrong node, restarts and kills."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from app.demo_keys import DemoKeys, make_keys
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.sql import reading, writing
from backends.sql_tables_budgets import BUDGET_LEASES
from backends.sql_tables_nodes import NODES
from client.errors import CallFailed
from client.exchange import ExchangeClient
from common.clock import SystemClock
from common.ids import node_of, number_of
from common.money import MICROS
from exchange.ports import CAMPAIGN_ACCOUNTS
from protos import exchange_pb2 as exchange
from tests.databases import database_url, open_database
from tests.scenarios.conftest import Serve, Served
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign, until_sold

pytestmark = [pytest.mark.slow, pytest.mark.on_every_database]

SEEN = exchange.Notice.KIND_IMPRESSION
Verdict = exchange.NoticeOutcome
# So long may an ad be seen, where a test waits for that time to be over.
UNSEEN_S = 5


class Pair:
    """Two nodes over the database of the first one, started and stopped one by one."""

    def __init__(self, serve: Serve, first: Path, tmp_path: Path) -> None:
        self._serve = serve
        self._tmp_path = tmp_path
        self._first = first
        self._stack = contextlib.ExitStack()
        self._ports: dict[int, tuple[str, str]] = {}
        self.settings: dict[str, str] = {}
        """What both have beyond their names."""

    def close(self) -> None:
        self._stack.close()

    def start(self, number: int, **flags: str) -> Served:
        """Node 1 or 2; a restarted one is where it was."""
        folder = self._first if number == 1 else self._tmp_path / f"node-{number}"
        config = self._tmp_path / f"node-{number}.toml"
        settings = {
            "node": f"exchange-{number}",
            "database_url": database_url(self._first.resolve()),
            "shared_dir": str(self._first),
            **self.settings,
        }
        config.write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
        if number in self._ports:
            grpc_port, http_port = self._ports[number]
            flags = {"grpc_port": grpc_port, "http_port": http_port, **flags}
        served = self._stack.enter_context(self._serve(data_dir=str(folder), config=str(config), **flags))
        self._ports[number] = served.target.rpartition(":")[2], served.http.rpartition(":")[2]
        return served


@pytest.fixture
def keys(data_dir: Path) -> DemoKeys:
    return make_keys(data_dir, ["First brand"], database_url=database_url(data_dir.resolve()))


@pytest.fixture
def pair(serve: Serve, data_dir: Path, tmp_path: Path) -> Iterator[Pair]:
    two = Pair(serve, data_dir, tmp_path)
    yield two
    two.close()


def seen(ads: Sequence[exchange.Ad]) -> list[exchange.Notice]:
    return [exchange.Notice(kind=SEEN, impression_id=ad.impression_id) for ad in ads]


async def sold_by(served: Served, keys: DemoKeys, numbers: range) -> list[exchange.Ad]:
    async with ExchangeClient(served.target, keys.shop.key, timeout_ms=5000) as shop:
        answers = [await shop.hold_auction(a_page_view(number)) for number in numbers]
    return [answer.placements[0].ad for answer in answers if answer.placements[0].HasField("ad")]


def spent_and_leased(data_dir: Path, account: int = CAMPAIGN_ACCOUNTS + 1) -> tuple[int, int]:
    engine = open_database(data_dir)
    standing = SqlBudgetLedger(engine).state(account, SystemClock().now_ms())
    engine.dispose()
    return standing.spent_total_micros, standing.leased_micros


async def test_what_one_node_sold_is_billed_once_whichever_node_hears_of_it(
    pair: Pair, keys: DemoKeys, data_dir: Path
) -> None:
    one, two = pair.start(1), pair.start(2)
    await run_campaign(one.target, keys, keys.brands[0], bid_micros=2_345_000)
    async with (
        ExchangeClient(one.target, keys.shop.key, timeout_ms=5000) as at_one,
        ExchangeClient(two.target, keys.shop.key, timeout_ms=5000) as at_two,
    ):
        await until_sold(at_one)
        await until_sold(at_two)
        ads = await sold_by(one, keys, range(5)) + await sold_by(two, keys, range(10, 15))
        assert {node_of(number_of(ad.impression_id[:32])) for ad in ads} == {1, 2}
        first = await at_one.report_notices(seen(ads))
        again = await at_two.report_notices(seen(ads))
        nobodys = await at_two.report_notices([exchange.Notice(kind=SEEN, impression_id="0" * 32 + ".0")])

    assert {outcome.verdict for outcome in first} == {Verdict.VERDICT_ACCEPTED}
    assert {outcome.verdict for outcome in again} == {Verdict.VERDICT_DUPLICATE}
    assert nobodys[0].verdict == Verdict.VERDICT_UNKNOWN
    # Prices of a thousand impressions, each billed as one of them.
    assert sum(outcome.billed_micros for outcome in first) == sum(ad.price_micros for ad in ads) // 1000
    assert (one.stop(), two.stop()) == (0, 0)
    spent, leased = spent_and_leased(data_dir)
    assert spent == sum(outcome.billed_micros for outcome in first)
    assert leased < 100 * MICROS


async def test_a_notice_waits_for_the_node_that_sold_the_ad(pair: Pair, keys: DemoKeys, data_dir: Path) -> None:
    one, two = pair.start(1), pair.start(2)
    await run_campaign(one.target, keys, keys.brands[0], bid_micros=2_345_000)
    async with ExchangeClient(two.target, keys.shop.key, timeout_ms=5000) as at_two:
        await until_sold(at_two)
        ads = await sold_by(two, keys, range(8))
    two.stop(signal.SIGKILL)
    async with ExchangeClient(one.target, keys.shop.key, timeout_ms=10_000) as at_one:
        outcomes = await at_one.report_notices(seen(ads))
        assert {outcome.verdict for outcome in outcomes} == {Verdict.VERDICT_FORWARDED}
        # What the first was told is not lost when it dies too.
        one.stop(signal.SIGKILL)
        one, two = pair.start(1), pair.start(2)
        for _ in range(200):
            said = await at_one.report_notices(seen(ads))
            if {outcome.verdict for outcome in said} == {Verdict.VERDICT_DUPLICATE}:
                break
            await asyncio.sleep(0.05)
        assert {outcome.verdict for outcome in said} == {Verdict.VERDICT_DUPLICATE}
    assert (one.stop(), two.stop()) == (0, 0)
    assert spent_and_leased(data_dir)[0] == sum(ad.price_micros for ad in ads) // 1000


async def test_a_name_is_held_by_one_process(pair: Pair, keys: DemoKeys, data_dir: Path, tmp_path: Path) -> None:
    one = pair.start(1)
    other = tmp_path / "another"
    words = [
        "--data-dir",
        str(other),
        "--config",
        str(tmp_path / "node-1.toml"),
        "--grpc-port",
        "0",
        "--http-port",
        "0",
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "serve", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode not in (0, None)
    assert b"'exchange-1' is held by another process" in said
    assert one.stop() == 0


async def test_both_are_restarted_in_turn_and_no_call_fails(pair: Pair, keys: DemoKeys, data_dir: Path) -> None:
    nodes = {1: pair.start(1), 2: pair.start(2)}
    await run_campaign(nodes[1].target, keys, keys.brands[0], bid_micros=2_345_000)
    for served in nodes.values():
        async with ExchangeClient(served.target, keys.shop.key, timeout_ms=5000) as shop:
            await until_sold(shop)
    targets = [served.target for served in nodes.values()]
    failed: list[CallFailed] = []
    counts: Counter[str] = Counter()
    ads: list[exchange.Ad] = []
    over = asyncio.Event()

    async def ask(shop: ExchangeClient, first: int) -> None:
        number = first
        while not over.is_set():
            number += 1
            try:
                answer = await shop.hold_auction(a_page_view(number))
                counts["answers"] += 1
                won = [place.ad for place in answer.placements if place.HasField("ad")]
                if won and number % 5 == 0:
                    for outcome in await shop.report_notices(seen(won)):
                        counts[Verdict.Verdict.Name(outcome.verdict)] += 1
                    ads.extend(won)
            except CallFailed as error:
                failed.append(error)
            await asyncio.sleep(0.005)

    async with (
        ExchangeClient(targets, keys.shop.key, timeout_ms=20_000) as streaming,
        ExchangeClient(targets[::-1], keys.shop.key, timeout_ms=20_000, coalesce=False) as single,
    ):
        asking = [
            asyncio.create_task(ask(shop, at * 1_000_000)) for at, shop in enumerate((streaming, single, streaming))
        ]
        for number in (1, 2):
            before = counts["answers"]
            assert await asyncio.to_thread(nodes[number].stop) == 0
            nodes[number] = await asyncio.to_thread(pair.start, number)
            # Under load all the time: somebody answered while it was away.
            assert counts["answers"] > before
        over.set()
        await asyncio.gather(*asking)
        # What waited for the other node has reached it by now, or does so soon.
        for _ in range(400):
            said = await single.report_notices(seen(ads[-1_000:]))
            if {outcome.verdict for outcome in said} == {Verdict.VERDICT_DUPLICATE}:
                break
            await asyncio.sleep(0.05)
        assert {outcome.verdict for outcome in said} == {Verdict.VERDICT_DUPLICATE}

    assert failed == []
    assert set(counts) <= {"answers", "VERDICT_ACCEPTED", "VERDICT_FORWARDED"}
    assert [served.stop() for served in nodes.values()] == [0, 0]
    assert spent_and_leased(data_dir)[0] == sum(ad.price_micros for ad in ads) // 1000


async def test_a_node_killed_while_it_spends_overspends_nothing_and_its_budget_comes_back(
    pair: Pair, keys: DemoKeys, data_dir: Path
) -> None:
    pair.settings["impression_ttl_s"] = str(UNSEEN_S)
    one, two = pair.start(1), pair.start(2)
    await run_campaign(one.target, keys, keys.brands[0], bid_micros=234_500_000)
    async with ExchangeClient(two.target, keys.shop.key, timeout_ms=5000) as shop:
        await until_sold(shop)
        ads = await sold_by(two, keys, range(12))
        sold_s = time.monotonic()
        await shop.report_notices(seen(ads[:6]))
    two.stop(signal.SIGKILL)
    assert leases_of(data_dir, "exchange-2") > 0
    # Not while it may still be there, whoever restarts beside it.
    assert one.stop() == 0
    one = pair.start(1)
    assert leases_of(data_dir, "exchange-2") > 0
    been_away(data_dir, "exchange-2", 26 * 3_600_000)
    for _ in range(1200):
        if not leases_of(data_dir, "exchange-2"):
            break
        await asyncio.sleep(0.05)
    assert leases_of(data_dir, "exchange-2") == 0
    async with ExchangeClient(one.target, keys.shop.key, timeout_ms=5000) as shop:
        late = await shop.report_notices(seen(ads[6:]))
        assert {outcome.verdict for outcome in late} == {Verdict.VERDICT_EXPIRED}
        # All that is left is the other's now.
        number, in_vain = 2_000_000, 0
        while in_vain < 1_000:
            number, in_vain = number + 1, in_vain + 1
            view = a_page_view(number)
            view.placements[0].floor_micros = 200_000_000
            answer = await shop.hold_auction(view)
            if answer.placements[0].HasField("ad"):
                in_vain = 0
                await shop.report_notices(seen([answer.placements[0].ad]))
            else:
                await asyncio.sleep(0.01)
    # A heartbeat can be made older, and what the node's log says of its ads cannot: their time really runs out, else it
    # would take them up again at its start, and lease what they had reserved.
    await asyncio.sleep(max(UNSEEN_S + 1 - (time.monotonic() - sold_s), 0))
    two = pair.start(2)
    assert (one.stop(), two.stop()) == (0, 0)
    spent, leased = spent_and_leased(data_dir)
    assert leased == 0
    # Less than the price of a few impressions is left.
    assert 99 * MICROS <= spent <= 100 * MICROS


def been_away(data_dir: Path, node: str, ms: int) -> None:
    """The node was last heard of so much earlier."""
    engine = open_database(data_dir)
    earlier = NODES.c.heartbeat_at_ms - ms
    with writing(engine) as connection:
        connection.execute(update(NODES).where(NODES.c.name == node).values(heartbeat_at_ms=earlier))
    engine.dispose()


def leases_of(data_dir: Path, node: str) -> int:
    engine = open_database(data_dir)
    own = BUDGET_LEASES.c.holder == node, BUDGET_LEASES.c.account == CAMPAIGN_ACCOUNTS + 1
    with reading(engine) as connection:
        leased = connection.execute(select(func.sum(BUDGET_LEASES.c.micros)).where(*own)).scalar()
    engine.dispose()
    return int(leased or 0)
