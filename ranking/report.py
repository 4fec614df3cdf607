"""How is the model's quality told to a person? A table beside the smoothed rate, and which one serves."""

from __future__ import annotations

import math

from ranking.evaluation import Evaluation
from ranking.metrics import MEASURES, Measured

_NAMES = {
    "log_loss": "log loss",
    "normalised_entropy": "normalised entropy",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "calibration_error": "calibration error",
    "calibration_ratio": "predicted / clicked",
}
_BETTER = {True: "higher", False: "lower", None: "near 1"}


def summary_lines(evaluation: Evaluation) -> list[str]:
    """Markdown lines that read well as plain text too; figures with their 95 % intervals."""
    rows = [["measure (better)", "model", "smoothed rate", "model - rate"]]
    for name, better in MEASURES.items():
        sides = (evaluation.model[name], evaluation.prior[name], evaluation.difference[name])
        digits = 6 if name in ("log_loss", "calibration_error") else 4
        rows.append([f"{_NAMES[name]} ({_BETTER[better]})", *(_shown(side, digits) for side in sides)])
    for name, of_model, of_prior in (
        ("clicks per 1,000, IPS", evaluation.clicks_per_mille_model.ips, evaluation.clicks_per_mille_prior.ips),
        ("clicks per 1,000, SNIPS", evaluation.clicks_per_mille_model.snips, evaluation.clicks_per_mille_prior.snips),
    ):
        rows.append([f"{name} (higher)", _shown(of_model, 2), _shown(of_prior, 2), ""])
    parts = ", ".join(
        f"{name} {part.impressions:,} impressions with {part.clicks:,} clicks"
        for name, part in evaluation.parts.items()
    )
    agreed = (evaluation.clicks_per_mille_model, evaluation.clicks_per_mille_prior)
    return [
        f"Click model of {evaluation.trees} trees; {parts}.",
        f"Figures of the test part, [95 % interval of {evaluation.resamples:,} bootstrap resamples]:",
        "",
        *_table(rows),
        "",
        f"The log's own uniform policy earned {_shown(evaluation.clicks_per_mille_logged, 2)} clicks per 1,000. Always "
        f"choosing the best agrees with {agreed[0].agreed} impressions ({agreed[0].agreed_clicks} clicks) by the "
        f"model and {agreed[1].agreed} ({agreed[1].agreed_clicks}) by the rate: few, so its intervals are wide.",
        evaluation.sentence,
    ]


def _shown(figure: Measured, digits: int) -> str:
    if math.isnan(figure.value):
        return "not defined"
    return f"{figure.value:.{digits}f} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines
