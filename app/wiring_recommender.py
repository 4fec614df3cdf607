"""Which recommender does the feed ask, what does it hear, and how is somebody taken out of it again?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from app.settings import Settings
from backends.elasticsearch_client import open_client
from backends.neighbours_asked_ahead import AskedAheadNeighbours
from backends.neighbours_elasticsearch import ElasticsearchNeighbours
from backends.neighbours_usearch import UsearchNeighbours
from feed.actor import person_key
from feed.heard import Heard
from feed.recommender.serving import ServingRecommender
from feed.timeline import Timeline
from feed.view import FeedQuery

RECOMMENDER = "recommender"

# In Elasticsearch: the version that serves, and the one that other nodes may still serve.
_VERSIONS_KEPT = 2


def open_recommender(settings: Settings, *, serves: bool = False) -> ServingRecommender:
    """The current version, or none while none is trained; `follow` takes over newer ones.

    Its neighbours are where the settings say when it serves the feed, and in this process for whoever looks at one
    page.
    """
    if serves and in_elasticsearch(settings):
        return ServingRecommender(settings.models_dir / RECOMMENDER, partial(_in_elasticsearch, settings))
    return ServingRecommender(settings.models_dir / RECOMMENDER, lambda version: UsearchNeighbours())


def in_elasticsearch(settings: Settings) -> bool:
    """Are the recommender's neighbours in Elasticsearch? Without one they are not."""
    return settings.recommender_neighbours == "elasticsearch" and bool(settings.elasticsearch_url)


def asked_ahead(recommender: ServingRecommender) -> dict[str, int]:
    """Feed pages by what became of their question to Elasticsearch; empty where it is not asked."""
    hybrid = recommender.current
    neighbours = None if hybrid is None else hybrid.neighbours
    return dict(neighbours.asked) if isinstance(neighbours, AskedAheadNeighbours) else {}


def looking_ahead(
    settings: Settings, recommender: ServingRecommender, timeline: Timeline
) -> Callable[[FeedQuery], Awaitable[None]] | None:
    """What a feed page has to ask before it is decided, if anything."""
    if not in_elasticsearch(settings):
        return None

    async def look_ahead(query: FeedQuery) -> None:
        hybrid = recommender.current
        if hybrid is not None and (history := timeline.history(query)):
            await hybrid.look_ahead(history, query.now_ms)

    return look_ahead


def _in_elasticsearch(settings: Settings, version: str) -> AskedAheadNeighbours:
    beginning = f"{settings.elasticsearch_prefix}-recommender-"
    neighbours = ElasticsearchNeighbours(open_client(settings.elasticsearch_url), f"{beginning}{version}")
    return AskedAheadNeighbours(
        neighbours,
        wait_s=settings.recommender_wait_ms / 1000,
        written=lambda: neighbours.drop_others(beginning, _VERSIONS_KEPT),
    )


class HeardErasure:
    """Takes a person's choices out of the recommender that serves; a refit reads a log without them."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """How many choices were taken back."""
        return {"recommender choices": self._heard.forget(person_key(tenant_id, person_id))}
