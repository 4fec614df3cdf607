"""How is an index made anew while it answers? Filled beside the one that answers, brought up to date, and swapped in.

Nothing is locked: documents carry external versions, so a copy never replaces what was written meanwhile. What is
written to the old generation while the new one is filled is followed until little is left, the alias is moved in one
step, and what came in the moment of the move is taken over after it.
"""

from __future__ import annotations

from collections.abc import Callable
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

        def one_pass(into: str) -> int:
            nonlocal newest, count
            newest, fresh = self._copy(old, into, newest, lambda more: told(count + more))
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
            items = [Item(into, hit["_id"], hit["_source"], hit["_version"], only_newer=True) for hit in page]
            for one in self._writer.write(items):
                fresh += one.outcome is Outcome.WRITTEN
                if one.outcome is Outcome.BAD_DOCUMENT:
                    self.refused.append(f"{one.item.id}: {one.reason}")
            newest = int(page[-1]["_source"]["sequence"])
            told(fresh)
        return newest, fresh
