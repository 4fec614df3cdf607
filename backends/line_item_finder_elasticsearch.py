"""How are line items found without holding them all? One multi-search a batch, a query for each thing that is wanted.

Filters go by whole words, so that a clause of targeting costs a look into one list; the dearest come first by the worth
that each standing bid has in the index (bid × prior), of those creatives alone that fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from elasticsearch import AsyncElasticsearch

from backends.campaign_documents import ALWAYS, ANY, shape_word
from backends.elasticsearch_client import hits_of_each, translated
from backends.line_items_elasticsearch import ids_of, record_of
from common.clock import Clock
from exchange.ports import LineItemRecord
from exchange.wanted import Wanted

# A line item is found this much before it starts, and is kept out by the auction until then.
AHEAD_MS: Final = 5_000
# Elasticsearch takes no more hits of one search.
NUMBERS_AT_ONCE: Final = 1_000
# The ids are all that is read of an answer.
_ANSWER: Final = ("responses.hits.hits._id",)
_HOUR_MS: Final = 3_600_000
# 1 January 1970 was a Thursday.
_THURSDAY_H: Final = 72

_Query = dict[str, Any]


class ElasticsearchLineItemFinder:
    """LineItemFinder; `most` line items are found for each question. BackendUnavailable."""

    def __init__(self, client: AsyncElasticsearch, index: str, clock: Clock, *, most: int) -> None:
        self._client = client
        self._index = index
        self._clock = clock
        self._most = most

    async def find(self, wanted: Sequence[Wanted]) -> list[tuple[str, ...]]:
        """As exchange.ports.LineItemFinder; one call, whatever the number of questions."""
        now_ms = self._clock.now_ms()
        searches: list[_Query] = []
        for one in wanted:
            searches += [{}, search_for(one, now_ms, self._most)]
        if not searches:
            return []
        found = await hits_of_each(self._client, self._index, searches, _ANSWER, "looking for line items")
        return [ids_of(hits) for hits in found]

    async def numbered(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """As exchange.ports.LineItemFinder."""
        found: list[str] = []
        for first in range(0, len(numbers), NUMBERS_AT_ONCE):
            some = list(numbers[first : first + NUMBERS_AT_ONCE])
            filters = [{"terms": {"number": some}}, {"term": {"running": True}}]
            with translated("looking for line items that were seen"):
                answer = await self._client.search(
                    index=self._index, query={"bool": {"filter": filters}}, size=len(some), source=False
                )
            found += ids_of(answer["hits"]["hits"])
        return tuple(found)

    async def records(self, line_item_ids: Sequence[str]) -> list[LineItemRecord]:
        """As exchange.ports.LineItemFinder."""
        if not line_item_ids:
            return []
        with translated("reading line items"):
            answer = await self._client.mget(
                index=self._index, ids=list(line_item_ids), source_includes=["running", "record"]
            )
        return [record_of(one) for one in answer["docs"] if one.get("found") and one["_source"]["running"]]


def search_for(wanted: Wanted, now_ms: int, most: int) -> _Query:
    """The search of one question."""
    return {
        "size": most,
        "_source": False,
        "track_total_hits": False,
        "query": {"bool": {"must": [_creatives(wanted)], "filter": _filters(wanted, now_ms), "must_not": _not(wanted)}},
        "sort": [{"_score": "desc"}, {"number": "asc"}],
    }


def hour_of_week_utc(at_ms: int) -> int:
    """0 is Monday 00:00 in UTC."""
    return (at_ms // _HOUR_MS + _THURSDAY_H) % 168


def _filters(wanted: Wanted, now_ms: int) -> list[_Query]:
    filters: list[_Query] = [
        {"term": {"running": True}},
        {"range": {"starts_at_ms": {"lte": now_ms + AHEAD_MS}}},
        {"range": {"ends_at_ms": {"gt": now_ms}}},
        {"terms": {"hours_utc": [ALWAYS, hour_of_week_utc(wanted.hour_ms)]}},
        # All given dimensions must match, each by one of its words; who gives none has ANY.
        *({"terms": {dimension: [ANY, *words]}} for dimension, words in wanted.words),
    ]
    if wanted.in_the_open:
        filters.append({"term": {"deals_only": False}})
    else:
        filters.append({"terms": {"deal_ids": list(wanted.deal_ids)}})
    if wanted.allowed_seats:
        filters.append({"terms": {"seat": list(wanted.allowed_seats)}})
    return filters


def _not(wanted: Wanted) -> list[_Query]:
    blocked = {"advertiser_domain": wanted.blocked_advertisers, "seat": wanted.blocked_seats}
    return [{"terms": {name: list(words)}} for name, words in blocked.items() if words]


def _creatives(wanted: Wanted) -> _Query:
    """One of its creatives fits, and the dearest of those that do gives the score."""
    shapes: _Query = {"terms": {"creatives.shape": [shape_word(shape) for shape in wanted.shapes]}}
    if wanted.flexible_from_width:
        wide: _Query = {"range": {"creatives.banner_width": {"gte": wanted.flexible_from_width}}}
        shapes = {"bool": {"should": [shapes, wide], "minimum_should_match": 1}}
    filters: list[_Query] = [shapes, {"term": {"creatives.review_state": 2}}]
    if wanted.allowed_categories:
        filters.append({"terms": {"creatives.categories": list(wanted.allowed_categories)}})
    if wanted.allowed_languages:
        filters.append({"terms": {"creatives.languages": [ANY, *wanted.allowed_languages]}})
    blocked: dict[str, Sequence[object]] = {
        "categories": wanted.blocked_categories,
        "attributes": wanted.blocked_attributes,
        "app_bundle": wanted.blocked_apps,
        "insecure": (True,) if wanted.secure else (),
    }
    must_not = [{"terms": {f"creatives.{name}": list(words)}} for name, words in blocked.items() if words]
    worth = {"field": "creatives.worth_micros", "missing": 0}
    return {
        "nested": {
            "path": "creatives",
            "score_mode": "max",
            "query": {
                "function_score": {
                    "query": {"bool": {"filter": filters, "must_not": must_not}},
                    "functions": [{"field_value_factor": worth}],
                    "boost_mode": "replace",
                }
            },
        }
    }
