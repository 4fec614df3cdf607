"""What is a product like, as a vector? Its category, words, brand and price, each with a direction of its own.

Nothing is learned: a word's direction follows from the word, so that every process comes to the same vectors.
Components are whole numbers of one byte, and inner products of them are exact wherever they are computed.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.product import Product

WIDTH: Final = 128
# How long a vector is, so that no component leaves a byte.
LENGTH: Final = 127
# Of what is computed by another version of this file nothing can be compared.
VERSION: Final = 1

_WORD: Final = re.compile(r"[^\W_]+")
_MOST_WORDS: Final = 40
# What each part counts; the words of a name count so much together.
_CATEGORY, _NAME, _BRAND, _PRICE = 1.4, 1.4, 0.8, 0.6
# A bucket of prices is a factor of about 1.4.
_BUCKETS_PER_DOUBLING: Final = 2.0


def vector_of(product: Product) -> NDArray[np.int8]:
    """int8 [WIDTH], about LENGTH long: two products that have nothing in common are about at right angles."""
    words = sorted(set(_WORD.findall(product.name.casefold())[:_MOST_WORDS]))
    vector = _CATEGORY * _direction(f"category {product.category.casefold()}")
    vector = vector + _BRAND * _direction(f"brand {product.brand.casefold()}")
    for word in words:
        vector = vector + _NAME / math.sqrt(len(words)) * _direction(f"word {word}")
    if product.price_micros > 0:
        vector = vector + _PRICE * _direction(f"price {product.currency} {_bucket(product.price_micros)}")
    return np.rint(vector * (LENGTH / np.linalg.norm(vector))).astype(np.int8)


def vectors_of(products: Sequence[Product]) -> NDArray[np.float32]:
    """float32 [products, WIDTH] of whole numbers."""
    if not products:
        return np.zeros((0, WIDTH), np.float32)
    return np.stack([vector_of(product) for product in products]).astype(np.float32)


def made_of(product: Product) -> str:
    """A fingerprint of all that a product's vector follows from."""
    bucket = _bucket(product.price_micros) if product.price_micros > 0 else 0
    said = repr((VERSION, product.name, product.brand, product.category, product.currency, bucket))
    return hashlib.blake2b(said.encode(), digest_size=12).hexdigest()


def similarity(inner_product: int) -> float:
    """The cosine of two vectors by their inner product, but for the rounding of their components."""
    return inner_product / LENGTH**2


def _bucket(price_micros: int) -> int:
    return int(math.log2(price_micros) * _BUCKETS_PER_DOUBLING)


@lru_cache(maxsize=65_536)
def _direction(word: str) -> NDArray[np.float64]:
    """Of length 1: as many signs as a vector has components, out of the word alone."""
    bits = np.unpackbits(np.frombuffer(hashlib.blake2b(word.encode(), digest_size=WIDTH // 8).digest(), np.uint8))
    return np.where(bits, 1.0, -1.0) / math.sqrt(WIDTH)
