"""How is it going? What /status, /readyz and the gauges say of a running haat."""

from __future__ import annotations

import numpy as np

from app.haat import Haat
from app.http import Status
from app.metrics import Readings
from app.version import version


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
            backends={"event log": "LMDB", "profiles": "LMDB", "accounts, campaigns, posts, money": "SQLite"},
            not_ready=self._not_ready,
            spend=_spend(haat),
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
        return max(self._haat.clock.now_ms() - self._haat.follower.fresh_at_ms, 0) / 1000

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
            profiles=haat.profile_store.count(),
            spend_age_s=haat.spend_watch.age_s,
            spend_unknown=haat.spend_watch.stale,
            paced_accounts=haat.pacer.paced,
            paced_closed=haat.pacer.closed,
            unreadable_notices=haat.projector.unreadable,
            feed_pages=haat.feed_server.pages_served,
            notices=dict(haat.counted_notices.by_verdict),
            heard=dict(haat.measuring.events.heard),
            told=dict(haat.measuring.delivery.by_state),
            events=haat.publisher.published,
            events_dropped=haat.publisher.dropped,
        )


def _spend(haat: Haat) -> str:
    watch = haat.spend_watch
    if watch.stale:
        return f"not counted for {watch.age_s:.0f} s: what is leased is spent, and nothing more"
    paced = f"{haat.pacer.paced} budgets are spent evenly, {haat.pacer.closed} of them wait"
    return f"counted {watch.age_s:.1f} s ago; {paced}"
