"""How many of the page views came how far? Page views, placements, bids, sales, impressions, clicks, conversions."""

from __future__ import annotations

from typing import Final

import ibis
import ibis.expr.types as ir

from streams.batch.delivery import OF_BIDS, OF_NOTICES, counted
from streams.batch.report import BatchReport, Rate, Tables, number_where, total
from streams.batch.tables import BIDS, PAGE_VIEWS, PLACEMENTS, TAKEN_NOTICES, Column

_KEYS: Final = ("hour", "publisher_id", "placement_id")
_OF_PLACES: Final = ("page_views", "placements", "sold")
_MEASURES: Final = (*_OF_PLACES, *OF_BIDS, *OF_NOTICES)


def _funnel(tables: Tables) -> ir.Table:
    views = tables["page_views"].filter(~tables["page_views"]["test"])
    # A page view is of no placement alone: it stands under none.
    views = views.mutate(placement_id=ibis.literal(""))
    viewed = views.group_by(_KEYS).aggregate(page_views=views.count())
    places = tables["placements"].filter(~tables["placements"]["test"])
    offered = places.group_by(_KEYS).aggregate(placements=places.count(), sold=number_where(places["sold"]))
    came = counted(tables).group_by(_KEYS).aggregate(
        **{name: total(ibis._[name]) for name in (*OF_BIDS, *OF_NOTICES)}
    )  # fmt: skip
    return ibis.union(_whole(viewed), _whole(offered), _whole(came))


def _whole(rows: ir.Table) -> ir.Table:
    """With 0 in every measure that these rows do not tell of."""
    measures = {
        name: rows[name].cast("int64") if name in rows.columns else ibis.literal(0, "int64") for name in _MEASURES
    }
    return rows.select(*_KEYS, **measures)


FUNNEL: Final = BatchReport(
    name="funnel",
    question="how far page views came: placements, bids, sales, impressions, clicks, conversions",
    needs=(PAGE_VIEWS, PLACEMENTS, BIDS, TAKEN_NOTICES),
    dimensions=(Column("hour", "int64"), Column("publisher_id", "string"), Column("placement_id", "string")),
    measures=_MEASURES,
    rates=(Rate("fill_rate_ppm", "sold", "placements"), Rate("shown_rate_ppm", "impressions", "sold")),
    expression=_funnel,
)
