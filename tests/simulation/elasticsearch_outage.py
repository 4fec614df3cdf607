"""What do auctions do while Elasticsearch is gone for long? A haat, page views without a pause, and the line cut.

`python -m tests.simulation.elasticsearch_outage --seconds 60 --inventory direct`; needs `make services`. Prints a line
of counts, and fails when fewer than 99 in 100 page views were sold to, the age of what they were sold from was not
shown, or the change made meanwhile never came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from app.demo_keys import DemoKeys, make_keys
from backends.elasticsearch_client import open_client
from backends.elasticsearch_indices import Indices
from client.campaigns import CampaignClient
from client.errors import CallFailed
from client.exchange import ExchangeClient
from common.clock import SystemClock
from common.ids import new_id
from protos import campaigns_pb2 as campaigns
from services import addresses, folders
from tests.scenarios.conftest import Served, served
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign, until_sold
from tests.services.proxy import Proxy, proxy_before

_GIVE_UP_S = 60.0
_LEAST_SHARE = 0.99
# A snapshot is as old as the outage, but for what lies between two looks at it.
_LEAST_AGE_SHARE = 0.8


async def outage(haat: Served, keys: DemoKeys, proxy: Proxy, seconds: float) -> dict[str, float]:
    """Cut the line for so long, and count."""
    brand = keys.brands[0]
    async with (
        ExchangeClient(haat.target, keys.shop.key, timeout_ms=5000) as shop,
        CampaignClient(haat.target, brand.key, brand.tenant_id) as mine,
    ):
        item = await run_campaign(haat.target, keys, brand)
        live_s = await until_sold(shop)
        proxy.cut()
        begun_s = time.monotonic()
        asked = sold = failed = 0
        oldest_s = oldest_metric_s = 0.0
        changed = False
        while time.monotonic() - begun_s < seconds:
            asked += 1
            try:
                answer = await shop.hold_auction(a_page_view(asked))
                sold += answer.placements[0].HasField("ad")
            except CallFailed:
                failed += 1
            if not changed and time.monotonic() - begun_s > seconds / 2:
                await mine.set_state(item.line_item_id, campaigns.STATE_PAUSED)
                changed = True
            if asked % 200 == 0:
                oldest_s = max(oldest_s, await asyncio.to_thread(snapshot_age_s, haat))
                oldest_metric_s = max(oldest_metric_s, await asyncio.to_thread(snapshot_age_metric_s, haat))
        proxy.heal()
        healed_s = time.monotonic()
        number = 10_000_000
        while (await shop.hold_auction(a_page_view(number))).placements[0].HasField("ad"):
            number += 1
            if time.monotonic() - healed_s > _GIVE_UP_S:
                raise SystemExit(f"the change did not come within {_GIVE_UP_S:.0f} s of the return")
            await asyncio.sleep(0.02)
        return {
            "page_views": asked, "sold": sold, "failed": failed, "share": round(sold / asked, 5),
            "oldest_snapshot_s": round(oldest_s, 1), "oldest_by_metric_s": round(oldest_metric_s, 1),
            "live_after_s": round(live_s, 2), "change_after_return_s": round(time.monotonic() - healed_s, 2),
        }  # fmt: skip


def main() -> int:
    """Run it; 0 when all was as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--inventory", choices=("snapshot", "direct"), default="snapshot")
    asked = parser.parse_args()
    url = addresses.read(folders.services_dir()).get("elasticsearch")
    if not url:
        print("elasticsearch was never started: run `make services` first", file=sys.stderr)
        return 3
    prefix = f"haat-simulation-{new_id(SystemClock().now_ms())[-8:]}"
    with tempfile.TemporaryDirectory() as folder, proxy_before(url) as proxy:
        config = Path(folder) / "elastic.toml"
        config.write_text(
            f'elasticsearch_url = "{proxy.before(url)}"\nelasticsearch_prefix = "{prefix}"\n'
            f'inventory = "{asked.inventory}"\n'
        )
        data_dir = Path(folder) / "haat"
        keys = make_keys(data_dir, ["First brand"])
        try:
            with served(data_dir, Path(folder), config=str(config)) as haat:
                counts = asyncio.run(outage(haat, keys, proxy, asked.seconds))
        finally:
            proxy.heal()
            indices = Indices(open_client(url), prefix)
            indices.remove_all()
            indices.client.close()
    print(f"inventory={asked.inventory}", *(f"{name}={value}" for name, value in counts.items()))
    least_age_s = _LEAST_AGE_SHARE * asked.seconds
    shown = min(counts["oldest_snapshot_s"], counts["oldest_by_metric_s"]) >= least_age_s
    return 0 if counts["share"] >= _LEAST_SHARE and shown else 1


def snapshot_age_s(haat: Served) -> float:
    """How old its snapshot is, by /status."""
    with urllib.request.urlopen(f"http://{haat.http}/status", timeout=10) as answer:
        return float(json.load(answer)["snapshot_age_s"])


def snapshot_age_metric_s(haat: Served) -> float:
    """How old its snapshot is, by /metrics."""
    with urllib.request.urlopen(f"http://{haat.http}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("haat_snapshot_age_seconds "))


if __name__ == "__main__":
    sys.exit(main())
