"""What came of a replay? Counts, money, prices and latencies, as a person and a program want to read them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from loadgen.arrivals import Pace
from loadgen.quantities import Latencies, Prices
from protos.exchange_pb2 import Ad, Answer, Notice, NoticeOutcome, PricingModel

_REMEMBERED_ERRORS = 10


@dataclass(slots=True)
class ReplayTally:
    """All that was seen from outside. Money is billed micros by (advertiser domain, currency)."""

    page_views: int = 0
    answered: int = 0
    kept: int = 0
    placements: int = 0
    filled: int = 0
    # Why placements stayed empty: codes of the refusal table.
    no_ad_reasons: Counter[int] = field(default_factory=Counter)
    # Page views that got no answer, by gRPC status.
    errors: Counter[str] = field(default_factory=Counter)
    first_errors: list[str] = field(default_factory=list)
    bidders: Counter[str] = field(default_factory=Counter)
    impressions: int = 0
    clicks_logged: int = 0
    clicks_simulated: int = 0
    conversions_simulated: int = 0
    notices_lost: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    spend_micros: Counter[tuple[str, str]] = field(default_factory=Counter)
    prices: Prices = field(default_factory=Prices)
    latencies: Latencies = field(default_factory=Latencies)
    seconds: float = 0.0
    pace: Pace | None = None

    def count_answer(self, answer: Answer) -> None:
        """Add one answer."""
        self.answered += 1
        self.kept += answer.kept
        for placement in answer.placements:
            self.placements += 1
            if placement.HasField("ad"):
                self.filled += 1
                ad = placement.ad
                self.bidders[ad.bidder or "?"] += 1
                self.prices.record(model_name(ad.pricing_model), ad.price_micros)
            else:
                self.no_ad_reasons[placement.no_ad_reason] += 1

    def count_error(self, status: str, text: str) -> None:
        """Add one page view that got no answer."""
        self.errors[status] += 1
        if text not in self.first_errors and len(self.first_errors) < _REMEMBERED_ERRORS:
            self.first_errors.append(text)

    def count_outcome(self, ad: Ad, notice: Notice, outcome: NoticeOutcome) -> None:
        """Add what the exchange said to one notice."""
        verdict = NoticeOutcome.Verdict.Name(outcome.verdict).removeprefix("VERDICT_").lower()
        self.verdicts[verdict] += 1
        if outcome.billed_micros:
            self.spend_micros[ad.advertiser_domain or "?", outcome.currency] += outcome.billed_micros

    def as_json(self) -> dict[str, Any]:
        """Everything, with plain keys."""
        return {
            "page_views": self.page_views,
            "answered": self.answered,
            "kept_answers": self.kept,
            "placements": self.placements,
            "filled": self.filled,
            "fill": self.filled / self.placements if self.placements else 0.0,
            "no_ad_reasons": {str(reason): count for reason, count in sorted(self.no_ad_reasons.items())},
            "errors": dict(self.errors.most_common()),
            "first_errors": self.first_errors,
            "bidders": dict(self.bidders.most_common()),
            "impressions": self.impressions,
            "clicks_logged": self.clicks_logged,
            "clicks_simulated": self.clicks_simulated,
            "conversions_simulated": self.conversions_simulated,
            "notices_lost": self.notices_lost,
            "notice_verdicts": dict(self.verdicts.most_common()),
            "spend": [
                {"advertiser": domain, "currency": currency, "micros": micros}
                for (domain, currency), micros in self.spend_micros.most_common()
            ],
            "price_micros": {
                model: {f"p{percent}": micros for percent, micros in quantiles.items()}
                for model, quantiles in self.prices.quantiles_micros().items()
            },
            "latency": self.latencies.as_json(),
            "seconds": self.seconds,
            "page_views_per_s": self.page_views / self.seconds if self.seconds else 0.0,
            "pace": self.pace.verdict() if self.pace is not None else "",
        }


def model_name(model: PricingModel.ValueType) -> str:
    """`CPM`, `CPC`, `CPA`; `?` for a model that this client does not know."""
    try:
        return PricingModel.Name(model).removeprefix("PRICING_MODEL_")
    except ValueError:
        return "?"
