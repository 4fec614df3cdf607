"""Which items are alike by what they are? Words, category, price and picture; also for items that nobody chose yet."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from feed.recommender.items import Item, Items
from feed.recommender.pruning import pruned
from feed.recommender.settings import Content

_WORD = re.compile(r"[^\W_]+")
_WORDS_OF_AN_ITEM = 200
# Prices are compared by their logarithm: a bucket is a factor of about 1.4.
_BUCKETS_PER_DOUBLING = 2.0
_PRICE_BUCKETS = 96
_IMAGE_BITS = 64
_ITEMS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the columns of a vector mean: words with their idf, then categories, price buckets, bits of the picture."""

    words: dict[str, int]
    idf: NDArray[np.float32]
    categories: dict[str, int]

    @property
    def width(self) -> int:
        """How many columns a vector has."""
        return len(self.words) + len(self.categories) + _PRICE_BUCKETS + _IMAGE_BITS


def learn(items: Items, settings: Content) -> Vocabulary:
    """The words that are in two items or more (the most frequent, at most `words_at_most`), and the categories."""
    seen: Counter[str] = Counter()
    for item in items.all:
        seen.update(set(words_of(item)))
    known = sorted((word for word, count in seen.items() if count > 1), key=lambda word: (-seen[word], word))
    known = known[: settings.words_at_most]
    idf = np.log((1.0 + len(items)) / (1.0 + np.array([seen[word] for word in known], np.float64))) + 1.0
    categories = sorted({item.category for item in items.all if item.category})
    return Vocabulary(_numbered(known), idf.astype(np.float32), _numbered(categories))


def vectors(items: Items, vocabulary: Vocabulary, settings: Content) -> csr_array:
    """A vector of length 1 for each item, csr float32 [items, width]: TF-IDF words beside weighted one-hot blocks."""
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for row, item in enumerate(items.all):
        for column, value in _entries(item, vocabulary, settings):
            rows.append(row)
            columns.append(column)
            values.append(value)
    found = csr_array((np.array(values, np.float32), (rows, columns)), shape=(len(items), vocabulary.width))
    found.sum_duplicates()
    lengths = np.sqrt(np.asarray(found.multiply(found).sum(axis=1))).ravel()
    found.data /= np.repeat(np.maximum(lengths, 1e-12), np.diff(found.indptr)).astype(np.float32)
    return found


def neighbours(of: csr_array, among: csr_array, keep: int, first_row: int = 0) -> csr_array:
    """The `keep` vectors of `among` most alike to each of `of`: csr float32 [of, among] of cosines above 0.

    Row r of `of` is row `first_row` + r of `among` and no neighbour of itself.
    """
    blocks = []
    for first in range(0, of.shape[0], _ITEMS_AT_ONCE):
        alike = (of[first : first + _ITEMS_AT_ONCE] @ among.T).toarray()
        alike[np.arange(len(alike)), np.arange(first, first + len(alike)) + first_row] = 0.0
        blocks.append(pruned(np.maximum(alike, 0.0), keep))
    return csr_array(vstack(blocks)) if blocks else csr_array((0, among.shape[0]), dtype=np.float32)


def words_of(item: Item) -> list[str]:
    """The words of an item's text, case folded; at most 200."""
    return _WORD.findall(item.text.casefold())[:_WORDS_OF_AN_ITEM]


def price_bucket(price_micros: int) -> int:
    """The bucket of a price, -1 when it is not known."""
    if price_micros <= 0:
        return -1
    return min(int(np.log2(price_micros) * _BUCKETS_PER_DOUBLING), _PRICE_BUCKETS - 1)


def _entries(item: Item, vocabulary: Vocabulary, settings: Content) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    counts = Counter(word for word in words_of(item) if word in vocabulary.words)
    if counts and settings.text:
        weights = {word: (1.0 + np.log(n)) * vocabulary.idf[vocabulary.words[word]] for word, n in counts.items()}
        length = float(np.sqrt(sum(weight**2 for weight in weights.values())))
        found += [(vocabulary.words[word], settings.text * weight / length) for word, weight in weights.items()]
    at = len(vocabulary.words)
    if item.category in vocabulary.categories and settings.category:
        found.append((at + vocabulary.categories[item.category], settings.category))
    at += len(vocabulary.categories)
    if (bucket := price_bucket(item.price_micros)) >= 0 and settings.price:
        # Neighbouring buckets count half, so that a cent does not part two items.
        found += [
            (at + near, settings.price * share)
            for near, share in ((bucket - 1, 0.4), (bucket, 0.82), (bucket + 1, 0.4))
            if 0 <= near < _PRICE_BUCKETS
        ]
    at += _PRICE_BUCKETS
    if item.image_hash and settings.image:
        each = settings.image / _IMAGE_BITS**0.5
        found += [(at + bit, each if item.image_hash >> bit & 1 else -each) for bit in range(_IMAGE_BITS)]
    return found


def _numbered(names: list[str]) -> dict[str, int]:
    return {name: at for at, name in enumerate(names)}
