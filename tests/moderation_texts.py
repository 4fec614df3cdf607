"""Labelled texts that are made up, and settings that train on them in a second."""

from __future__ import annotations

from pathlib import Path

import msgspec

from feed.moderation import ordinary_posts
from feed.moderation.training_data import COLLECTIONS, Corpus, Example
from feed.moderation.training_settings import TrainingSettings, load_settings
from feed.verdict import Label

POSTS = tuple(ordinary_posts.ordinary(ordinary_posts.ORDINARY, 3, 12))
_TRAINING = Path(__file__).parents[1] / "models" / "moderation" / "training.toml"


def a_corpus() -> Corpus:
    """Texts in which a label is a matter of one word."""
    said: dict[str, tuple[tuple[str, str], tuple[Label, ...]]] = {
        COLLECTIONS[0].name: (("nice", "vile rubbish"), (Label.HATE, Label.OFFENSIVE)),
        COLLECTIONS[1].name: (("ok", "win cash now 0800123456"), (Label.SPAM, Label.SCAM_LINK)),
        COLLECTIONS[3].name: (("council votes", "you will not believe"), (Label.CLICKBAIT,)),
    }
    examples = {
        name: tuple(
            Example(f"{words[at % 2]} {post}", dict.fromkeys(labels, at % 2), f"page {at % 3}")
            for at, post in enumerate(POSTS)
        )
        for name, (words, labels) in said.items()
    }
    return Corpus(examples, {"made/up.csv.gz": "0" * 64})


def quick_settings() -> TrainingSettings:
    """Those of the committed model, with larger parts to validate and test, and few resamples."""
    return msgspec.structs.replace(
        load_settings(_TRAINING),
        training_share=0.6,
        validation_share=0.2,
        ordinary_each=1,
        about_groups_each=1,
        bootstrap_resamples=50,
    )
