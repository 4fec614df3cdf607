"""How is the quality of a model with several heads told to a person? Tables beside what it would replace."""

from __future__ import annotations

from ranking.head_evaluation import HeadEvaluation
from ranking.metrics import Measured

_SHOWN = (("log_loss", "log loss", 5), ("roc_auc", "ROC-AUC", 4), ("calibration_ratio", "predicted / happened", 3))


def head_lines(evaluation: HeadEvaluation, baseline: str) -> list[str]:
    """Markdown: each head on the test part beside `baseline`, with 95 % intervals."""
    parts = ", ".join(f"{name} {count:,}" for name, count in evaluation.parts.items())
    lines = [
        f"Impressions by time: {parts}. Intervals are 95 %, {evaluation.resamples:,} bootstrap resamples of whole "
        f"sessions or users, the same ones for both sides.",
        "",
        f"| action | happened | measure | model | {baseline} | model - {baseline} |",
        "|---|---|---|---|---|---|",
    ]
    for name, head in evaluation.heads.items():
        happened = f"{head.actions:,} of {head.impressions:,}"
        if not head.model:
            lines.append(f"| {name} | {happened} | too few to learn from or to judge by | | | |")
            continue
        for measure, shown, digits in _SHOWN:
            sides = (head.model[measure], head.baseline[measure], head.difference[measure])
            lines.append(f"| {name} | {happened} | {shown} | {' | '.join(_figure(side, digits) for side in sides)} |")
    return lines


def policy_lines(evaluation: HeadEvaluation) -> list[str]:
    """Markdown: what choosing by each ranking would have earned, and the sentence on which serves."""
    drawn, hand, model, gain, snips_gain = (
        evaluation.drawn, evaluation.hand, evaluation.model, evaluation.ips_gain, evaluation.snips_gain,
    )  # fmt: skip
    if drawn is None or hand is None or model is None or gain is None or snips_gain is None:
        return [evaluation.sentence]
    return [
        f"Worth of what was done per 1,000 posts on {evaluation.draws:,} kept places of the test part, in clicks. Each "
        "place was drawn evenly out of a recorded short list, so the chance of agreement is exact.",
        "",
        "| | IPS | SNIPS | places agreed with |",
        "|---|---|---|---|",
        f"| the even draw itself | {_figure(drawn, 1)} | | all |",
        f"| hand-weighted scorers | {_figure(hand.ips, 1)} | {_figure(hand.snips, 1)} | {hand.agreed:,} |",
        f"| model | {_figure(model.ips, 1)} | {_figure(model.snips, 1)} | {model.agreed:,} |",
        f"| model - hand-weighted | {_figure(gain, 1)} | {_figure(snips_gain, 1)} | |",
        "",
        evaluation.sentence,
    ]


def _figure(figure: Measured, digits: int) -> str:
    return f"{figure.value:.{digits}f} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"
