"""What happened in the demo? Counted twice where it matters: by the shop outside and by the event log inside."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from app.demo_feed_summary import Moderated, print_feed
from app.demo_progress import plain_table
from backends.event_log_lmdb import LmdbEventLog
from common.ids import text_of
from common.money import shown
from exchange.refusals import MEANINGS, Refusal
from loadgen.feed_tally import FeedTally
from loadgen.tally import ReplayTally
from ranking.model import ModelRefused, load_evaluation
from ranking.report import summary_lines
from streams import schemas
from streams.auction_block import AuctionColumns
from streams.feed_events import FeedPageServed
from streams.topics import AUCTIONS, FEED_PAGES, NOTICES

CURRENCY = "EUR"
# The refusals that the demo's world of advertisers is made to meet, each at least once.
SHOWN_BY_DEMO = (
    Refusal.WON, Refusal.INVALID_BID, Refusal.BELOW_FLOOR, Refusal.LOST_TO_HIGHER_BID, Refusal.CREATIVE_PENDING,
    Refusal.CREATIVE_REFUSED, Refusal.SIZE_NOT_ALLOWED, Refusal.FORMAT_NOT_ALLOWED, Refusal.ADVERTISER_BLOCKED,
    Refusal.CATEGORY_BLOCKED, Refusal.BUDGET_EXHAUSTED, Refusal.FREQUENCY_CAPPED, Refusal.OUT_OF_SCHEDULE,
    Refusal.WRONG_CURRENCY, Refusal.BRAND_ON_PAGE, Refusal.PRODUCT_ON_PAGE, Refusal.BIDDER_LATE, Refusal.BIDDER_FAILED,
    Refusal.NOT_WORTH_BIDDING, Refusal.OUT_OF_STOCK,
)  # fmt: skip
_QS = (50, 95, 99)


@dataclass(slots=True)
class Logged:
    """What the event log holds."""

    batches: int = 0
    auctions: int = 0
    placements: int = 0
    sold: int = 0
    bids_in: int = 0
    outcomes: Counter[int] = field(default_factory=Counter)
    last_auction_id: str = ""
    first_held_at_ms: int = 0
    billed_micros: int = 0
    notices: int = 0
    feed_pages: int = 0


@dataclass(slots=True)
class Summary:
    """The shop's tally, the shoppers', the log's, what became of posts, and the model's evaluation."""

    tally: ReplayTally
    scrolled: FeedTally
    moderated: Moderated
    logged: Logged
    held: int
    within_50_ms: float
    evaluation: list[str]
    # From the command to the first auction.
    first_auction_after_s: float

    @property
    def last_auction_id(self) -> str:
        """An auction to look into."""
        return self.logged.last_auction_id

    @property
    def bids_accounted_for(self) -> bool:
        """Bids in = won + lost + refused, by code."""
        return self.logged.bids_in == sum(self.logged.outcomes.values())

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        logged = self.logged
        return {
            "replay": self.tally.as_json(),
            "feed": self.scrolled.as_json() | {"moderation": self.moderated.as_json()},
            "first_auction_after_s": self.first_auction_after_s,
            "auctions_held": self.held,
            "decided_within_50_ms": self.within_50_ms,
            "auctions_in_event_log": logged.auctions,
            "bids_in": logged.bids_in,
            "bids_by_outcome": {str(code): count for code, count in sorted(logged.outcomes.items())},
            "billed_in_event_log_micros": logged.billed_micros,
            "feed_pages_in_event_log": logged.feed_pages,
            "model": self.evaluation,
        }


def summarise(
    metrics: str,
    data_dir: Path,
    tally: ReplayTally,
    scrolled: FeedTally,
    moderated: Moderated,
    model_folder: Path,
    begun_at_ms: int,
) -> Summary:
    """Put together what was seen outside and what stands in the log; `metrics` is the text of /metrics."""
    try:
        evaluation = summary_lines(load_evaluation(model_folder))
    except ModelRefused as refused:
        evaluation = [f"{refused}. The smoothed rates serve."]
    held = metric_of(metrics, "haat_page_views_total")
    timed = metric_of(metrics, "haat_auction_seconds_count")
    within = metric_of(metrics, 'haat_auction_seconds_bucket{le="0.05"}') / max(timed, 1)
    logged = read_log(data_dir)
    first_after_s = max(logged.first_held_at_ms - begun_at_ms, 0) / 1000
    return Summary(tally, scrolled, moderated, logged, held, within, evaluation, first_after_s)


def metric_of(metrics: str, name: str) -> int:
    """The value of one line of /metrics, -1 without it."""
    for line in metrics.splitlines():
        if line.startswith(f"{name} "):
            return int(float(line.rsplit(" ", 1)[1]))
    return -1


def read_log(data_dir: Path) -> Logged:
    """Count the log from its first record to its last."""
    logged = Logged()
    with closing(LmdbEventLog(data_dir / "log", readonly=True)) as log:
        for topic in (AUCTIONS.name, NOTICES.name, FEED_PAGES.name):
            offset = 0
            while records := log.read(topic, offset, 256):
                offset = records[-1].offset + 1
                for record in records:
                    _count(logged, schemas.decode(topic, record))
    return logged


def _count(logged: Logged, event: object) -> None:
    if isinstance(event, AuctionColumns):
        logged.batches += 1
        logged.first_held_at_ms = logged.first_held_at_ms or event.held_at_ms
        logged.auctions += len(event.auction_id_high)
        logged.placements += len(event.winner_row_plus_one)
        logged.sold += int(np.count_nonzero(event.winner_row_plus_one))
        logged.bids_in += int(event.bids_in.sum())
        logged.outcomes.update(event.bid_outcome.tolist())
        for code, count in zip(event.more_outcome.tolist(), event.more_count.tolist(), strict=True):
            logged.outcomes[code] += count
        # One with several bids tells the most.
        page = int(np.argmax(event.bids_in))
        logged.last_auction_id = text_of(int(event.auction_id_high[page]) << 64 | int(event.auction_id_low[page]))
    elif isinstance(event, schemas.NoticesTaken):
        logged.notices += len(event.notices)
        logged.billed_micros += sum(notice.billed_micros for notice in event.notices)
    elif isinstance(event, FeedPageServed):
        logged.feed_pages += 1


def print_summary(console: Console, summary: Summary) -> None:
    """All of it, as a person wants to read it."""
    tally, logged, scrolled = summary.tally, summary.logged, summary.scrolled
    latency = tally.latencies
    console.rule("[bold]What happened")
    facts = plain_table("", "", "")
    facts.show_header = False
    billed = sum(tally.spend_micros.values())
    billed_in_feed = sum(scrolled.billed_micros.values())
    for name, value in (
        ("from the command to the first auction", f"{summary.first_auction_after_s:.1f} s"),
        ("page views", f"{tally.page_views:,} in {tally.seconds:.1f} s"),
        ("without an answer", f"{sum(tally.errors.values()):,}"),
        ("answers kept for the session", f"{tally.kept:,}"),
        ("placements filled", _share(tally.filled, tally.placements)),
        ("latency p50 / p95 / p99, as the shop saw it", " / ".join(f"{latency.quantile_ms(q):.1f} ms" for q in _QS)),
        ("decided by the server within 50 ms", f"{100 * summary.within_50_ms:.2f} %"),
        (
            "impressions, clicks",
            f"{tally.impressions:,}, {tally.clicks_logged} logged + {tally.clicks_simulated} drawn",
        ),
        ("billed to advertisers on pages", shown(billed, CURRENCY)),
        ("feed pages served", f"{scrolled.pages:,} with {scrolled.posts:,} posts and {scrolled.ads:,} ads"),
    ):
        facts.add_row(name, value)
    console.print(facts)
    if tally.pace is not None and not tally.pace.kept:
        console.print(f"Latencies count from the time of the log; {tally.pace.verdict()}.")
    console.print(
        "Clicks are the log's own where the shown product is the logged one; elsewhere they are drawn from the "
        "smoothed rate of the product and position, and say nothing about people."
    )
    console.print()

    print_feed(console, scrolled, summary.moderated, CURRENCY)
    spend = plain_table("Spend by advertiser", "advertiser", "billed")
    for (domain, currency), micros in tally.spend_micros.most_common():
        spend.add_row(domain, shown(micros, currency))
    console.print(spend)
    prices = plain_table("Clearing prices", "pricing", "p10", "p50", "p90")
    for model, quantiles in tally.prices.quantiles_micros().items():
        prices.add_row(model, *(shown(micros, CURRENCY) for micros in quantiles.values()))
    console.print(prices)

    bids = plain_table("Bids by what became of them", "outcome", "code", "bids")
    for code, count in sorted(logged.outcomes.items()):
        bids.add_row(MEANINGS.get(Refusal(code), "?"), str(code), f"{count:,}")
    console.print(bids)
    missing = [code.name for code in SHOWN_BY_DEMO if code not in logged.outcomes]
    if missing:
        console.print(f"No bid fell to: {', '.join(missing)}.")
    console.print()
    for line in summary.evaluation:
        console.print(line, markup=False, soft_wrap=True)
    console.print()
    console.print(_check("auctions held = auctions in the event log", summary.held, logged.auctions))
    console.print(_check("bids in = won + lost + refused, by code", logged.bids_in, sum(logged.outcomes.values())))
    console.print(
        _check("micros billed to the shop's notices = in the log", billed + billed_in_feed, logged.billed_micros)
    )
    if tally.notices_lost:
        console.print(
            f"{tally.notices_lost:,} notices got no answer in time: what they billed stands in the log, and the shop "
            "does not know of it."
        )
    console.print(_check("feed pages served = in the event log", scrolled.pages, logged.feed_pages))
    console.print(_check("posts shown twice or after they were hidden", scrolled.repeated + scrolled.hidden_shown, 0))


def print_hints(console: Console, target: str, http_address: str, key: str, data_dir: Path, auction_id: str) -> None:
    """What to try next."""
    request = (
        '{"session_id":"me","page":{"categories":["fashion"],"keywords":["shoes"]},"placements":'
        '[{"placement_id":"top","formats":["FORMAT_PRODUCT_LISTING"],"floor_micros":100000,"position":1}]}'
    )
    console.rule("[bold]It keeps serving until Ctrl-C. Try")
    for command in (
        f".venv/bin/haat call HoldAuction '{request}' --target {target} --api-key {key}",
        f"grpcurl -plaintext -H 'x-api-key: {key}' -d '{request}' {target} haat.exchange.v1.AuctionService/HoldAuction",
        f".venv/bin/haat auction explain {auction_id} --data-dir {data_dir}",
        f".venv/bin/haat auction replay --all --data-dir {data_dir}",
        f"HAAT_API_KEY={key} .venv/bin/haat load --target {target} --for 10s",
        f"curl http://{http_address}/status",
    ):
        console.print(command, markup=False, soft_wrap=True)


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / max(whole, 1):.1f} %)"


def _check(what: str, one: int, other: int) -> str:
    verdict = "[green]equal[/]" if one == other else "[bold red]DIFFERENT[/]"
    return f"{what}: {one:,} = {other:,}, {verdict}"
