"""How is the exchange doing? Counts and durations as Prometheus text.

The hot path adds plain integers, once a batch; names, labels and text are made when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from common.consent import Permission
from exchange.refusals import Refusal

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Fine around 50 ms, the time in which a page view must be answered.
BUCKETS_MS = (1, 2, 5, 10, 20, 30, 40, 45, 50, 55, 60, 75, 100, 250, 1000)
_BUCKETS_NS = [bound * 1_000_000 for bound in BUCKETS_MS]
_LE = [str(bound / 1000) for bound in BUCKETS_MS] + ["+Inf"]


Counts = dict[tuple[str, ...], int]


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What is read at the moment somebody asks; money in micros of the exchange's currency.

    `notices` counts by verdict, `events` and `events_dropped` count records by topic.
    """

    ready: bool = False
    snapshot_sequence: int = 0
    snapshot_age_s: float = 0.0
    line_items: int = 0
    currency_rates_age_s: float = 0.0
    currency_rates_stale: bool = False
    open_holds: int = 0
    available_micros: int = 0
    profiles: int = 0
    index_age_s: float = 0.0
    index_sequence: int = 0
    index_dead_letters: int = 0
    # Documents written to Elasticsearch, by what became of them; page views by how their line items were found.
    indexed: Mapping[str, int] = {}
    found: Mapping[str, int] = {}
    # Feed pages by what became of the recommender's question to Elasticsearch.
    neighbours_asked: Mapping[str, int] = {}
    spend_age_s: float = 0.0
    spend_unknown: bool = False
    paced_accounts: int = 0
    paced_closed: int = 0
    unreadable_notices: int = 0
    feed_pages: int = 0
    saved_decisions: Mapping[str, int] = {}
    shared_answers: Mapping[str, int] = {}
    redis: Mapping[str, int] = {}
    ads_txt: Mapping[str, int] = {}
    ads_txt_read: Mapping[str, int] = {}
    cases_waiting: int = 0
    appeals_waiting: int = 0
    oldest_case_age_s: float = 0.0
    cases_decided: int = 0
    appeals_decided: int = 0
    decisions_overturned: int = 0
    decisions_undone: int = 0
    # Which ranking decides, and what happened to candidate sources: "<source> failed", "… slow", "… skipped".
    feed_ranker: str = "hand-weighted"
    feed_sources: Mapping[tuple[str, ...], int] = {}
    heard: Mapping[str, int] = {}
    told: Mapping[str, int] = {}
    notices: Mapping[str, int] = {}
    events: Mapping[str, int] = {}
    events_dropped: Mapping[str, int] = {}
    # By topic; lag by group, topic and partition; records that came by group and what became of them.
    kafka_waiting: Mapping[str, int] = {}
    kafka_waiting_bytes: int = 0
    kafka_sent: Mapping[str, int] = {}
    kafka_dropped: Mapping[str, int] = {}
    kafka_lag: Mapping[tuple[str, ...], int] = {}
    kafka_records: Mapping[tuple[str, ...], int] = {}


_GAUGES = {
    "ready": ("haat_ready", "1 while page views are taken"),
    "snapshot_sequence": ("haat_snapshot_sequence", "Newest change that the inventory snapshot holds"),
    "snapshot_age_s": ("haat_snapshot_age_seconds", "Time since the inventory snapshot was last up to date"),
    "line_items": ("haat_snapshot_line_items", "Line items in the inventory snapshot"),
    "currency_rates_age_s": (
        "haat_currency_rates_age_seconds",
        "How old the currency rates are",
    ),
    "currency_rates_stale": ("haat_currency_rates_stale", "1 when the currency rates are too old to be trusted"),
    "open_holds": ("haat_open_holds", "Sold impressions whose money is held and not yet billed or released"),
    "available_micros": (
        "haat_budget_available_micros",
        "Part of the leases that is neither held nor spent, in micros",
    ),
    "unreadable_notices": ("haat_unreadable_notices", "Records of money that could not be read: alarm on any"),
    "spend_age_s": ("haat_spend_age_seconds", "Time since all notices were counted into the ledger"),
    "spend_unknown": ("haat_spend_unknown", "1 while nothing is leased, since the figures of spend are too old"),
    "paced_accounts": ("haat_paced_accounts", "Budgets that are spent evenly"),
    "paced_closed": ("haat_paced_accounts_waiting", "Those of them that wait for their curve or their hours"),
    "cases_waiting": ("haat_moderation_cases_waiting", "Cases that wait for a moderator"),
    "appeals_waiting": ("haat_moderation_appeals_waiting", "Appeals among them"),
    "oldest_case_age_s": ("haat_moderation_oldest_case_age_seconds", "How long the oldest of them has waited"),
    "cases_decided": ("haat_moderation_cases_decided", "Cases that a person has decided"),
    "appeals_decided": ("haat_moderation_appeals_decided", "Appeals that a second person has decided"),
    "decisions_overturned": ("haat_moderation_decisions_overturned", "First decisions that an appeal changed"),
    "decisions_undone": ("haat_moderation_decisions_undone", "Decisions that were taken back"),
    "index_age_s": ("haat_index_age_seconds", "Time since the index was last seen to hold all campaign changes"),
    "index_sequence": ("haat_index_sequence", "Newest campaign change that the index holds"),
    "index_dead_letters": ("haat_index_dead_letters", "Documents that this process could not index, with a reason"),
    "kafka_waiting_bytes": ("haat_kafka_waiting_bytes", "About how many bytes wait to be shipped to Kafka"),
    "profiles": ("haat_profiles", "Visitor profiles that are stored"),
}


class AuctionMetrics:
    """Counts of one process; it is the Observer of exchange.auction. One thread writes; reading may be a moment behind.

    `codes[i]` is the refusal that index `i` of a batch's outcome counts stands for.
    """

    def __init__(
        self, *, codes: Sequence[int] = tuple(Refusal), version: str = "", readings: Callable[[], Readings] = Readings
    ) -> None:
        self._codes = [int(code) for code in codes]
        self._version = version
        self._readings = readings
        self._durations = [0] * len(_LE)
        self._duration_ns = 0
        self._batches = self._page_views = self._placements = self._filled = self._kept = 0
        self._outcomes = np.zeros(len(self._codes), np.int64)
        self._asked: Counts = {}
        self._bids: Counts = {}
        self._consent: Counts = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Families(self._collect))

    def watch(self, readings: Callable[[], Readings]) -> None:
        """From now on `readings` is asked for the gauges, at each scrape; it must not wait."""
        self._readings = readings

    def batch_held(
        self, duration_ns: int, page_views: int, placements: int, filled: int, outcomes: NDArray[np.int64]
    ) -> None:
        """A batch was decided in `duration_ns`, which is what each of its page views took."""
        self._durations[bisect_left(_BUCKETS_NS, duration_ns)] += page_views
        self._duration_ns += duration_ns * page_views
        self._batches += 1
        self._page_views += page_views
        self._placements += placements
        self._filled += filled
        self._outcomes += outcomes

    def answers_recalled(self, page_views: int) -> None:
        """So many page views got the answer that their session had before."""
        self._kept += page_views

    def bidder_answered(self, name: str, page_views: int, bids: int, trouble: Refusal) -> None:
        """An outside bidder was asked for so many page views; `trouble` is WON when it answered in time."""
        result = {Refusal.BIDDER_LATE: "late", Refusal.BIDDER_FAILED: "failed"}.get(trouble, "answered")
        _count(self._asked, page_views, name, "asked")
        _count(self._asked, page_views, name, result)
        _count(self._bids, bids, name)

    def consent_decided(self, regimes: tuple[str, ...], permissions: int) -> None:
        """What a request's consent signals came to, by the rules that applied; "all" is everything but a place."""
        most = int(Permission(0xFF) & ~Permission.PRECISE_LOCATION)
        verdict = "none" if not permissions else "all" if permissions & most == most else "some"
        _count(self._consent, 1, "+".join(regimes), verdict)

    def render(self) -> bytes:
        """Everything in Prometheus' text format, of media type CONTENT_TYPE."""
        return generate_latest(self._registry)

    def _collect(self) -> Iterator[Metric]:
        readings = self._readings()
        build = GaugeMetricFamily("haat_build_info", "The version that runs", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        ranker = GaugeMetricFamily("haat_feed_ranker_info", "The ranking that decides the feed", labels=["ranker"])
        ranker.add_metric([readings.feed_ranker], 1)
        yield ranker
        yield self._histogram()
        for name, text, value in (
            ("haat_batches", "Batches of page views that were decided", self._batches),
            ("haat_page_views", "Page views that were decided", self._page_views),
            ("haat_placements", "Placements that were put up for auction", self._placements),
            ("haat_placements_filled", "Placements that were sold", self._filled),
            ("haat_kept_answers", "Page views answered as their session was before", self._kept),
            ("haat_feed_pages", "Feed pages that were served", readings.feed_pages),
        ):
            yield CounterMetricFamily(name, text, value=value)
        outcomes: Counts = {
            (_name(code),): count for code, count in zip(self._codes, self._outcomes.tolist(), strict=True)
        }
        for name, text, labels, counts in (
            ("haat_bids", "Bids by what became of them", ["outcome"], outcomes),
            ("haat_bidder_requests", "Page views sent to outside bidders", ["bidder", "result"], self._asked),
            ("haat_bidder_bids", "Bids that outside bidders sent", ["bidder"], self._bids),
            ("haat_consent_verdicts", "What consent came to, by rules", ["rules", "verdict"], self._consent),
            ("haat_notices", "Notices by verdict", ["verdict"], _by_label(readings.notices)),
            (
                "haat_feed_source_troubles",
                "Times that a source of the feed failed, was slow, or was left out",
                ["source", "trouble"],
                dict(readings.feed_sources),
            ),
            (
                "haat_browser_events",
                "What browsers said of ads, by what it came to",
                ["result"],
                _by_label(readings.heard),
            ),
            (
                "haat_bidder_notices",
                "Tries to tell bidders, by what came of them",
                ["result"],
                _by_label(readings.told),
            ),
            (
                "haat_saved_decisions",
                "Page views that got their session's answer, by who remembered it",
                ["layer"],
                _by_label(readings.saved_decisions),
            ),
            (
                "haat_shared_answers",
                "Answers that were shared with other processes, by what came of it",
                ["result"],
                _by_label(readings.shared_answers),
            ),
            ("haat_redis", "Batches that Redis was asked, by what came of it", ["result"], _by_label(readings.redis)),
            ("haat_ads_txt", "Requests by what ads.txt says of us", ["standing"], _by_label(readings.ads_txt)),
            (
                "haat_ads_txt_read",
                "Look-ups of ads.txt files, by what came of them",
                ["result"],
                _by_label(readings.ads_txt_read),
            ),
            ("haat_indexed", "Documents written to Elasticsearch", ["outcome"], _by_label(readings.indexed)),
            (
                "haat_found_page_views",
                "Page views by how their line items were found in Elasticsearch",
                ["how"],
                _by_label(readings.found),
            ),
            (
                "haat_recommender_neighbours",
                "Feed pages by what became of the recommender's question to Elasticsearch",
                ["how"],
                _by_label(readings.neighbours_asked),
            ),
            ("haat_events", "Records written to the event log", ["topic"], _by_label(readings.events)),
            (
                "haat_events_dropped",
                "Records that could not be written and are lost",
                ["topic"],
                _by_label(readings.events_dropped),
            ),
            ("haat_kafka_sent", "Records of the log that Kafka took", ["topic"], _by_label(readings.kafka_sent)),
            (
                "haat_kafka_dropped",
                "Telemetry that was dropped unsent, since too much waited",
                ["topic"],
                _by_label(readings.kafka_dropped),
            ),
            (
                "haat_kafka_records",
                "Records that came from Kafka, by what became of them",
                ["group", "outcome"],
                dict(readings.kafka_records),
            ),
        ):
            yield _labelled(name, text, labels, counts)
        yield _gauges(
            "haat_kafka_waiting",
            "Records that wait to be shipped to Kafka",
            ["topic"],
            _by_label(readings.kafka_waiting),
        )
        yield _gauges(
            "haat_kafka_lag",
            "Records that a group has not taken yet, of partitions that are this node's",
            ["group", "topic", "partition"],
            dict(readings.kafka_lag),
        )
        for field, (name, text) in _GAUGES.items():
            yield GaugeMetricFamily(name, text, value=float(getattr(readings, field)))

    def _histogram(self) -> HistogramMetricFamily:
        buckets, below = [], 0
        for bound, count in zip(_LE, self._durations, strict=True):
            below += count
            buckets.append((bound, float(below)))
        return HistogramMetricFamily(
            "haat_auction_seconds",
            "Time from a batch's start to its answers, for each page view",
            buckets=buckets,
            sum_value=self._duration_ns / 1e9,
        )


class _Families(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()


def _name(code: int) -> str:
    return Refusal(code).name.lower() if code in Refusal._value2member_map_ else f"code_{code}"


def _labelled(name: str, text: str, labels: list[str], counts: Counts) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(list(values), count)
    return family


def _gauges(name: str, text: str, labels: list[str], values: Counts) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for of, value in sorted(values.items()):
        family.add_metric(list(of), value)
    return family


def _by_label(counts: Mapping[str, int]) -> Counts:
    return {(label,): count for label, count in counts.items()}


def _count(counts: Counts, more: int, *labels: str) -> None:
    counts[labels] = counts.get(labels, 0) + more
