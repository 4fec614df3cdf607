"""Do two processes of one machine give a session one answer, and each its own once something is not the same?"""

from __future__ import annotations

import asyncio
import re
import shutil
import urllib.request
from pathlib import Path

import pytest

from app.demo_keys import DemoKeys
from client.exchange import ExchangeClient
from protos import exchange_pb2 as exchange
from tests.scenarios.conftest import Serve, Served
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign, until_sold

pytestmark = pytest.mark.slow


def counted(haat: Served, name: str) -> dict[str, int]:
    """The counts of one family of metrics, by its label."""
    with urllib.request.urlopen(f"http://{haat.http}/metrics", timeout=10) as page:
        text = page.read().decode()
    return {label: int(count) for label, count in re.findall(rf'{name}_total\{{\w+="(\w+)"\}} (\d+)', text)}


async def ask(haat: Served, keys: DemoKeys, view: exchange.PageView) -> exchange.Answer:
    async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
        return await shop.hold_auction(view)


async def test_a_session_gets_one_answer_whichever_process_it_asks(
    serve: Serve, keys: DemoKeys, data_dir: Path, tmp_path: Path
) -> None:
    with serve() as haat:
        await run_campaign(haat.target, keys, keys.brands[0])
        async with ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop:
            await until_sold(shop)
        assert haat.stop() == 0
    # The same campaigns, as a store that both read would have them.
    shutil.copytree(data_dir, tmp_path / "twin")
    together = f"session_answers_dir={tmp_path / 'answers'}"
    view = a_page_view(7)
    view.session_id = "session-7"
    with serve(set=together) as one, serve(data_dir=str(tmp_path / "twin"), set=together) as two:
        first = await ask(one, keys, view)
        # The answer is shared a moment after it was given.
        for _ in range(200):
            if counted(one, "haat_shared_answers").get("kept"):
                break
            await asyncio.sleep(0.02)
        second = await ask(two, keys, view)
        again = await ask(two, keys, view)
        other = exchange.PageView()
        other.CopyFrom(view)
        other.consent.ClearField("granted")
        refused = await ask(two, keys, other)
        counts = counted(two, "haat_saved_decisions")
        assert one.stop() == two.stop() == 0

    assert first.placements[0].HasField("ad")
    assert (first.kept, second.kept, again.kept, refused.kept) == (False, True, True, False)
    assert first.auction_id == second.auction_id == again.auction_id != refused.auction_id
    assert second.placements[0].ad == first.placements[0].ad
    assert counts == {"machine": 1, "process": 1}
