"""How are campaigns, line items and creatives found in Elasticsearch? By the same words, out of their own indices."""

from __future__ import annotations

from typing import Any, Final

from backends.elasticsearch_client import translated
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import CAMPAIGNS, CREATIVES, LINE_ITEMS, Mapping
from exchange.campaign_search import CampaignHit, CampaignHits, CampaignQuery, Found, check, concerns, words_of

_INDEX: Final[dict[Found, Mapping]] = {
    Found.CAMPAIGN: CAMPAIGNS,
    Found.LINE_ITEM: LINE_ITEMS,
    Found.CREATIVE: CREATIVES,
}
_SHOWN: Final = ["number", "name", "state", "advertiser_id", "advertiser_name", "campaign_id", "formats"]


class ElasticsearchCampaignSearch:
    """CampaignSearch over what was indexed: behind the record by the time that changes take, under a second."""

    def __init__(self, indices: Indices) -> None:
        self._indices = indices

    def find(self, query: CampaignQuery) -> CampaignHits:
        """As exchange.campaign_search.CampaignSearch; InvalidInput, BackendUnavailable."""
        check(query)
        hits: list[CampaignHit] = []
        total, skipped = 0, query.offset
        for kind in concerns(query):
            with translated("searching campaigns"):
                answer = self._indices.client.search(
                    index=self._indices.alias(_INDEX[kind]),
                    query={"bool": {"filter": _filters(query)}},
                    sort=[{"number": "desc"}],
                    from_=skipped,
                    size=query.limit - len(hits),
                    source={"includes": _SHOWN},
                    track_total_hits=True,
                )
            count = int(answer["hits"]["total"]["value"])
            hits += [_hit(kind, one) for one in answer["hits"]["hits"]]
            total, skipped = total + count, max(0, skipped - count)
        return CampaignHits(tuple(hits), total)


def _filters(query: CampaignQuery) -> list[dict[str, Any]]:
    # A line item that could not be indexed in its newest form has no name, and is not found.
    filters: list[dict[str, Any]] = [{"term": {"tenant_id": query.tenant_id}}, {"exists": {"field": "advertiser_id"}}]
    filters += [{"prefix": {"name_words": word}} for word in words_of(query.text)]
    asked = {
        "state": query.states,
        "advertiser_id": query.advertiser_ids,
        "campaign_id": query.campaign_ids,
        "formats": query.formats,
        "review_states": query.review_states,
        "pricing_model": query.pricing_models,
        "currency": query.currencies,
    }
    return filters + [{"terms": {name: list(values)}} for name, values in asked.items() if values]


def _hit(kind: Found, hit: dict[str, Any]) -> CampaignHit:
    said = hit["_source"]
    return CampaignHit(
        kind=kind,
        id=hit["_id"],
        number=said["number"],
        name=said["name"],
        state=said.get("state", 0),
        advertiser_id=said["advertiser_id"],
        advertiser_name=said["advertiser_name"],
        campaign_id=said.get("campaign_id", ""),
        formats=tuple(said.get("formats", ())),
    )
