"""Does /metrics say what happened, in text that Prometheus reads?"""

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import BUCKETS_MS, AuctionMetrics, Readings
from exchange.refusals import Refusal

CODES = tuple(Refusal)


def outcomes(**counts: int) -> NDArray[np.int64]:
    found = np.zeros(len(CODES), np.int64)
    for name, count in counts.items():
        found[CODES.index(Refusal[name])] = count
    return found


def samples(metrics: AuctionMetrics) -> dict[tuple[str, ...], float]:
    """Values by name and labels."""
    return {
        (sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_a_batch_counts_each_of_its_page_views_in_the_histogram() -> None:
    metrics = AuctionMetrics()

    metrics.batch_held(4_000_000, 3, 9, 7, outcomes(WON=7, BELOW_FLOOR=5))
    metrics.batch_held(2_000_000_000, 1, 2, 0, outcomes(LOST_TO_HIGHER_BID=4))

    found = samples(metrics)
    assert found["haat_auction_seconds_bucket", "le=0.002"] == 0
    assert found["haat_auction_seconds_bucket", "le=0.005"] == 3
    assert found["haat_auction_seconds_bucket", "le=1.0"] == 3
    assert found["haat_auction_seconds_bucket", "le=+Inf"] == 4
    assert found["haat_auction_seconds_count",] == 4
    assert found["haat_auction_seconds_sum",] == pytest.approx(2.012)
    assert found["haat_batches_total",] == 2
    assert found["haat_page_views_total",] == 4
    assert found["haat_placements_total",] == 11
    assert found["haat_placements_filled_total",] == 7
    assert found["haat_bids_total", "outcome=won"] == 7
    assert found["haat_bids_total", "outcome=below_floor"] == 5
    assert found["haat_bids_total", "outcome=frequency_capped"] == 0


@pytest.mark.parametrize("bound_ms", BUCKETS_MS)
def test_a_duration_on_a_bucket_s_bound_is_within_it(bound_ms: int) -> None:
    metrics = AuctionMetrics()

    metrics.batch_held(bound_ms * 1_000_000, 1, 1, 0, outcomes())

    assert samples(metrics)["haat_auction_seconds_bucket", f"le={bound_ms / 1000}"] == 1


def test_every_refusal_has_a_label() -> None:
    found = samples(AuctionMetrics())

    for code in Refusal:
        assert found["haat_bids_total", f"outcome={code.name.lower()}"] == 0


def test_a_code_without_a_name_keeps_its_number() -> None:
    assert ("haat_bids_total", "outcome=code_777") in samples(AuctionMetrics(codes=[0, 777]))


def test_bidders_notices_and_events_are_counted_by_label() -> None:
    metrics = AuctionMetrics(version="1.2.3")

    metrics.bidder_answered("acme", 10, 25, Refusal.WON)
    metrics.bidder_answered("acme", 4, 0, Refusal.BIDDER_LATE)
    metrics.bidder_answered("acme", 2, 0, Refusal.BIDDER_FAILED)
    metrics.answers_recalled(6)
    metrics.watch(
        lambda: Readings(feed_pages=1, notices={"accepted": 3}, events={"auctions": 7}, events_dropped={"auctions": 1})
    )

    found = samples(metrics)
    assert found["haat_bidder_requests_total", "bidder=acme", "result=asked"] == 16
    assert found["haat_bidder_requests_total", "bidder=acme", "result=answered"] == 10
    assert found["haat_bidder_requests_total", "bidder=acme", "result=late"] == 4
    assert found["haat_bidder_requests_total", "bidder=acme", "result=failed"] == 2
    assert found["haat_bidder_bids_total", "bidder=acme"] == 25
    assert found["haat_notices_total", "verdict=accepted"] == 3
    assert found["haat_events_total", "topic=auctions"] == 7
    assert found["haat_events_dropped_total", "topic=auctions"] == 1
    assert found["haat_kept_answers_total",] == 6
    assert found["haat_feed_pages_total",] == 1
    assert found["haat_build_info", "version=1.2.3"] == 1


def test_gauges_are_read_when_somebody_asks() -> None:
    metrics = AuctionMetrics()
    line_items = [10]
    metrics.watch(lambda: Readings(ready=True, snapshot_sequence=5, line_items=line_items[0]))

    line_items[0] = 11

    found = samples(metrics)
    assert (found["haat_ready",], found["haat_snapshot_sequence",], found["haat_snapshot_line_items",]) == (1, 5, 11)


def test_consent_is_counted_by_rules_and_verdict() -> None:
    metrics = AuctionMetrics()
    metrics.consent_decided(("gdpr",), 0)
    metrics.consent_decided(("us",), 0x7F)
    metrics.consent_decided(("us",), 1)

    text = metrics.render().decode()

    for verdict in ('rules="gdpr",verdict="none"', 'rules="us",verdict="all"', 'rules="us",verdict="some"'):
        assert f"haat_consent_verdicts_total{{{verdict}}} 1.0" in text


def test_what_waits_for_kafka_and_what_groups_have_not_taken_is_told() -> None:
    readings = Readings(
        kafka_waiting={"notices": 3},
        kafka_waiting_bytes=900,
        kafka_dropped={"feed_pages": 7},
        kafka_lag={("reports", "notices", "5"): 2},
        kafka_records={("reports", "duplicate"): 4},
    )

    found = samples(AuctionMetrics(readings=lambda: readings))

    assert found["haat_kafka_waiting", "topic=notices"] == 3
    assert found["haat_kafka_waiting_bytes",] == 900
    assert found["haat_kafka_dropped_total", "topic=feed_pages"] == 7
    assert found["haat_kafka_lag", "group=reports", "partition=5", "topic=notices"] == 2
    assert found["haat_kafka_records_total", "group=reports", "outcome=duplicate"] == 4
