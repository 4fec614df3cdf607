"""What do the commands about the index do? Make it anew beside what answers, and tell how it stands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from app.currency_files import reader_of
from app.databases import open_database
from app.printing import print_json, print_table
from app.settings import Settings
from app.wiring_elasticsearch import indices_of
from backends.campaign_index_elasticsearch import PROJECTION, CampaignIndex
from backends.campaign_rebuild_elasticsearch import rebuild_from_record
from backends.campaign_rows_changed_sql import CampaignRows
from backends.elasticsearch_client import translated
from backends.elasticsearch_indices import Indices
from backends.elasticsearch_mappings import (
    CAMPAIGNS,
    CREATIVES,
    DEAD_LETTERS,
    LINE_ITEMS,
    PEOPLE,
    POSTS,
    PRODUCT_VECTORS,
    PRODUCTS,
    Mapping,
)
from backends.elasticsearch_rebuild import Rebuild
from common.clock import SystemClock
from common.errors import FieldError, InvalidInput
from exchange.currencies import Currencies
from exchange.static_worth import StaticWorths
from ranking.scoring import open_ranker

_FROM_RECORD = {one.name: one for one in (LINE_ITEMS, CAMPAIGNS, CREATIVES)}
# Their record is followed by the server alone, so they are copied.
_COPIED = {one.name: one for one in (POSTS, PRODUCTS, PEOPLE, PRODUCT_VECTORS)}
_REASONS_SHOWN = 20


class Rebuilt(msgspec.Struct, frozen=True):
    """What one rebuild came to; `refused` documents do not fit the mapping, `haat index status` tells why."""

    index: str
    generation: str
    source: str
    documents: int
    refused: int


def rebuild_index(settings: Settings, names: Sequence[str], *, source: str, shards: int, as_json: bool) -> None:
    """Make these indices anew (none named: all), while servers go on answering from the old ones and writing."""
    known = {**_FROM_RECORD, **_COPIED}
    errors = [
        FieldError("NAME", name[:100], f"give {', '.join(known)}, or none for all")
        for name in names
        if name not in known
    ]
    if source not in ("record", "index"):
        errors.append(FieldError("--from", source[:100], "give record or index"))
    if not 1 <= shards <= 1_024:
        errors.append(FieldError("--shards", str(shards), "give 1 to 1024"))
    if errors:
        raise InvalidInput(errors)
    indices = _indices(settings)
    made = indices.ensure()
    engine = open_database(settings)
    results: list[Rebuilt] = []
    try:
        rows = CampaignRows(engine)
        index = CampaignIndex(indices, rows, SystemClock(), worths=_worths(settings))
        if index.progress() is None:
            index.catch_up()
        counts = rows.counts()
        for name in dict.fromkeys(names or known):
            mapping = known[name]
            rebuild, buried = Rebuild(indices, mapping, shards=shards), index.dead_letters
            from_record = name in _FROM_RECORD and source == "record"
            expected = counts[name] if from_record else _count(indices, mapping)
            with _progress(name, expected) as told:
                if from_record:
                    documents = rebuild_from_record(index, rows, rebuild, mapping, told)
                else:
                    documents = rebuild.copied(told)
            refused = index.dead_letters - buried + len(rebuild.refused)
            results.append(
                Rebuilt(
                    index=indices.alias(mapping),
                    generation=indices.current(mapping) or "",
                    source="record" if from_record else "index",
                    documents=documents,
                    refused=refused,
                )
            )
    finally:
        engine.dispose()
        indices.client.close()
    if as_json:
        print_json({"made": made, "rebuilt": results})
        return
    print_table(
        ("index", "generation", "from", "documents", "refused"), [msgspec.structs.astuple(one) for one in results]
    )


def index_status(settings: Settings, *, as_json: bool) -> None:
    """How each index stands beside the record, and what could not be indexed."""
    indices = _indices(settings)
    engine = open_database(settings)
    try:
        rows = CampaignRows(engine)
        states = indices.states()
        index = CampaignIndex(indices, rows, SystemClock(), worths=lambda _: [])
        newest, at = rows.newest_sequence(), index.progress()
        counts = rows.counts()
        letters = _dead_letters(indices) if states else []
    finally:
        engine.dispose()
        indices.client.close()
    told: list[dict[str, Any]] = []
    for state in states:
        name = state.name.removeprefix(indices.prefix + "-")
        told.append(
            {
                "index": state.name,
                "generation": state.generation,
                "documents": state.documents,
                "in_record": counts.get(name),
                "bytes": state.bytes,
                "mapping": state.mapping,
                "advice": f"haat index rebuild {name}" if state.is_outdated else "",
                "older": list(state.older),
            }
        )
    if as_json:
        found = {"indices": told, PROJECTION: {"sequence": at, "newest": newest}, "dead_letters": letters}
        print_json(found)
        return
    if not told:
        print(f"There is no index {indices.prefix}-…: haat serve makes them, or haat index rebuild.")
        return
    columns = ("index", "generation", "documents", "in_record", "bytes", "mapping", "advice")
    print_table(columns, [[one[column] if one[column] is not None else "–" for column in columns] for one in told])
    behind = "nothing yet" if at is None else f"every change up to {at} of {newest}"
    print(f"The indices of campaigns hold {behind}.")
    for letter in letters:
        print(f"Not indexed: {letter['index']} {letter['id']}: {letter['reason']}")


def _indices(settings: Settings) -> Indices:
    if not settings.elasticsearch_url:
        raise InvalidInput(
            [FieldError("elasticsearch_url", "is empty", "give --set elasticsearch_url=http://127.0.0.1:9200")]
        )
    return indices_of(settings)


def _worths(settings: Settings) -> StaticWorths:
    # The order is that of the smoothed rates, whoever ranks in the end.
    ranker, _ = open_ranker(settings.models_dir / "click", lambda _: None, "prior")
    currencies = Currencies(
        own=settings.currency,
        clock=SystemClock(),
        read=reader_of(settings.currency_rates),
        stale_after_s=settings.currency_rates_stale_s,
    )
    currencies.refresh()
    return StaticWorths(
        ranker=ranker, rate_of=currencies.factor, engagement_value_micros=settings.engagement_value_micros
    )


def _count(indices: Indices, mapping: Mapping) -> int:
    with translated("counting documents"):
        return int(indices.client.count(index=indices.alias(mapping))["count"])


def _dead_letters(indices: Indices) -> list[dict[str, Any]]:
    with translated("reading dead letters"):
        answer = indices.client.search(
            index=indices.alias(DEAD_LETTERS),
            sort=[{"at_ms": "desc"}],
            size=_REASONS_SHOWN,
            source={"excludes": ["document"]},
        )
    return [hit["_source"] for hit in answer["hits"]["hits"]]


@contextmanager
def _progress(name: str, expected: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, nothing elsewhere: stdout is for the result."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=expected or None)
        yield lambda count: bar.update(task, completed=count)
