"""What do disguises cost? Texts that are rightly found are written as those write who want to slip past."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np

from feed.moderation import features
from feed.moderation.classifiers import TextClassifiers
from feed.moderation.text import normalise
from feed.moderation.words import COARSE
from feed.verdict import Label

_CYRILLIC: Final = str.maketrans("aeopcxyiAEOPCXYI", "аеорсхуіАЕОРСХУІ")
_LEET: Final = str.maketrans("aeiostAEIOST", "4310$74310$7")
_FULLWIDTH: Final = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})


def _words(text: str, change: Callable[[str], str]) -> str:
    """The coarse words changed, as those do it who know a list; without any, the three longest ones."""
    words = text.split(" ")
    chosen = {at for at, word in enumerate(words) if word.lower().strip(".,!?\"':;") in COARSE}
    if not chosen:
        chosen = set(sorted(range(len(words)), key=lambda at: -len(words[at]))[:3])
    return " ".join(change(word) if at in chosen and word.isalpha() else word for at, word in enumerate(words))


def _leet_word(word: str) -> str:
    # The first letter stays, so that the word can still be read.
    return word[:1] + word[1:].translate(_LEET)


VARIANTS: Final[dict[str, Callable[[str], str]]] = {
    "leet": lambda text: _words(text, _leet_word),
    "spaced letters": lambda text: _words(text, " ".join),
    "dotted letters": lambda text: _words(text, ".".join),
    "Cyrillic look-alikes": lambda text: _words(text, lambda word: word.translate(_CYRILLIC)),
    "fullwidth": lambda text: _words(text, lambda word: word.translate(_FULLWIDTH)),
    "zero-width": lambda text: _words(text, "\u200b".join),
    "stretched": lambda text: _words(text, lambda word: word[:2] + word[1:2] * 3 + word[2:]),
    "masked": lambda text: _words(text, lambda word: word[:1] + "*" + word[2:] if len(word) > 3 else word),
}


class VariantFigures(msgspec.Struct, frozen=True):
    """The share found of `texts` texts with the label: as written, disguised and read raw, disguised and normalised."""

    variant: str
    label: Label
    texts: int
    undisguised: float
    raw: float
    normalised: float


def measure(
    classifiers: TextClassifiers, found: dict[Label, Sequence[str]], *, seed: int, most: int = 400
) -> tuple[VariantFigures, ...]:
    """Figures of every variant; `found` are texts that have the label, of which `most` are drawn."""
    figures = []
    for label, texts in found.items():
        drawn = random.Random(seed).sample(list(texts), min(most, len(texts)))
        column = classifiers.labels.index(label)
        threshold = classifiers.thresholds[column]

        def share(texts: Sequence[str], column: int = column, threshold: float = threshold) -> float:
            return float(np.mean([classifiers.of_shaped(text)[column] >= threshold for text in texts]))

        undisguised = share([_plainly(text) for text in drawn])
        for name, change in VARIANTS.items():
            disguised = [change(text) for text in drawn]
            raw = share([features.shaped(text.lower()) for text in disguised])
            normalised = share([_plainly(text) for text in disguised])
            figures.append(VariantFigures(name, label, len(drawn), undisguised, raw, normalised))
    return tuple(figures)


def _plainly(text: str) -> str:
    return features.shaped(normalise(text).folded.text)
