"""How is an index made anew while it answers? Filled beside the one that answers, brought up to date, and swapped in.

Nothing is locked: a copy carries the version of its document, so it never replaces what was written meanwhile. What is
written to the old generation while the new one is filled is followed until little is left, the alias is moved in one
step, and what came in the moment of the move is taken over after it. Documents with a sequence are followed by it;
those without, by their versions, which are all looked at in each pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from backends.elasticsearch_bulk import BulkWriter, Item, Outcome
from backends.elasticsearch_client import translated
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import Mapping
from backends.elasticsearch_pages import pages
from common.errors import BackendUnavailable

# The alias is moved when a pass over the changes brings no more than this.
FEW: Final = 500
MOST_PASSES: Final = 50
# Each vector that is taken in is linked to others, which takes its time: a bulk of them is a small one.
_VECTORS_AT_ONCE: Final = 250

Told = Callable[[int], object]


class Rebuild:
    """Makes one index anew by this haat's mapping. Blocks; BackendUnavailable leaves what answers as it was."""

    def __init__(
        self, indices: Indices, mapping: Mapping, *, shards: int = 1, writer: BulkWriter | None = None
    ) -> None:
        self._indices = indices
        self._mapping = mapping
        self._shards = shards
        self._writer = writer or BulkWriter(indices.client)
        self.refused: list[str] = []

    def copied(self, told: Told = lambda _: None) -> int:
        """Copy all documents of the generation that answers; how many there are then. `told` hears how many so far."""
        old = self._indices.current(self._mapping)
        assert old is not None, "there is nothing to copy"
        newest = count = 0
        versions: dict[str, int] = {}

        def one_pass(into: str) -> int:
            nonlocal newest, count

            def so_far(more: int) -> object:
                return told(count + more)

            if "sequence" in self._mapping.fields:
                newest, fresh = self._copy(old, into, newest, so_far)
            else:
                fresh = self._copy_changed(old, into, versions, so_far)
            count += fresh
            return fresh

        return self.filled(one_pass, one_pass)

    def filled(self, fill: Callable[[str], int], follow: Callable[[str], int]) -> int:
        """`fill` writes everything into an index, `follow` what has changed since it was called last; both tell how
        many documents that were. How many there are then.
        """
        into = self._indices.begin_generation(self._mapping, shards=self._shards)
        try:
            self._tune(into, {"refresh_interval": "-1"})
            fill(into)
            self._tune(into, {"refresh_interval": None})
            for _ in range(MOST_PASSES):
                if follow(into) <= FEW:
                    break
            self._refresh(into)
            self._indices.move_alias(self._mapping, into)
        except BaseException:
            self._forget(into)
            raise
        # What was written to the old one while the alias was moved.
        follow(into)
        self._refresh(into)
        with translated("counting documents"):
            return int(self._indices.client.count(index=into)["count"])

    def _forget(self, generation: str) -> None:
        if self._indices.current(self._mapping) == generation:
            return
        try:
            self._indices.drop(self._mapping, generation)
        except BackendUnavailable:
            # It is named in `haat index status`, and goes with the next rebuild.
            return

    def _tune(self, index: str, settings: dict[str, Any]) -> None:
        with translated("tuning an index"):
            self._indices.client.indices.put_settings(index=index, settings={"index": settings})

    def _refresh(self, index: str) -> None:
        with translated("making writes visible"):
            self._indices.client.indices.refresh(index=index)

    def _copy(self, old: str, into: str, since: int, told: Told) -> tuple[int, int]:
        """(newest sequence met, documents that were new) of one pass over what is at `since` or newer: of a sequence
        that was met before, some may have become visible only now.
        """
        self._refresh(old)
        newest, fresh = since, 0
        for page in pages(self._indices.client, old, {"range": {"sequence": {"gte": since}}}):
            fresh += self._take(page, into)
            newest = int(page[-1]["_source"]["sequence"])
            told(fresh)
        return newest, fresh

    def _copy_changed(self, old: str, into: str, versions: dict[str, int], told: Told) -> int:
        """How many documents were new of one pass over those whose version is another than in `versions`, which is
        filled: some 100 bytes for each document. What is made and changed twice in the very moment of the move may stay
        in its older form until it changes again.
        """
        self._refresh(old)
        is_first, fresh = not versions, 0
        for page in pages(
            self._indices.client, old, {"match_all": {}}, by="_doc", source=is_first, size=_VECTORS_AT_ONCE
        ):
            changed = [hit for hit in page if versions.get(hit["_id"]) != hit["_version"]]
            if changed and not is_first:
                changed = self._with_sources(old, changed)
            fresh += self._take(changed, into)
            versions.update((hit["_id"], hit["_version"]) for hit in changed)
            told(fresh)
        return fresh

    def _with_sources(self, old: str, hits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        with translated("reading what has changed"):
            answer = self._indices.client.mget(index=old, ids=[hit["_id"] for hit in hits])
        return [one for one in answer["docs"] if one.get("found")]

    def _take(self, hits: Sequence[dict[str, Any]], into: str) -> int:
        """Write hits with their versions; how many were new there."""
        fresh = 0
        items = [Item(into, hit["_id"], hit["_source"], hit["_version"], only_newer=True) for hit in hits]
        for one in self._writer.write(items):
            fresh += one.outcome is Outcome.WRITTEN
            if one.outcome is Outcome.BAD_DOCUMENT:
                self.refused.append(f"{one.item.id}: {one.reason}")
        return fresh
