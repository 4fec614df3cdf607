"""What does Elasticsearch hold, and how is each field found? One mapping for each index, with a version of its own.

Mappings are strict: a field that is not in them is refused, so that a document of a newer haat cannot be half indexed
by an older one. A mapping that is changed gets the next version, and `haat index rebuild` makes the index anew by it.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from streams.product_vectors import WIDTH

_KEYWORD: Final = {"type": "keyword", "ignore_above": 1024}
_NUMBER: Final = {"type": "integer"}
# Money is whole micros: there are no scaled floats here, and none are missed.
_MICROS: Final = {"type": "long"}
_TIME: Final = {"type": "long"}
_YES: Final = {"type": "boolean"}
# Kept and given back, never looked into.
_KEPT: Final = {"type": "object", "enabled": False}
# Words are told apart and folded by haat itself, the same way for every backend.
_WORDS: Final = {"type": "text", "analyzer": "whitespace", "index_options": "freqs"}

# What every document has: the change it was written by, which is also its external version.
SEQUENCE: Final = {"sequence": {"type": "long"}}

DIMENSIONS: Final = (
    "country", "device", "category", "keyword", "segment", "seen_product", "near_product", "placement", "language",
)  # fmt: skip

_CREATIVE: Final = {
    "shape": _KEYWORD,
    "banner_width": _NUMBER,
    "review_state": {"type": "byte"},
    "categories": _KEYWORD,
    "attributes": _NUMBER,
    "languages": _KEYWORD,
    "app_bundle": _KEYWORD,
    "insecure": _YES,
    "product_id": _KEYWORD,
    # Bid × prior in micros per thousand impressions, in the exchange's currency.
    "worth_micros": _MICROS,
}


class Mapping(Struct, frozen=True):
    """One index: its name behind the prefix, the version of its mapping, and its fields."""

    name: str
    version: int
    fields: dict[str, Any]

    def template(self, prefix: str, shards: int) -> dict[str, Any]:
        """The index template by which each generation of the index is made."""
        return {
            "index_patterns": [f"{prefix}-{self.name}-*"],
            "priority": 500,
            "template": {
                "settings": {
                    "number_of_shards": shards,
                    "auto_expand_replicas": "0-1",
                    "refresh_interval": "1s",
                    # A deletion is remembered for as long as a rebuild may run beside it.
                    "gc_deletes": "6h",
                    # A forced merge leaves nothing of what was deleted: an erased person's words go for good.
                    "merge.policy.expunge_deletes_allowed": 0,
                },
                "mappings": {"dynamic": "strict", "_meta": {"haat_mapping": self.version}, "properties": self.fields},
            },
        }


LINE_ITEMS: Final = Mapping(
    "line-items",
    2,
    {
        **SEQUENCE,
        "number": {"type": "long"},
        "tenant_id": _KEYWORD,
        "running": _YES,
        "state": {"type": "byte"},
        "name": {"type": "keyword", "index": False},
        "name_words": _KEYWORD,
        "campaign_id": _KEYWORD,
        "advertiser_id": _KEYWORD,
        "advertiser_name": {"type": "keyword", "index": False},
        "advertiser_domain": _KEYWORD,
        "seat": _KEYWORD,
        "strategy": {"type": "byte"},
        "pricing_model": {"type": "byte"},
        "bid_micros": _MICROS,
        "currency": _KEYWORD,
        "formats": _NUMBER,
        "review_states": {"type": "byte"},
        "starts_at_ms": _TIME,
        "ends_at_ms": _TIME,
        "hours_utc": {"type": "short"},
        "deal_ids": _KEYWORD,
        "deals_only": _YES,
        **dict.fromkeys(DIMENSIONS, _KEYWORD),
        "creatives": {"type": "nested", "properties": _CREATIVE},
        "record": _KEPT,
    },
)
CAMPAIGNS: Final = Mapping(
    "campaigns",
    1,
    {
        **SEQUENCE,
        "number": {"type": "long"},
        "tenant_id": _KEYWORD,
        "state": {"type": "byte"},
        "name": {"type": "keyword", "index": False},
        "name_words": _KEYWORD,
        "campaign_id": _KEYWORD,
        "advertiser_id": _KEYWORD,
        "advertiser_name": {"type": "keyword", "index": False},
        "currency": _KEYWORD,
        "total_micros": _MICROS,
        "daily_micros": _MICROS,
    },
)
CREATIVES: Final = Mapping(
    "creatives",
    1,
    {
        **SEQUENCE,
        "number": {"type": "long"},
        "tenant_id": _KEYWORD,
        "name": {"type": "keyword", "index": False},
        "name_words": _KEYWORD,
        "advertiser_id": _KEYWORD,
        "advertiser_name": {"type": "keyword", "index": False},
        "formats": _NUMBER,
        "review_states": {"type": "byte"},
        "product_id": _KEYWORD,
        "categories": _KEYWORD,
    },
)


def _found_by_words(name: str) -> Mapping:
    return Mapping(
        name,
        1,
        {
            **SEQUENCE,
            "tenant_id": _KEYWORD,
            "id": _KEYWORD,
            "kind": {"type": "byte"},
            "person_id": _KEYWORD,
            "at_ms": _TIME,
            "tags": _KEYWORD,
            "title": {"type": "keyword", "index": False, "doc_values": False},
            "body": {"type": "keyword", "index": False, "doc_values": False},
            "title_words": _WORDS,
            "body_words": _WORDS,
            "tag_words": _WORDS,
        },
    )


POSTS: Final = _found_by_words("posts")
PRODUCTS: Final = _found_by_words("products")
PEOPLE: Final = _found_by_words("people")
# Components are whole numbers of a byte, about 127 long together, so that inner products are exact.
PRODUCT_VECTORS: Final = Mapping(
    "product-vectors",
    1,
    {
        # What the vector was made of: who has the same has nothing to write.
        "made_of": {"type": "keyword", "index": False},
        "vector": {
            "type": "dense_vector",
            "element_type": "byte",
            "dims": WIDTH,
            "similarity": "max_inner_product",
            "index_options": {"type": "hnsw", "m": 24, "ef_construction": 160},
        },
    },
)
# What could not be indexed, with the reason; the document is kept as text.
DEAD_LETTERS: Final = Mapping(
    "dead-letters",
    1,
    {
        "index": _KEYWORD,
        "id": _KEYWORD,
        "sequence": {"type": "long"},
        "at_ms": _TIME,
        "reason": _KEYWORD,
        "document": {"type": "keyword", "index": False, "doc_values": False},
    },
)
# How far each projection has come, by its name.
PROGRESS: Final = Mapping("progress", 1, {**SEQUENCE, "at_ms": _TIME})

MAPPINGS: Final = (LINE_ITEMS, CAMPAIGNS, CREATIVES, POSTS, PRODUCTS, PEOPLE, PRODUCT_VECTORS, DEAD_LETTERS, PROGRESS)
