"""Is the index of product vectors made anew beside look-alikes that go on, and is no product lost or left as it was?"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import haat
from app.index_commands import rebuild_index
from app.settings import Settings
from backends.elasticsearch_client import open_async_client, open_client
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import PRODUCT_VECTORS
from backends.elasticsearch_pages import pages
from backends.elasticsearch_rebuild import Rebuild
from backends.product_neighbours_elasticsearch import ElasticsearchProductNeighbours
from streams.product import Product
from streams.product_vectors import vector_of, vectors_of
from tests.builders import a_product
from tests.elastic_worlds import ElasticWorld, bare_elastic

__all__ = ["bare_elastic"]

pytestmark = pytest.mark.services

MANY = 600


def the_products() -> dict[str, Product]:
    return {one.product_id: one for one in (a_product(number, name=f"chair {number}") for number in range(MANY))}


def with_neighbours(elastic: ElasticWorld, work: Callable[[ElasticsearchProductNeighbours], Any]) -> None:
    """Do something with neighbours of one's own, as an exchange has them."""

    async def run() -> None:
        indices = Indices(open_client(elastic.url), elastic.indices.prefix)
        neighbours = ElasticsearchProductNeighbours(open_async_client(elastic.url), indices)
        try:
            await work(neighbours)
        finally:
            await neighbours.close()

    asyncio.run(run())


def stored(elastic: ElasticWorld, index: str) -> dict[str, list[int]]:
    elastic.client.indices.refresh(index=index)
    found = pages(elastic.client, index, {"match_all": {}}, by="_doc")
    return {hit["_id"]: hit["_source"]["vector"] for page in found for hit in page}


def test_look_alikes_go_on_while_their_index_is_made_anew(bare_elastic: ElasticWorld, tmp_path: Path) -> None:
    products = the_products()
    with_neighbours(bare_elastic, lambda there: there.put(list(products.values())))
    before = bare_elastic.indices.current(PRODUCT_VECTORS)
    stop, failed, nearest = threading.Event(), list[Exception](), list[list[str]]()

    def going_on(step: Callable[[ElasticsearchProductNeighbours, int], Any]) -> threading.Thread:
        async def work(there: ElasticsearchProductNeighbours) -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                try:
                    await step(there, turn)
                except Exception as error:
                    failed.append(error)

        return threading.Thread(target=with_neighbours, args=(bare_elastic, work))

    async def ask(there: ElasticsearchProductNeighbours, turn: int) -> None:
        [found] = await there.nearest(vectors_of([products["product-0"]]), 3)
        nearest.append([product_id for product_id, _ in found])

    async def change(there: ElasticsearchProductNeighbours, turn: int) -> None:
        changed = [
            a_product(1 + turn % (MANY - 1), name=f"lamp {turn}", category="lamps"),
            a_product(MANY + turn, name=f"new lamp {turn}", category="lamps"),
        ]
        await there.put(changed)
        products.update({one.product_id: one for one in changed})

    threads = [going_on(ask), going_on(change)]
    for thread in threads:
        thread.start()
    told: list[int] = []
    try:
        count = Rebuild(bare_elastic.indices, PRODUCT_VECTORS).copied(told.append)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    after = bare_elastic.indices.current(PRODUCT_VECTORS)
    assert failed == []
    assert {found[0] for found in nearest} == {"product-0"}
    assert {len(found) for found in nearest} == {3}
    assert before != after
    assert before in bare_elastic.indices.generations(PRODUCT_VECTORS)
    assert (told[-1], count) >= (MANY, MANY)
    assert stored(bare_elastic, after or "") == {
        product_id: vector_of(product).tolist() for product_id, product in products.items()
    }


def test_the_command_makes_it_anew_with_more_shards_and_writers_go_on_in_the_new_one(
    bare_elastic: ElasticWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(
        data_dir=tmp_path, elasticsearch_url=bare_elastic.url, elasticsearch_prefix=bare_elastic.indices.prefix,
        ranker="prior",
    )  # fmt: skip
    products = list(the_products().values())[:50]
    with_neighbours(bare_elastic, lambda there: there.put(products))
    mended = [a_product(0, name="table", category="tables"), a_product(0, name="rug", category="rugs")]
    for at in range(len(mended)):
        # Its version is above those of the others, and stays so.
        with_neighbours(bare_elastic, lambda there: there.put(mended[at : at + 1]))  # noqa: B023

    rebuild_index(settings, ["product-vectors"], source="record", shards=2, as_json=True)

    [rebuilt] = json.loads(capsys.readouterr().out)["rebuilt"]
    current = bare_elastic.indices.current(PRODUCT_VECTORS) or ""
    assert (rebuilt["source"], rebuilt["documents"], rebuilt["refused"]) == ("index", 50, 0)
    assert rebuilt["generation"] == current
    made = bare_elastic.client.indices.get_settings(index=current)[current]["settings"]["index"]
    assert made["number_of_shards"] == "2"
    assert stored(bare_elastic, current)["product-0"] == vector_of(mended[-1]).tolist()
    with_neighbours(bare_elastic, lambda there: there.put([mended[0]]))
    assert stored(bare_elastic, current)["product-0"] == vector_of(mended[0]).tolist()


def test_the_help_names_it() -> None:
    told = CliRunner().invoke(haat, ["index", "rebuild", "--help"], env={"COLUMNS": "200"})

    assert "product-vectors" in told.output
