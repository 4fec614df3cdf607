"""How are posts, products and people found by words, with Elasticsearch? Search over one index for each kind.

Words are told apart and folded here, as haat does it everywhere, so that both backends find the same; Elasticsearch
weighs them (BM25). A document carries the time of its writing as its version: what is late never replaces what is new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import regex

from backends.elasticsearch_bulk import BulkWriter, Item, Outcome
from backends.elasticsearch_client import translated
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import PEOPLE, POSTS, PRODUCTS, Mapping
from backends.elasticsearch_pages import pages
from feed.social.marking import excerpt, folded_word, marked
from feed.social.words import MARK_BEGIN, MARK_END, Document, Found, Query, SearchKind

MAPPINGS: Final[dict[SearchKind, Mapping]] = {
    SearchKind.POST: POSTS,
    SearchKind.PRODUCT: PRODUCTS,
    SearchKind.PERSON: PEOPLE,
}
# A thing of this age is worth half of what recency can add, at most this much more than an ageless one.
HALF_LIFE_MS: Final = 30 * 86_400_000
RECENCY: Final = 0.5
# A word in the title counts for so much more than one in the body; hashtags stand between.
_FIELDS: Final = (("title_words", 4.0), ("tag_words", 2.0), ("body_words", 1.0))
_WORD: Final = regex.compile(r"[\p{L}\p{M}\p{N}]+")


class ElasticsearchSearch:
    """Search, to be called from any thread. BackendUnavailable when Elasticsearch does not answer."""

    def __init__(self, indices: Indices, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._indices = indices
        self._now_us = now_us
        self._latest_us = 0
        # Kinds of which some were removed for good and whose bytes may be on the disk still.
        self._left: set[SearchKind] = set()
        self.writer = BulkWriter(indices.client)

    def ensure(self) -> None:
        """Make the indices where they are missing."""
        self._indices.ensure(tuple(MAPPINGS.values()))

    def put(self, documents: Sequence[Document]) -> None:
        """Add or replace documents; they are found when this returns."""
        version = self._version()
        self.writer.write(
            (
                Item(self._alias(one.kind), _id(one.tenant_id, one.id), _document(one, version), version)
                for one in documents
            ),
            refresh=True,
        )

    def forget(self, tenant_id: str, kind: SearchKind, ids: Sequence[str]) -> int:
        """Remove documents."""
        return self._remove({kind: [_id(tenant_id, one) for one in ids]})

    def forget_person(self, tenant_id: str, person_id: str) -> int:
        """Remove all documents of a person, of all generations; `expunge` takes their bytes off the disk."""
        query = {"bool": {"filter": [{"term": {"tenant_id": tenant_id}}, {"term": {"person_id": person_id}}]}}
        gone: dict[SearchKind, list[str]] = {}
        for kind, mapping in MAPPINGS.items():
            found: set[str] = set()
            for generation in self._indices.generations(mapping):
                with translated("looking for a person's documents"):
                    self._indices.client.indices.refresh(index=generation)
                for page in pages(self._indices.client, generation, query, source=False):
                    found.update(hit["_id"] for hit in page)
            gone[kind] = sorted(found)
        self._left.update(kind for kind, ids in gone.items() if ids)
        return self._remove(gone)

    def expunge(self) -> bool:
        """Merge away what erased persons left; True when nothing is left of them. Elasticsearch keeps what was deleted
        for some 30 s, for copies that may be behind: call it again until then.
        """
        for kind in sorted(self._left):
            alias = self._alias(kind)
            with translated("merging what a person left"):
                generations = f"{alias}-*"
                self._indices.client.indices.flush(index=generations)
                self._indices.client.indices.forcemerge(index=generations, only_expunge_deletes=True)
                docs = self._indices.client.indices.stats(index=generations, metric="docs")["_all"]["total"]["docs"]
            if not docs["deleted"]:
                self._left.discard(kind)
        return not self._left

    def find(self, query: Query) -> list[Found]:
        """Documents that hold all words."""
        words = [word for one in query.words for word in _words(one)]
        if not words or not query.kinds:
            return []
        filters: list[dict[str, Any]] = [
            {"term": {"tenant_id": query.tenant_id}},
            {"range": {"at_ms": {"lte": query.now_ms}}},
        ]
        filters += [{"term": {"person_id": query.person_id}}] if query.person_id else []
        filters += [{"term": {"tags": query.tag}}] if query.tag else []
        must = [_meets(word, as_beginning=at == len(words) - 1) for at, word in enumerate(words)]
        recent = {"at_ms": {"origin": query.now_ms, "scale": HALF_LIFE_MS, "decay": 0.5}}
        with translated("searching"):
            answer = self._indices.client.search(
                index=[self._alias(kind) for kind in sorted(set(query.kinds))],
                query={
                    "function_score": {
                        "query": {"bool": {"must": must, "filter": filters}},
                        "functions": [
                            {"weight": 1.0},
                            {"filter": {"range": {"at_ms": {"gt": 0}}}, "exp": recent, "weight": RECENCY},
                        ],
                        "score_mode": "sum",
                        "boost_mode": "multiply",
                    }
                },
                # Scores are single floats: a little newer may look the same in them.
                sort=[{"_score": "desc"}, {"at_ms": "desc"}, {"kind": "asc"}, {"id": "asc"}],
                from_=query.offset,
                size=query.limit,
                source={"includes": ["title", "body", "kind", "id"]},
                # One index weighs a word as the other does, and one shard as the next.
                search_type="dfs_query_then_fetch",
                track_scores=True,
            )
        return [_found(hit, query.words) for hit in answer["hits"]["hits"]]

    def count(self) -> int:
        """How many documents there are."""
        with translated("counting documents"):
            return int(self._indices.client.count(index=[self._alias(kind) for kind in MAPPINGS])["count"])

    def close(self) -> None:
        """Nothing is held here: the client is its owner's to close."""

    def _remove(self, ids: dict[SearchKind, list[str]]) -> int:
        """Delete in all generations, so that a rebuild brings none of it back; how many answered to the alias."""
        version = self._version()
        count = 0
        for kind, some in ids.items():
            if not some:
                continue
            current = self._indices.current(MAPPINGS[kind])
            for generation in self._indices.generations(MAPPINGS[kind]):
                written = self.writer.write((Item(generation, one, None, version) for one in some), refresh=True)
                if generation == current:
                    count += sum(one.outcome is Outcome.WRITTEN for one in written)
        return count

    def _alias(self, kind: SearchKind) -> str:
        return self._indices.alias(MAPPINGS[kind])

    def _version(self) -> int:
        """The time in microseconds, greater than any before of this process."""
        self._latest_us = max(self._latest_us + 1, self._now_us())
        return self._latest_us


def _meets(word: str, *, as_beginning: bool) -> dict[str, Any]:
    ways: list[dict[str, Any]] = [{"term": {name: {"value": word, "boost": boost}}} for name, boost in _FIELDS]
    if as_beginning:
        # A word that only begins so counts for little beside one that is met whole.
        ways += [{"prefix": {name: {"value": word, "boost": boost / 10}}} for name, boost in _FIELDS]
    return {"dis_max": {"queries": ways, "tie_breaker": 0.3}}


def _document(one: Document, version: int) -> dict[str, Any]:
    title, body = _plain(one.title), _plain(one.body)
    return {
        "sequence": version,
        "tenant_id": one.tenant_id,
        "id": one.id,
        "kind": int(one.kind),
        "person_id": one.person_id,
        "at_ms": one.at_ms,
        "tags": list(one.tags),
        "title": title,
        "body": body,
        "title_words": " ".join(_words(title)),
        "body_words": " ".join(_words(body)),
        "tag_words": " ".join(word for tag in one.tags for word in _words(tag)),
    }


def _words(text: str) -> list[str]:
    return [folded_word(word) for word in _WORD.findall(text)]


def _plain(text: str) -> str:
    return text.replace(MARK_BEGIN, "").replace(MARK_END, "")


def _id(tenant_id: str, id_: str) -> str:
    return f"{tenant_id}:{id_}"


def _found(hit: dict[str, Any], words: Iterable[str]) -> Found:
    source = hit["_source"]
    asked = list(words)
    return Found(
        SearchKind(source["kind"]),
        source["id"],
        title=marked(source["title"], asked),
        snippet=excerpt(marked(source["body"], asked)),
        score=float(hit["_score"]),
    )
