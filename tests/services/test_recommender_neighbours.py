"""Does the feed's recommender find by Elasticsearch what it finds by itself, and does no page wait for it?"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.demo_keys import DemoKeys
from backends.elasticsearch_client import open_client
from backends.neighbours_asked_ahead import PAUSE_S, AskedAheadNeighbours
from backends.neighbours_elasticsearch import ElasticsearchNeighbours
from client.catalogue import CatalogueClient
from client.feed import FeedClient
from feed.recommender import artefact
from feed.recommender.hybrid import Hybrid
from protos import catalogue_pb2 as catalogue
from protos import common_pb2 as common
from protos import feed_pb2 as feed
from tests.elastic_worlds import ElasticWorld, bare_elastic
from tests.recommender_builders import NOW_MS, freshly_trained, history
from tests.scenarios.conftest import Serve, Served, data_dir, keys, serve
from tests.services.proxy import Proxy, proxy_before

__all__ = ["bare_elastic", "data_dir", "keys", "serve"]

pytestmark = [pytest.mark.services, pytest.mark.slow]

WITHIN_S = 30.0
AGREED = common.Consent(granted=[common.PURPOSE_REMEMBER, common.PURPOSE_PERSONALISED_CONTENT])


class SteppedSeconds:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def proxy(elasticsearch_url: str) -> Iterator[Proxy]:
    with proxy_before(elasticsearch_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def trained() -> Hybrid:
    return freshly_trained()


@pytest.fixture
def beginning(bare_elastic: ElasticWorld) -> Iterator[str]:
    """What names of the recommender's indices begin with."""
    name = f"{bare_elastic.indices.prefix}-recommender-"
    yield name
    for index in bare_elastic.client.indices.get(index=f"{name}*", filter_path="*.settings.index.uuid"):
        bare_elastic.client.indices.delete(index=index)


def over(hybrid: Hybrid, neighbours: AskedAheadNeighbours) -> Hybrid:
    return Hybrid(
        items=hybrid.items, parts=hybrid.parts, trees=hybrid.trees, training=hybrid.training, neighbours=neighbours
    )


async def in_time(neighbours: AskedAheadNeighbours, query: np.ndarray, limit: int) -> None:
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + WITHIN_S
    while not await neighbours.ask(query, limit):
        assert loop.time() < give_up_s, f"no answer within {WITHIN_S:.0f} s: {neighbours.asked}"
        await asyncio.sleep(0.02)


async def test_what_is_recommended_is_the_same_as_by_neighbours_of_its_own(
    bare_elastic: ElasticWorld, trained: Hybrid, beginning: str
) -> None:
    ahead = AskedAheadNeighbours(ElasticsearchNeighbours(bare_elastic.client, f"{beginning}1"), wait_s=WITHIN_S)
    hybrid = over(trained, ahead)
    for item_ids in (("mug-1", "mug-5"), ("lamp-3",), ("mug-2", "lamp-2")):
        await hybrid.look_ahead(history(*item_ids), NOW_MS)
        found = hybrid.recommend([history(*item_ids)], 30, NOW_MS)
        assert found == trained.recommend([history(*item_ids)], 30, NOW_MS)
    assert ahead.asked == {"in time": 3, "late": 0, "failed": 0, "not asked": 0}


async def test_an_answer_serves_one_question_and_others_find_nothing(
    bare_elastic: ElasticWorld, trained: Hybrid, beginning: str
) -> None:
    ahead = AskedAheadNeighbours(ElasticsearchNeighbours(bare_elastic.client, f"{beginning}1"), wait_s=WITHIN_S)
    over(trained, ahead)
    query = trained.parts.als[:2]

    assert await ahead.ask(query[:1], 5)
    found, products = ahead.nearest(query, 5)
    again, _ = ahead.nearest(query, 5)

    assert found[0].tolist() == trained.neighbours.nearest(query[:1], 5)[0][0].tolist()
    assert found[1].tolist() == again[0].tolist() == [-1] * 5
    assert products[1].tolist() == [-np.inf] * 5


async def test_without_elasticsearch_nobody_waits_and_what_was_to_be_written_comes_after_its_return(
    elasticsearch_url: str, proxy: Proxy, trained: Hybrid, beginning: str
) -> None:
    seconds = SteppedSeconds()
    client = open_client(proxy.before(elasticsearch_url))
    ahead = AskedAheadNeighbours(ElasticsearchNeighbours(client, f"{beginning}1"), wait_s=WITHIN_S, now_s=seconds)
    proxy.cut()
    hybrid = over(trained, ahead)
    query = trained.parts.als[:1]
    seconds.now_s = PAUSE_S

    assert not await ahead.ask(query, 5)
    assert not await ahead.ask(query, 5)
    assert ahead.asked["not asked"] == 1
    assert hybrid.recommend([history("mug-1")], 5, NOW_MS)[0]

    proxy.heal()
    while not await ahead.ask(query, 5):
        seconds.now_s += PAUSE_S
    assert ahead.nearest(query, 5)[0].tolist() == trained.neighbours.nearest(query, 5)[0].tolist()
    client.close()


async def test_a_slow_elasticsearch_is_waited_for_no_longer_than_was_said(
    elasticsearch_url: str, proxy: Proxy, trained: Hybrid, beginning: str
) -> None:
    client = open_client(proxy.before(elasticsearch_url))
    ahead = AskedAheadNeighbours(ElasticsearchNeighbours(client, f"{beginning}1"), wait_s=0.001)
    over(trained, ahead)
    proxy.slow(300)
    queries = trained.parts.als[:20]

    for at in range(len(queries)):
        await ahead.ask(queries[at : at + 1], 5)

    assert ahead.asked["in time"] == 0
    # More than some are not under way at once.
    assert ahead.asked["not asked"] > 0
    client.close()


async def test_indices_of_versions_that_nobody_serves_are_removed(bare_elastic: ElasticWorld, beginning: str) -> None:
    neighbours = {
        version: ElasticsearchNeighbours(bare_elastic.client, f"{beginning}{version}") for version in (9, 10, 11)
    }
    for one in neighbours.values():
        one.put(np.arange(2), np.ones((2, 3), np.float32))

    assert neighbours[11].holds(2)
    assert not neighbours[11].holds(3)
    assert neighbours[11].drop_others(beginning, 2) == [f"{beginning}9"]
    assert not neighbours[9].holds(2)


def metric(haat: Served, name: str) -> float:
    with urllib.request.urlopen(f"http://{haat.http}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


async def test_a_served_feed_asks_elasticsearch_for_its_recommendations(
    serve: Serve, keys: DemoKeys, tmp_path: Path, bare_elastic: ElasticWorld, trained: Hybrid, beginning: str
) -> None:
    models = tmp_path / "models"
    artefact.save(models / "recommender", trained, version="7", trees=20, learned_events=1, learned_from="a shop")
    config = tmp_path / "elastic.toml"
    config.write_text(
        f'elasticsearch_url = "{bare_elastic.url}"\nelasticsearch_prefix = "{bare_elastic.indices.prefix}"\n'
        f'models_dir = "{models}"\nrecommender_neighbours = "elasticsearch"\nrecommender_wait_ms = 2000\n'
    )
    items = ["mug-1", "mug-2", "lamp-1", "lamp-2"]
    with serve(config=str(config)) as haat:
        async with (
            CatalogueClient(haat.target, keys.shop.key, keys.shop.tenant_id) as products,
            FeedClient(haat.target, keys.shop.key, keys.shop.tenant_id) as shop,
        ):
            await products.put_products(
                [
                    catalogue.Product(
                        product_id=item, name=item, brand="b", category=item[:-2],
                        price_micros=1_000_000, currency="EUR", in_stock=True,
                        landing_url=f"https://shop.example/{item}",
                    )
                    for item in items
                ]
            )  # fmt: skip
            for item in items:
                tags = [feed.ProductTag(product_id=item)]
                post = feed.Post(creator_id="ann", caption=item, product_tags=tags)
                post.image_urls.append(f"https://b.example/{item}.png")
                await shop.create_post(post)
            visitor = common.Visitor(affinities=[common.Affinity(product_id="mug-1", weight=3.0)])
            loop = asyncio.get_running_loop()
            give_up_s = loop.time() + WITHIN_S
            pages = 0
            while not await asyncio.to_thread(metric, haat, 'haat_recommender_neighbours_total{how="in time"}'):
                assert loop.time() < give_up_s, f"no page had its neighbours within {WITHIN_S:.0f} s"
                pages += 1
                page = await shop.get_feed(
                    feed.GetFeedRequest(
                        tenant_id=keys.shop.tenant_id, session_id=f"s{pages}", consent=AGREED, visitor=visitor
                    )
                )
                assert len(page.items) == len(items)
        assert haat.stop() == 0
    assert bare_elastic.client.count(index=f"{beginning}7")["count"] == len(trained.items)
