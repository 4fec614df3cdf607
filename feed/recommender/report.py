"""How is the recommender's quality told to a person? A table beside the plain ones, and a sentence that it allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from feed.recommender.evaluation import Evaluation, Row, TaskVerdict

_HEAD = (
    "recommender", "NDCG@10", "Recall@10", "Recall@20", "coverage", "Gini", "novelty, bits", "diversity",
    "calibration KL",
)  # fmt: skip


def text(evaluations: Sequence[Evaluation], commands: Sequence[str]) -> str:
    """The whole report as Markdown; `commands` made the evaluations."""
    lines = [
        "# The recommender, judged",
        "",
        "Written by " + ", ".join(f"`{command}`" for command in commands) + ".",
        "",
        "Everything is split by time: parts and blend learn from what happened before a moment, and are judged on what "
        "visitors chose in the window after it. The blend learns on windows that end before that moment; settings were "
        "chosen on the orders of one window earlier, nothing on the part that judges. Rankings are over the whole "
        "catalogue, not over sampled negatives. Figures are means over visitors with [95 % bootstrap intervals]; "
        "differences are paired. The best baseline is the one that is best on the judging part itself, which favours "
        "it.",
        "",
        "Coverage is the share of the catalogue in anybody's first ten, Gini how unevenly they are spread (0 evenly), "
        "novelty the mean surprise of an item, diversity 1 - cosine of the contents within a list, calibration the "
        "divergence of a list's categories from those of the visitor's history (0 is the same mix).",
    ]
    for evaluation in evaluations:
        lines += ["", *summary_lines(evaluation)]
    return "\n".join(lines) + "\n"


def summary_lines(evaluation: Evaluation) -> list[str]:
    """One evaluation as Markdown that reads well as plain text too."""
    at = datetime.fromtimestamp(evaluation.now_ms / 1000, UTC)
    sampled = ", drawn with a fixed seed" if evaluation.sampled else ""
    lines = [
        f"## {evaluation.log}",
        "",
        f"Learned from {evaluation.learned_events:,} events before {at:%Y-%m-%d %H:%M} UTC with {evaluation.items:,} "
        f"items; judged on the {evaluation.window_days:g} days after. {evaluation.asked:,} visitors with a "
        f"history{sampled}; {evaluation.trees} trees learned from {evaluation.windows} windows; trained in "
        f"{evaluation.train_s:.0f} s of CPU; {evaluation.resamples:,} resamples.",
    ]
    if evaluation.note:
        lines += ["", evaluation.note]
    for task in evaluation.tasks:
        lines += ["", *_task(task)]
    return [*lines, "", *_cold(evaluation), "", _serving(evaluation)]


def _task(task: TaskVerdict) -> list[str]:
    rows = [list(_HEAD), *(_cells(row) for row in task.rows)]
    return [
        f"### {task.task.capitalize()} ({task.visitors:,} visitors)",
        "",
        *table(rows),
        "",
        f"**{task.sentence}** In Recall@20 the difference is {task.recall_gain.value:+.4f} "
        f"[{task.recall_gain.low:+.4f}, {task.recall_gain.high:+.4f}].",
    ]


def _cells(row: Row) -> list[str]:
    plain = (
        f"{row.coverage:.3f}", _number(row.gini, 3), _number(row.novelty_bits, 2), _number(row.diversity, 3),
        _number(row.calibration_kl, 3),
    )  # fmt: skip
    return [row.name, *(_known(str(one)) for one in (row.ndcg_10, row.recall_10, row.recall_20)), *plain]


def _cold(evaluation: Evaluation) -> list[str]:
    cold = evaluation.cold
    lines = ["### Nobody and nothing is left without an answer", ""]
    if cold.new_visitors:
        lines.append(
            f"{cold.new_visitors:,} visitors without any history: Recall@20 {cold.hybrid_for_new} by the hybrid, "
            f"{cold.recent_popularity_for_new} by recent popularity."
        )
    if cold.visitors_who_chose_new:
        lines.append(
            f"{cold.new_items:,} items that nobody had chosen before, ranked among themselves by what they are: "
            f"Recall@20 {cold.new_item_recall} for the {cold.visitors_who_chose_new:,} visitors who chose one; chance "
            f"finds {cold.new_item_chance:.4f}."
        )
    return lines if len(lines) > 2 else [*lines, "Every visitor of the window had a history, and every item a buyer."]


def _serving(evaluation: Evaluation) -> str:
    took = evaluation.serving
    return (
        f"Serving, one visitor at a time, in CPU time: 100 candidates scored in {took.scores_ms_p50:.2f} ms "
        f"(p99 {took.scores_ms_p99:.2f}), the best 50 of the catalogue found in {took.recommend_ms_p50:.2f} ms "
        f"(p99 {took.recommend_ms_p99:.2f})."
    )


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as a Markdown table, the first being its head."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _known(shown: str) -> str:
    return "–" if "nan" in shown else shown
