"""Which indices are there? One alias for each kind of document, over generations of which one answers.

`haat-line-items` is an alias of `haat-line-items-7`. Searches and writes go by the alias; a new generation is made
beside it and the alias is moved in one step. The generation before stays until the next move, to go back to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from elasticsearch import Elasticsearch, NotFoundError

from backends.elasticsearch_client import translated
from backends.elasticsearch_mappings import MAPPINGS, Mapping

DEFAULT_PREFIX: Final = "haat"


class IndexState(msgspec.Struct, frozen=True):
    """One index as it stands; `mapping` is what it was made by, `wanted` what this haat would make it by."""

    name: str
    generation: str
    documents: int
    deleted: int
    bytes: int
    mapping: int
    wanted: int
    older: tuple[str, ...] = ()

    @property
    def is_outdated(self) -> bool:
        """Is it made by a mapping that is not this haat's?"""
        return self.mapping != self.wanted


class Indices:
    """The indices of one haat, by their prefix. Every call blocks; BackendUnavailable when there is no answer."""

    def __init__(self, client: Elasticsearch, prefix: str = DEFAULT_PREFIX) -> None:
        self.client = client
        self.prefix = prefix

    def alias(self, mapping: Mapping) -> str:
        """The name by which documents are read and written."""
        return f"{self.prefix}-{mapping.name}"

    def ensure(self, mappings: Sequence[Mapping] = MAPPINGS, *, shards: int = 1) -> list[str]:
        """Make what is missing: templates, and a first generation; what was made. Safe to call again, and from several
        processes at once.
        """
        made = []
        with translated("making indices"):
            for mapping in mappings:
                if self.generations(mapping):
                    continue
                self.put_template(mapping, shards)
                first = self._name(mapping, 1)
                answer = self.client.options(ignore_status=400).indices.create(
                    index=first, aliases={self.alias(mapping): {"is_write_index": True}}
                )
                if "error" not in answer:
                    made.append(first)
        return made

    def put_template(self, mapping: Mapping, shards: int) -> None:
        """Later generations are made by it."""
        with translated("writing an index template"):
            self.client.indices.put_index_template(
                name=self.alias(mapping), **mapping.template(self.prefix, shards), create=False
            )

    def generations(self, mapping: Mapping) -> list[str]:
        """All generations there are, oldest first; also those that a rebuild has begun and not finished."""
        with translated("looking for indices"):
            found = self.client.indices.get(
                index=f"{self.alias(mapping)}-*", ignore_unavailable=True, filter_path="*.settings.index.uuid"
            )
        numbered = [name for name in found if name.removeprefix(self.alias(mapping) + "-").isdecimal()]
        return sorted(numbered, key=lambda name: int(name.rpartition("-")[2]))

    def current(self, mapping: Mapping) -> str | None:
        """The generation that the alias names, None without one."""
        with translated("looking for an alias"):
            try:
                found = self.client.indices.get_alias(name=self.alias(mapping))
            except NotFoundError:
                return None
        return next(iter(found), None)

    def begin_generation(self, mapping: Mapping, *, shards: int = 1) -> str:
        """An empty next generation by this haat's mapping, which no alias names yet."""
        known = self.generations(mapping)
        number = int(known[-1].rpartition("-")[2]) + 1 if known else 1
        self.put_template(mapping, shards)
        with translated("making an index"):
            self.client.indices.create(index=self._name(mapping, number))
        return self._name(mapping, number)

    def move_alias(self, mapping: Mapping, to: str) -> list[str]:
        """From now on `to` answers, in one step; generations before the one that did are removed, and named."""
        before = self.current(mapping)
        alias = self.alias(mapping)
        actions: list[dict[str, Any]] = [{"add": {"index": to, "alias": alias, "is_write_index": True}}]
        if before is not None and before != to:
            actions.insert(0, {"remove": {"index": before, "alias": alias}})
        gone = [name for name in self.generations(mapping) if name not in (before, to)]
        with translated("moving an alias"):
            self.client.indices.update_aliases(actions=actions)
            if gone:
                self.client.indices.delete(index=gone, ignore_unavailable=True)
        return gone

    def drop(self, mapping: Mapping, generation: str) -> None:
        """Remove a generation that no alias names."""
        assert generation.startswith(self.alias(mapping) + "-")
        with translated("removing an index"):
            self.client.indices.delete(index=generation, ignore_unavailable=True)

    def remove_all(self) -> None:
        """Remove everything of this prefix, templates too; for tests."""
        with translated("removing indices"):
            for mapping in MAPPINGS:
                for name in self.generations(mapping):
                    self.client.indices.delete(index=name, ignore_unavailable=True)
                self.client.options(ignore_status=404).indices.delete_index_template(name=self.alias(mapping))

    def states(self) -> list[IndexState]:
        """How each index stands; those that are missing are left out."""
        states = []
        for mapping in MAPPINGS:
            current = self.current(mapping)
            if current is None:
                continue
            with translated("looking at an index"):
                stats = self.client.indices.stats(index=current, metric=["docs", "store"])["indices"][current]["total"]
                made = self.client.indices.get_mapping(index=current)[current]["mappings"]
                # The figures above count nested documents too.
                count = self.client.count(index=current)["count"]
            states.append(
                IndexState(
                    name=self.alias(mapping),
                    generation=current,
                    documents=int(count),
                    deleted=int(stats["docs"]["deleted"]),
                    bytes=int(stats["store"]["size_in_bytes"]),
                    mapping=int(made.get("_meta", {}).get("haat_mapping", 0)),
                    wanted=mapping.version,
                    older=tuple(name for name in self.generations(mapping) if name != current),
                )
            )
        return states

    def _name(self, mapping: Mapping, generation: int) -> str:
        return f"{self.alias(mapping)}-{generation}"
