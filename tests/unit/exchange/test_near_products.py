"""Is what is near the products of a visitor found, kept, bounded, and never waited for too long?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from common.clock import SteppedClock
from common.errors import BackendUnavailable
from exchange import near_products
from exchange.near_products import ASK_AGAIN_MS, LEAST_SIMILARITY, MOST_NEAR, NearProducts
from exchange.visitor import Visitor
from streams.product_vectors import LENGTH, WIDTH
from tests.builders import a_product

CATALOGUE = {f"product-{number}": a_product(number) for number in range(1, 5)}
TWIN = LENGTH**2


class Asked:
    """Neighbours that answer with what they were given, whatever is asked; counts."""

    def __init__(self, *found: tuple[str, int]) -> None:
        self.found = list(found)
        self.vectors = 0
        self.gone = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def nearest(self, vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]:
        assert vectors.shape[1] == WIDTH
        assert limit >= MOST_NEAR
        self.vectors += len(vectors)
        await self.may_answer.wait()
        if self.gone:
            raise BackendUnavailable("gone")
        return [self.found[:limit]] * len(vectors)


def near_of(neighbours: Asked, clock: SteppedClock | None = None, *, wait_s: float = 30.0) -> NearProducts:
    return NearProducts(neighbours, CATALOGUE.get, clock or SteppedClock(), wait_s=wait_s)


async def near(asked: NearProducts, **affinities: float) -> dict[str, float]:
    named = {name.replace("_", "-"): weight for name, weight in affinities.items()}
    (found,) = await asked.widened([Visitor(affinities=named)])
    assert found.affinities == named
    return found.near


async def test_near_products_weigh_by_affinity_and_similarity_without_what_was_looked_at() -> None:
    asked = near_of(Asked(("product-1", TWIN), ("product-2", TWIN), ("x", TWIN * 3 // 4), ("far", TWIN // 2)))

    found = await near(asked, product_1=2.0)

    assert found == {"product-2": 2.0, "x": pytest.approx(1.5, abs=1e-3)}
    assert (await near(asked, product_1=2.0, product_2=1.0)).keys() == {"x"}
    assert LEAST_SIMILARITY > 0.5


async def test_what_is_equally_near_is_cut_by_id_and_at_most_so_many() -> None:
    asked = near_of(Asked(*((f"p{number:02d}", TWIN) for number in reversed(range(90)))))

    assert list(await near(asked, product_1=1.0)) == [f"p{number:02d}" for number in range(MOST_NEAR)]


async def test_a_product_is_asked_for_once_until_its_time_is_over() -> None:
    clock, neighbours = SteppedClock(), Asked(("x", TWIN))
    asked = near_of(neighbours, clock)
    for _ in range(3):
        await near(asked, product_1=1.0)
    assert neighbours.vectors == 1

    clock.step(ASK_AGAIN_MS)
    await near(asked, product_1=1.0)

    assert neighbours.vectors == 2


async def test_nobody_is_asked_about_an_unknown_product_or_where_nobody_bids_for_it() -> None:
    neighbours = Asked(("x", TWIN))

    assert await near(near_of(neighbours), unknown=1.0) == {}
    unwanted = NearProducts(neighbours, CATALOGUE.get, SteppedClock(), wait_s=30, wanted=lambda: False)
    assert await near(unwanted, product_1=1.0) == {}
    assert neighbours.vectors == 0


async def test_what_comes_late_serves_the_next_and_is_not_asked_twice_meanwhile() -> None:
    neighbours = Asked(("x", TWIN))
    neighbours.may_answer.clear()
    asked = near_of(neighbours, wait_s=0.001)

    assert await near(asked, product_1=1.0) == {}
    assert await near(asked, product_1=1.0) == {}
    neighbours.may_answer.set()
    while not await near(asked, product_1=1.0):
        await asyncio.sleep(0)

    assert neighbours.vectors == 1


async def test_what_was_found_serves_on_while_nobody_can_be_asked(caplog: pytest.LogCaptureFixture) -> None:
    clock, neighbours = SteppedClock(), Asked(("x", TWIN))
    asked = near_of(neighbours, clock)
    await near(asked, product_1=1.0)
    neighbours.gone = True
    clock.step(ASK_AGAIN_MS)

    assert await near(asked, product_1=1.0) == {"x": 1.0}
    assert await near(asked, product_2=1.0) == {}
    assert len(caplog.messages) == 1

    neighbours.gone = False
    assert await near(asked, product_2=1.0) == {"x": 1.0}


async def test_only_the_dearest_products_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_products, "MOST_LOOKED_AT", 2)
    neighbours = Asked(("x", TWIN))

    await near(near_of(neighbours), product_1=1.0, product_2=3.0, product_3=2.0)

    assert neighbours.vectors == 2


async def test_visitors_who_looked_at_nothing_stay_as_they_are() -> None:
    nobody: Sequence[Visitor] = [Visitor(), Visitor(segments=("a=b",))]

    assert await near_of(Asked()).widened(nobody) == list(nobody)
