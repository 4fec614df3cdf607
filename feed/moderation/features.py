"""What do the classifiers see of a text? Words, pairs of words, and pieces of words, each counted in one of 2¹⁶ places.

Features are hashed, so the model holds no vocabulary: a few numbers a place, and no word of the texts that it was
trained on. Pieces are two to five letters within a word and its blanks, which is what survives misspelling.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feed.moderation import identity_terms, words

PLACES_BITS: Final = 16
PLACES: Final = 1 << PLACES_BITS
# Whoever changes what is counted below raises this: a model of another version is refused.
VERSION: Final = 1

LINK, MENTION, COARSE_WORD, CURRENCY = "\ue000", "\ue001", "\ue003", "\ue004"
_LINK: Final = re.compile(r"\S*(?:://|www\.)\S*|\b[\w-]+\.(?:com|net|org|info|biz|co|io|ru|me|tv|tk|ly|shop|xyz)\b\S*")
_MENTION: Final = re.compile(r"(?<!\w)@\w+")
_CURRENCY: Final = re.compile(r"[$£€¥₹]|\b(?:usd|eur|gbp|inr|pounds?|euros?|dollars?)\b")
_DIGIT: Final = re.compile(r"\d")
_WORD: Final = re.compile(r"[^\s.,;:\"“”()\[\]{}<>«»…]+")

_SIZES: Final = (2, 3, 4, 5)
# Odd multipliers, drawn once; the hash is a polynomial in them, then mixed as SplitMix64 does (Steele et al. 2014).
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
_PAIR: Final = np.uint64(0xD6E8FEB86659FD93)
_SALTS: Final = np.array(
    [0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3], dtype=np.uint64
)
_LONGEST_WORD: Final = 64


def shaped(folded: str, *, neutral: bool = True) -> str:
    """The text as it is counted: links, mentions and currencies as signs, digits as 0, listed words marked."""
    text = _CURRENCY.sub(f" {CURRENCY} ", _MENTION.sub(MENTION, _LINK.sub(LINK, folded)))
    if neutral:
        text = identity_terms.neutralised(text)
    found = _WORD.findall(_DIGIT.sub("0", text))
    marks = [COARSE_WORD] * min(words.count(found), 5)
    return " ".join([*found, *marks])


def counts(text: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places, int64 rising, and how often each was met, float64; `text` comes from `shaped`. Empty for no words."""
    if not text:
        return np.zeros(0, np.int64), np.zeros(0, np.float64)
    hashes = np.concatenate([*_pieces(text), *_of_words(text)])
    places, times = np.unique(_place(hashes), return_counts=True)
    return places, times.astype(np.float64)


def _pieces(text: str) -> list[NDArray[np.uint64]]:
    letters = np.frombuffer(f" {text} ".encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    # A piece may begin or end with the blank beside its word, and holds none within.
    blanks = np.zeros(len(letters) + 1, np.int64)
    np.cumsum(letters == 32, out=blanks[1:])
    found = []
    piece = letters
    for at, size in enumerate(_SIZES):
        if len(letters) < size:
            break
        piece = piece[: len(letters) - size + 1] * _BASE + letters[size - 1 :]
        whole = blanks[size - 1 : -1] == blanks[1 : len(piece) + 1]
        found.append(piece[whole] ^ _SALTS[at])
    return found


def _of_words(text: str) -> list[NDArray[np.uint64]]:
    single = np.array([_word_hash(word[:_LONGEST_WORD]) for word in text.split(" ")], dtype=np.uint64)
    pairs = single[:-1] * _PAIR + single[1:]
    return [single, pairs]


# A word is counted in its field and in all fields together, and most come again.
@lru_cache(maxsize=4_096)
def _word_hash(word: str) -> int:
    value = 0
    for letter in word:
        value = (value * 0x100000001B3 ^ ord(letter)) & 0xFFFF_FFFF_FFFF_FFFF
    return value ^ 0x1D8E4E27C47D124F


def _place(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    mixed = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(64 - PLACES_BITS)).astype(np.int64)
