"""How is an index of campaigns made anew out of the record? Everything once, then what has changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from backends.campaign_index_elasticsearch import CampaignIndex
from backends.campaign_rows_changed_sql import CampaignRows, Changed
from backends.elasticsearch_mappings import CAMPAIGNS, CREATIVES, LINE_ITEMS, Mapping
from backends.elasticsearch_rebuild import Rebuild

_ROWS: Final = {LINE_ITEMS.name: "line_items", CAMPAIGNS.name: "campaigns", CREATIVES.name: "creatives"}


def rebuild_from_record(
    index: CampaignIndex,
    rows: CampaignRows,
    rebuild: Rebuild,
    mapping: Mapping,
    told: Callable[[int], object] = lambda _: None,
) -> int:
    """Make the index of one kind anew; how many documents it holds. Whoever carries changes over goes on meanwhile."""
    newest = count = 0

    def write(changed: Changed, into: str) -> int:
        part = Changed(changed.sequence, **{_ROWS[mapping.name]: getattr(changed, _ROWS[mapping.name])})
        return index.write(part, {mapping.name: into})

    def fill(into: str) -> int:
        nonlocal newest, count
        newest = rows.newest_sequence()
        for changed in rows.all():
            count += write(changed, into)
            told(count)
        return count

    def follow(into: str) -> int:
        nonlocal newest
        changed = rows.changed_since(newest)
        if changed.sequence <= newest:
            return 0
        newest = changed.sequence
        return write(changed, into)

    return rebuild.filled(fill, follow)
