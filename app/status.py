"""How is it going? What /status, /readyz and the gauges say of a running haat."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.haat import Haat
from app.http import Status
from app.metrics import Readings
from app.supply_wiring import AdsTxt
from app.version import version
from app.wiring_kafka import KafkaPart
from app.wiring_nodes import described
from app.wiring_recommender import asked_ahead, in_elasticsearch
from exchange.ads_txt import Standing


class HaatStatus:
    """The StatusSource of a running haat; nothing here waits."""

    def __init__(self, haat: Haat, serves: tuple[str, ...]) -> None:
        self._haat = haat
        self._serves = serves
        self._started_ns = haat.clock.monotonic_ns()
        self._not_ready: tuple[str, ...] = ("starting",)
        self.grpc_address = ""
        haat.metrics.watch(self._readings)

    def ready(self) -> None:
        """Page views are taken from now on."""
        self._not_ready = ()

    def draining(self) -> None:
        """Page views are taken no longer."""
        self._not_ready = ("stopping: calls under way are finished, new ones are refused",)

    def not_ready(self) -> tuple[str, ...]:
        """Why page views are not taken; empty when they are."""
        return self._not_ready

    def metrics(self) -> bytes:
        """All metrics as Prometheus text."""
        return self._haat.metrics.render()

    def status(self) -> Status:
        """What is served, from what, and how fresh it is."""
        haat = self._haat
        return Status(
            version=version(),
            uptime_s=(haat.clock.monotonic_ns() - self._started_ns) / 1e9,
            serves=self._serves,
            grpc_address=self.grpc_address,
            currency=haat.settings.currency,
            currency_rates=self._currency_rates(),
            ranker=haat.serving,
            model_version=haat.model_version,
            why_this_ranker=haat.ranker_sentence,
            snapshot_sequence=haat.follower.snapshot.sequence,
            snapshot_age_s=self._age_s(),
            line_items=len(haat.follower.snapshot.items),
            backends={
                "event log": "LMDB",
                "profiles": "LMDB" if haat.redis is None else "Redis",
                "accounts, campaigns, posts, money": "PostgreSQL" if haat.settings.database_url else "SQLite",
                **({} if haat.elastic is None else {"inventory, search": haat.elastic.told()}),
                **({"recommender's neighbours": "Elasticsearch"} if in_elasticsearch(haat.settings) else {}),
                **({"events of all nodes": f"Kafka: {haat.kafka.sentence()}"} if haat.kafka is not None else {}),
            },
            not_ready=self._not_ready,
            spend=_spend(haat),
            node=haat.settings.node,
            nodes=described(haat.nodes.membership),
            notices_waiting=haat.nodes.forwarding.waiting(),
            notices_not_billed=haat.nodes.forwarding.lost,
        )

    def _currency_rates(self) -> dict[str, str]:
        rates, table = self._haat.currencies, self._haat.currencies.table
        return {
            "version": table.version,
            "source": table.source,
            "age_days": f"{rates.age_s() / 86_400:.1f}",
            "stale": "yes" if rates.is_stale() else "no",
        }

    def _age_s(self) -> float:
        """Since when the inventory is not known to be up to date, whoever is behind: the index, or what follows it."""
        fresh_at_ms = self._haat.follower.fresh_at_ms
        if self._haat.elastic is not None:
            fresh_at_ms = min(fresh_at_ms, self._haat.elastic.fresh_at_ms)
        return max(self._haat.clock.now_ms() - fresh_at_ms, 0) / 1000

    def _readings(self) -> Readings:
        haat = self._haat
        snapshot = haat.follower.snapshot
        return Readings(
            ready=not self._not_ready,
            snapshot_sequence=snapshot.sequence,
            snapshot_age_s=self._age_s(),
            line_items=len(snapshot.items),
            currency_rates_age_s=haat.currencies.age_s(),
            currency_rates_stale=haat.currencies.is_stale(),
            open_holds=len(haat.holds),
            available_micros=int(np.sum(haat.book.available)),
            profiles=haat.profile_store.count() if haat.redis is None else haat.redis.profiles,
            redis=haat.redis.counts() if haat.redis is not None else {},
            spend_age_s=haat.spend_watch.age_s,
            spend_unknown=haat.spend_watch.stale,
            paced_accounts=haat.pacer.paced,
            paced_closed=haat.pacer.closed,
            unreadable_notices=haat.projector.unreadable,
            feed_pages=haat.feed_server.pages_served,
            saved_decisions=dict(haat.answers.sessions.saved),
            shared_answers=dict(haat.answers.shared.counts) if haat.answers.shared is not None else {},
            ads_txt=_ads_txt_seen(haat.ads_txt),
            ads_txt_read=_ads_txt_read(haat.ads_txt),
            **_moderation(haat),
            **({} if haat.elastic is None else haat.elastic.readings()),
            neighbours_asked=asked_ahead(haat.recommender),
            feed_ranker=haat.feed_server.ranker,
            feed_sources=haat.feed_server.watch.troubles(),
            notices=dict(haat.counted_notices.by_verdict),
            heard=dict(haat.measuring.events.heard),
            told=dict(haat.measuring.delivery.by_state),
            events=haat.publisher.published,
            events_dropped=haat.publisher.dropped,
            **_kafka(haat.kafka),
        )


def _ads_txt_seen(ads_txt: AdsTxt | None) -> dict[str, int]:
    if ads_txt is None:
        return {}
    return {standing.name.lower(): ads_txt.check.seen[standing] for standing in Standing}


def _ads_txt_read(ads_txt: AdsTxt | None) -> dict[str, int]:
    return {} if ads_txt is None else {"had": ads_txt.book.had, "missed": ads_txt.book.missed}


def _kafka(kafka: KafkaPart | None) -> dict[str, Any]:
    if kafka is None:
        return {}
    return {
        "kafka_waiting": kafka.shipper.waiting(),
        "kafka_waiting_bytes": kafka.shipper.waiting_bytes,
        "kafka_sent": dict(kafka.shipper.sent),
        "kafka_dropped": dict(kafka.shipper.dropped),
        "kafka_lag": kafka.lag(),
        "kafka_records": kafka.outcomes(),
    }


def _moderation(haat: Haat) -> dict[str, Any]:
    figures = haat.moderation.figures
    oldest_at_ms = figures.oldest_at_ms
    return {
        "cases_waiting": figures.waiting,
        "appeals_waiting": figures.appeals,
        "oldest_case_age_s": max(haat.clock.now_ms() - oldest_at_ms, 0) / 1000 if oldest_at_ms else 0.0,
        "cases_decided": figures.decided,
        "appeals_decided": figures.appeals_decided,
        "decisions_overturned": figures.overturned,
        "decisions_undone": figures.undone,
    }


def _spend(haat: Haat) -> str:
    watch = haat.spend_watch
    if watch.stale:
        return f"not counted for {watch.age_s:.0f} s: what is leased is spent, and nothing more"
    paced = f"{haat.pacer.paced} budgets are spent evenly, {haat.pacer.closed} of them wait"
    return f"counted {watch.age_s:.1f} s ago; {paced}"
