"""What does `haat campaigns find` do? One question to the search, its answer for people or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar

from app.databases import open_database
from app.printing import print_json, print_table
from app.settings import Settings
from app.wiring_elasticsearch import campaign_search_of, indices_of
from common.errors import FieldError, InvalidInput
from exchange.campaign_search import CampaignQuery, Found
from exchange.campaign_values import State
from exchange.request import Format

Named = TypeVar("Named", bound=IntEnum)


def find_campaigns(
    settings: Settings,
    *,
    text: str,
    tenant: str,
    kinds: Sequence[str],
    state: str,
    advertiser: str,
    formats: Sequence[str],
    limit: int,
    as_json: bool,
) -> None:
    """Print what is found, the newest first."""
    errors: list[FieldError] = [] if tenant else [FieldError("--tenant", "is missing", "give the id of a tenant")]
    query = CampaignQuery(
        tenant_id=tenant,
        text=text,
        kinds=_named("--kind", kinds, Found, errors) or (Found.CAMPAIGN, Found.LINE_ITEM),
        states=_named("--state", [state] if state else [], State, errors),
        advertiser_ids=(advertiser,) if advertiser else (),
        formats=_named("--format", formats, Format, errors),
        limit=limit,
    )
    if errors:
        raise InvalidInput(errors)
    engine = open_database(settings)
    indices = indices_of(settings) if settings.elasticsearch_url else None
    try:
        found = campaign_search_of(indices, engine).find(query)
    finally:
        engine.dispose()
        if indices is not None:
            indices.client.close()
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.kind.name.lower(), one.id, one.name, State(one.state).name.lower() if one.state else "",
            one.advertiser_name, " ".join(Format(number).name.lower() for number in one.formats),
        )
        for one in found.hits
    ]  # fmt: skip
    print_table(("kind", "id", "name", "state", "advertiser", "formats"), rows)
    if found.total > len(rows):
        print(f"{len(rows)} of {found.total}; narrow the question, or give --limit.")


def _named(field: str, names: Sequence[str], kind: type[Named], errors: list[FieldError]) -> tuple[Named, ...]:
    known = {one.name.lower(): one for one in kind}
    errors += [FieldError(field, name[:40], f"give {', '.join(known)}") for name in names if name.lower() not in known]
    return tuple(known[name.lower()] for name in names if name.lower() in known)
