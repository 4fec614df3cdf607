"""What came of whose ads, where and when? The counts of `haat report`, out of files."""

from __future__ import annotations

from typing import Any, Final

import ibis
import ibis.expr.types as ir

from streams.batch.notice_codes import CORRECTION, COUNTED, INVALID, METRIC_OF
from streams.batch.report import BatchReport, Rate, Tables, number_where, total
from streams.batch.tables import BIDS, LINE_ITEMS, TAKEN_NOTICES, Column

OF_BIDS: Final = ("bids", "wins")
OF_NOTICES: Final = (*METRIC_OF, "invalid", "refunded", "spend_micros")
# What the log says of a place; a line item's campaign and advertiser stand behind its number.
KEYS: Final = (
    *("hour", "publisher_id", "placement_id", "line_item_number", "creative_number", "bidder"),
    "advertiser_domain",
)


def _delivery(tables: Tables) -> ir.Table:
    return named(counted(tables), tables["line_items"])


def counted(tables: Tables) -> ir.Table:
    """Sums by KEYS; tests count nowhere. Only an outside bid stands under its bidder and its advertiser's domain."""
    bids = tables["bids"].filter(~tables["bids"]["test"])
    bids = bids.mutate(
        bidder=bids["outside"].ifelse(bids["bidder"], ""),
        advertiser_domain=bids["outside"].ifelse(bids["advertiser_domain"], ""),
    )
    of_bids = bids.group_by(KEYS).aggregate(
        bids=total(bids["bids"]),
        wins=total((bids["outcome"] == 0).ifelse(bids["bids"], 0)),
        **{name: ibis.literal(0, "int64") for name in OF_NOTICES},
    )
    notices = tables["notices"].filter(~tables["notices"]["test"])
    outside = notices["line_item_number"] == 0
    notices = notices.mutate(
        bidder=outside.ifelse(notices["bidder"], ""),
        advertiser_domain=outside.ifelse(notices["advertiser_domain"], ""),
    )
    correction = notices["kind"] == CORRECTION
    of_notices = notices.group_by(KEYS).aggregate(
        **{name: ibis.literal(0, "int64") for name in OF_BIDS},
        **{name: _of_kind(notices, kind) for name, kind in METRIC_OF.items()},
        invalid=number_where(~correction & (notices["verdict"] == INVALID)),
        refunded=number_where(correction),
        spend_micros=total(notices["billed_micros"]),
    )
    return ibis.union(of_bids, of_notices)


def named(rows: ir.Table, line_items: ir.Table) -> ir.Table:
    """The rows with who stands behind `line_item_number`; "" where nobody does."""
    names = line_items.rename(of_line_item="line_item_number").drop("currency", "campaign_number")
    joined = rows.left_join(names, rows["line_item_number"] == names["of_line_item"]).drop("of_line_item")
    known = {name: joined[name].fill_null("") for name in names.columns if name != "of_line_item"}
    # Outside bidders' advertisers have no id here; their domain is what they are known by.
    known["advertiser_id"] = joined["advertiser_id"].fill_null(joined["advertiser_domain"])
    return joined.mutate(**known)


def _of_kind(notices: ir.Table, kind: int) -> Any:
    """What is said of this kind, less what was taken back."""
    said = (notices["kind"] == kind) & notices["verdict"].isin(COUNTED)
    taken_back = (notices["kind"] == CORRECTION) & (notices["corrects_kind"] == kind)
    return total(said.ifelse(1, 0) - taken_back.ifelse(1, 0))


DELIVERY: Final = BatchReport(
    name="delivery",
    question="bids, wins, impressions, clicks, conversions and spend by campaign, line item, placement and hour",
    needs=(BIDS, TAKEN_NOTICES, LINE_ITEMS),
    dimensions=(
        Column("hour", "int64"),
        *(
            Column(name, "string")
            for name in ("advertiser_id", "campaign_id", "campaign_name", "line_item_id", "line_item_name")
        ),
        Column("creative_number", "int64"),
        *(Column(name, "string") for name in ("publisher_id", "placement_id", "bidder")),
    ),
    measures=(*OF_BIDS, *OF_NOTICES),
    rates=(
        Rate("win_rate_ppm", "wins", "bids"),
        Rate("click_rate_ppm", "clicks", "impressions"),
        Rate("viewable_rate_ppm", "viewable", "impressions"),
    ),
    expression=_delivery,
)
