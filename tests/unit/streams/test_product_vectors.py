"""Are products alike that have something in common, and is it said the same way everywhere?"""

from __future__ import annotations

import numpy as np
import pytest

from streams.product import Product
from streams.product_vectors import LENGTH, WIDTH, made_of, similarity, vector_of, vectors_of
from tests.builders import a_product


def alike(one: Product, other: Product) -> float:
    return similarity(int(vector_of(one).astype(np.int64) @ vector_of(other).astype(np.int64)))


def test_vectors_are_whole_numbers_of_a_byte_and_about_of_one_length() -> None:
    vectors = vectors_of([a_product(1), a_product(2, name="x" * 200, category="y", price_micros=1)])

    assert vectors.shape == (2, WIDTH)
    assert (vectors == np.rint(vectors)).all()
    assert np.abs(vectors).max() <= 127
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([LENGTH] * 2, rel=0.02)
    assert vectors_of([]).shape == (0, WIDTH)


def test_what_has_more_in_common_is_more_alike() -> None:
    chair = a_product(1)
    twin = a_product(2)
    other_brand = a_product(3, brand="Seats & Co")
    table = a_product(4, name="Oak table")
    lamp = a_product(5, name="Brass lamp", brand="Light", category="lamps", price_micros=9_000_000)

    likes = [alike(chair, other) for other in (twin, other_brand, table, lamp)]

    assert likes[0] == pytest.approx(1.0, abs=0.03)
    assert likes == sorted(likes, reverse=True)
    assert likes[2] > 0.6 > 0.3 > likes[3]


def test_what_says_nothing_about_the_vector_changes_no_fingerprint() -> None:
    chair = a_product(1)

    assert made_of(chair) == made_of(a_product(2, in_stock=False, price_micros=49_900_001))
    for changes in ({"name": "Oak stool"}, {"brand": "B"}, {"category": "c"}, {"price_micros": 1}, {"currency": "USD"}):
        other = a_product(1, **changes)
        assert made_of(other) != made_of(chair)
        assert (vector_of(other) != vector_of(chair)).any()
