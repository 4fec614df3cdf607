"""Why did bids not win, and why did notices not count? How often each reason was met, by whom and where."""

from __future__ import annotations

from typing import Final

import ibis
import ibis.expr.types as ir

from streams.batch.delivery import named
from streams.batch.notice_codes import CORRECTION, INVALID, INVALID_FROM
from streams.batch.report import BatchReport, Tables
from streams.batch.tables import BIDS, LINE_ITEMS, TAKEN_NOTICES, Column

_KEYS: Final = ("hour", "publisher_id", "placement_id", "line_item_number", "bidder", "advertiser_domain", "reason")


def _losses(tables: Tables) -> ir.Table:
    bids = tables["bids"]
    lost = bids.filter(~bids["test"], bids["outcome"] != 0)
    lost = lost.mutate(
        bidder=lost["outside"].ifelse(lost["bidder"], ""),
        advertiser_domain=lost["outside"].ifelse(lost["advertiser_domain"], ""),
        reason=lost["outcome"],
        lost=lost["bids"],
    )
    notices = tables["notices"]
    refused = notices.filter(~notices["test"], (notices["kind"] == CORRECTION) | (notices["verdict"] == INVALID))
    outside = refused["line_item_number"] == 0
    refused = refused.mutate(
        bidder=outside.ifelse(refused["bidder"], ""),
        advertiser_domain=outside.ifelse(refused["advertiser_domain"], ""),
        reason=refused["validity"] + INVALID_FROM,
        lost=ibis.literal(1, "int64"),
    )
    return named(ibis.union(lost.select(*_KEYS, "lost"), refused.select(*_KEYS, "lost")), tables["line_items"])


LOSSES: Final = BatchReport(
    name="losses",
    question="how often each reason was met why a bid did not win or a notice did not count",
    needs=(BIDS, TAKEN_NOTICES, LINE_ITEMS),
    dimensions=(
        Column("reason", "int64"),
        Column("hour", "int64"),
        *(Column(name, "string") for name in ("advertiser_id", "campaign_id", "line_item_id", "line_item_name")),
        *(Column(name, "string") for name in ("publisher_id", "placement_id", "bidder")),
    ),
    measures=("lost",),
    expression=_losses,
)
