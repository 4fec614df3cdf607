"""What do the figures of moderation say? As the text of docs/reports/moderation.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

from feed.moderation.classifiers import Manifest
from feed.moderation.evaluation import Evaluation
from feed.moderation.fairness import FairnessFigures
from feed.moderation.policy import OUTCOMES
from ranking.metrics import Measured


def text(manifest: Manifest, evaluation: Evaluation) -> str:
    """The report."""
    lines = [
        "# Moderation of texts, measured",
        "",
        "Written by `haat train moderation` and `haat evaluate moderation` with `--report`. The classifiers are "
        "linear, over hashed TF-IDF of words, pairs of words and pieces of words; each speaks up from its threshold "
        "on, and a person decides: no classifier removes anything. Figures are of the test part, which neither "
        f"training nor calibration nor thresholds saw; brackets are 95 % intervals of "
        f"{evaluation.resamples:,} bootstrap resamples.",
        "",
        *_data(manifest, evaluation),
        *_labels(manifest, evaluation),
        *_fairness(evaluation),
        *_terms(evaluation.fairness),
        *_robustness(evaluation),
        *_times(evaluation),
        *_limits(),
    ]
    return "\n".join(lines) + "\n"


def _data(manifest: Manifest, evaluation: Evaluation) -> list[str]:
    rows = [[f"`{name}`", f"{size:,}", manifest.licences[name]] for name, size in evaluation.data.items()]
    shares = manifest.settings
    said = (
        f"Of each, {shares.training_share:.0%} are for training, {shares.validation_share:.0%} for calibration and "
        "thresholds, the rest is the test part; a digest of the normalised text decides, so that copies stay together. "
        if evaluation.trained_on_these
        else "None of these files was trained on: every text is tested. "
    )
    return [
        "## The data",
        "",
        *table(["collection", "texts", "licence and credit"], rows),
        "",
        said
        + "All of it is English. `scam_link` has no labelled data of its own: it stands for spam that holds a link, a "
        "telephone number or a short code. Other languages are reached by normalisation, link, picture and pace "
        "checks, and by the list of coarse words as one feature; how well is not measured.",
        "",
    ]


def _labels(manifest: Manifest, evaluation: Evaluation) -> list[str]:
    rows, naive = [], []
    for label, figures in evaluation.labels.items():
        chosen = manifest.settings.labels[label]
        at = f"{chosen.precision:.0%} at {chosen.base_rate:.0%}" if chosen.base_rate else f"{chosen.precision:.0%}"
        common = [label, f"{figures.with_label:,} of {figures.texts:,}"]
        rows.append(
            [*common, f"{figures.threshold:.3f} ({at})", OUTCOMES[label].name.lower()]
            + [shown(figures.model[name]) for name in ("precision", "recall", "f1", "false_positive_rate")]
        )
        for name, of in (("served", figures.model), ("naive", figures.naive), ("word list", figures.word_list)):
            if of is not None:
                areas = [shown(of[area]) for area in ("roc_auc", "pr_auc", "calibration_error")]
                naive.append([label, name, shown(of["precision"]), shown(of["recall"]), *areas])
    three = evaluation.three_classes
    lines = [
        "## By label",
        "",
        "The threshold is the lowest from which on the stated precision holds on the validation part, where the share "
        "after “at” has the label (else the share of the data), both beside texts labelled as innocent and beside "
        "everyday texts.",
        "",
        *table(
            ["label", "test texts", "threshold (for)", "outcome", "precision", "recall", "F1", "false positives"], rows
        ),
        "",
        "*Naive* is the same classifier without anything that is done for fairness; *word list* counts coarse words.",
        "",
        *table(["label", "model", "precision", "recall", "ROC AUC", "PR AUC", "calibration error"], naive),
        "",
    ]
    if three:
        lines += [
            "As three classes (hate, offensive, neither; each text in its likeliest): weighted precision "
            f"{three['weighted_precision']:.3f}, recall {three['weighted_recall']:.3f}, F1 {three['weighted_f1']:.3f}; "
            f"hate precision {three['hate_precision']:.2f}, recall {three['hate_recall']:.2f}. Davidson et al. 2017 "
            "report 0.91, 0.90, 0.90; 0.44 and 0.61 for their best model, on all of the data with cross-validation. Of "
            f"hateful tweets {percent(evaluation.hate_found_as_either)} are found as hate or as offensive.",
            "",
        ]
    if evaluation.unseen_video:
        rows = [
            [video, f"{figures['texts']:.0f}", *(f"{figures[name]:.3f}" for name in _VIDEO)]
            for video, figures in evaluation.unseen_video.items()
        ]
        lines += [
            "Spam under a video whose comments were all left out of training, four times over:",
            "",
            *table(["video", "comments", *(name.replace("_", " ") for name in _VIDEO)], rows),
            "",
        ]
    return lines


_VIDEO = ("accuracy", "precision", "recall", "roc_auc")


def _fairness(evaluation: Evaluation) -> list[str]:
    served = evaluation.fairness
    listed = len([one for one in served.terms if one.group != "not on the list"])
    rows = [
        [
            name,
            *(percent(of.harmless_blocked), points(of.gap), points(of.group_gap), percent(of.hateful_missed)),
            *(percent(of.harmless_blocked_unknown), points(of.gap_unknown), percent(of.hateful_missed_unknown)),
            percent(of.ordinary_blocked),
        ]
        for name, of in (
            ("served", served),
            ("naive, its thresholds", evaluation.fairness_naive),
            ("naive, at ½", evaluation.fairness_naive_at_half),
        )
    ]
    heading = ["model", "harmless blocked", "gap of terms", "gap of groups", "hateful missed"]
    heading += ["harmless blocked, unlisted", "gap, unlisted", "hateful missed, unlisted", "everyday posts blocked"]
    return [
        "## Fairness",
        "",
        f"{listed} terms that name a group and {len(served.terms) - listed} more that the list of terms leaves out on "
        f"purpose, each in {served.templates} sentences of our own, half of them harmless and half hateful "
        "(`feed/moderation/fairness_set.py`). Neither the sentences nor the terms are trained on, and they were "
        "written after the method was settled; two earlier sets, by which it was chosen, are among the training "
        "sentences now. After this set was first seen, only links and prices were added to the everyday posts of the "
        "training. *Blocked* is found to be hate or offence. The gap is the largest share minus the smallest, in "
        "points.",
        "",
        *table(heading, rows),
        "",
        "The method: before features are made, every listed term becomes one and the same sign, so that no classifier "
        "can tell one group from another; sentences about groups, harmless and hateful, with listed terms and with "
        "names of peoples that do not exist, are added to training, as are everyday posts; headlines of newspapers, "
        "which speak of groups without offence, count as harmless with a small weight. What is left are terms that the "
        "list does not have, whose letters a classifier does see. The sentences are by the same hand as those of the "
        "training, and plainer than what people write: the share of hateful ones missed would be higher on real ones, "
        "see recall above.",
        "",
        f"{served.ordinary} everyday posts of a shop, with templates of their own and half of them with a link, a "
        "price, a telephone number or hashtags, are in the last column (any label).",
        "",
    ]


def _terms(served: FairnessFigures) -> list[str]:
    rows = [[one.term, one.group, percent(one.harmless_blocked), percent(one.hateful_missed)] for one in served.terms]
    return ["### By term", "", *table(["term", "group", "harmless blocked", "hateful missed"], rows), ""]


def _robustness(evaluation: Evaluation) -> list[str]:
    rows = [
        [one.variant, one.label, f"{one.texts}", percent(one.undisguised), percent(one.raw), percent(one.normalised)]
        for one in evaluation.robustness
    ]
    return [
        "## Disguises",
        "",
        "Test texts with the label, their coarse words (or three longest) disguised: the share that is found, without "
        "normalisation and with it.",
        "",
        *table(["disguise", "label", "texts", "undisguised", "disguised, raw", "disguised, normalised"], rows),
        "",
    ]


def _times(evaluation: Evaluation) -> list[str]:
    times = evaluation.times
    return [
        "## Time",
        "",
        f"CPU time of {times.posts:,} posts, one by one: classifiers {times.classifiers_ms_p50:.2f} ms at the median "
        f"and {times.classifiers_ms_p99:.2f} ms at the 99th percentile; the whole check without pictures "
        f"{times.check_ms_p50:.2f} and {times.check_ms_p99:.2f} ms. Each picture adds {times.picture_ms_p50:.2f} and "
        f"{times.picture_ms_p99:.2f} ms: it is compared with 100,000 known ones, as it is and turned. A text of a "
        f"million characters, of which 10,000 are read, takes {times.longest_text_ms:.0f} ms.",
        "",
    ]


def _limits() -> list[str]:
    return [
        "## What this does not do",
        "",
        "Texts that quote hate to object to it, irony, and hate without a coarse word are where such classifiers fail. "
        "The labels of the tweets are those of a crowd, whose own bias (Davidson et al. 2019, Sap et al. 2019: "
        "dialect) is not removed here. Probabilities are calibrated for the collections, not for a shop's feed, "
        "which has less of everything; they order the queue, and people decide.",
    ]


def shown(figure: Measured) -> str:
    """A figure with its interval."""
    if math.isnan(figure.value):
        return "–"
    return f"{figure.value:.3f} [{figure.low:.3f}–{figure.high:.3f}]"


def percent(share: float) -> str:
    """0.051 as 5.1 %."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """0.051 as 5.1."""
    return f"{100 * share:.1f}"


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table in Markdown."""
    lines = [f"| {' | '.join(heading)} |", "|" + "---|" * len(heading)]
    return lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
