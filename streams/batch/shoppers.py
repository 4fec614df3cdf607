"""Who are a shop's shoppers? Visits joined with purchases: how lately, how often, for how much somebody bought (RFM).

A purchase is a conversion that holds, or one that the feed was told of; the same product of the same visitor on one day
is one, since both may tell of it. What it cost is the product's price at that time. Each of the three measures gets a
score from 1 to 5 by how many of the shop's shoppers have less of it, so that equal shoppers score equally, and the
scores say the segment.
"""

from __future__ import annotations

from typing import Any, Final

import ibis
import ibis.expr.types as ir

from streams.batch.notice_codes import CONVERSION, CORRECTION, COUNTED, PURCHASE
from streams.batch.report import BatchReport, Tables, number_where, total, whole
from streams.batch.tables import PAGE_VIEWS, PUT_PRODUCTS, SERVED_PAGES, TAKEN_ACTIONS, TAKEN_NOTICES, Column

_DAY_MS: Final = 86_400_000
_SCORES: Final = 5
_NOBODY: Final = ""
_WHO: Final = ("tenant_id", "visitor_id")
_SHOP: Final = ("tenant_id", "currency")


def _purchases(tables: Tables) -> ir.Table:
    """(tenant, visitor, product, day, at_ms) of each purchase."""
    notices = tables["notices"].filter(~tables["notices"]["test"])
    bought = notices.filter(
        notices["kind"] == CONVERSION, notices["verdict"].isin(COUNTED), notices["visitor_id"] != _NOBODY
    )
    taken_back = notices.filter(notices["kind"] == CORRECTION, notices["corrects_kind"] == CONVERSION)
    held = bought.anti_join(taken_back, ["impression_id", "order_id"])
    actions = tables["feed_actions"]
    told = actions.filter(actions["kind"] == PURCHASE, actions["visitor_id"] != _NOBODY, actions["detail"] != "")
    lines = ibis.union(
        held.select("visitor_id", "product_id", "at_ms", tenant_id=held["publisher_id"]),
        told.select("visitor_id", "at_ms", "tenant_id", product_id=told["detail"]).select(
            "visitor_id", "product_id", "at_ms", "tenant_id"
        ),
    )
    by_day = lines.mutate(day=whole(lines["at_ms"], _DAY_MS))
    return by_day.group_by(*_WHO, "product_id", "day").aggregate(bought_at_ms=by_day["at_ms"].min())


def _priced(purchases: ir.Table, products: ir.Table) -> ir.Table:
    """Each purchase with its product's price as it was then; of a product from before the log, its first."""
    # A product that one request names twice is refused, so records are told apart by their offset.
    puts = products.group_by("tenant_id", "product_id", "record_offset").aggregate(
        at_ms=products["at_ms"].max(), price_micros=products["price_micros"].max(), currency=products["currency"].max()
    )
    in_order = ibis.window(group_by=["tenant_id", "product_id"], order_by="record_offset")
    spans = puts.mutate(
        upto_ms=puts["at_ms"].lead().over(in_order).fill_null(1 << 62),
        from_ms=(puts["at_ms"].lag().over(in_order).isnull()).ifelse(0, puts["at_ms"]),
    ).select("product_id", "from_ms", "upto_ms", "price_micros", "currency", of_tenant="tenant_id")
    joined = purchases.left_join(
        spans.rename(of_product="product_id"),
        [
            ("tenant_id", "of_tenant"),
            ("product_id", "of_product"),
            purchases["bought_at_ms"] >= spans["from_ms"],
            purchases["bought_at_ms"] < spans["upto_ms"],
        ],
    )
    return joined.mutate(price_micros=joined["price_micros"].fill_null(0), currency=joined["currency"].fill_null(""))


def _visits(tables: Tables) -> ir.Table:
    """(tenant, visitor, pages, sessions, last_visit_ms) of each visitor who may be remembered."""
    views, pages = tables["page_views"], tables["feed_pages"]
    views = views.filter(~views["test"], views["visitor_id"] != _NOBODY)
    pages = pages.filter(pages["visitor_id"] != _NOBODY)
    seen = ibis.union(
        views.select("visitor_id", "session_id", "at_ms", tenant_id=views["publisher_id"]),
        pages.select("visitor_id", "session_id", "at_ms", "tenant_id"),
    )
    return seen.group_by(_WHO).aggregate(
        pages=seen.count(), sessions=seen["session_id"].nunique(), last_visit_ms=seen["at_ms"].max()
    )


def _shoppers(tables: Tables) -> ir.Table:
    purchases = _priced(_purchases(tables), tables["products"])
    bought = purchases.group_by(*_WHO, "currency").aggregate(
        purchases=purchases.count(),
        spent_micros=total(purchases["price_micros"]),
        last_purchase_ms=purchases["bought_at_ms"].max(),
    )
    scored = bought
    for name, measure in (("recency", "last_purchase_ms"), ("frequency", "purchases"), ("money", "spent_micros")):
        scored = _scored(scored, name, measure)
    visits = _visits(tables)
    everybody = scored.outer_join(visits.rename(of_tenant="tenant_id", of_visitor="visitor_id"), [
        ("tenant_id", "of_tenant"), ("visitor_id", "of_visitor")
    ])  # fmt: skip
    numbers = ("purchases", "spent_micros", "last_purchase_ms", "pages", "sessions", "last_visit_ms")
    scores = ("recency", "frequency", "money")
    shoppers = everybody.mutate(
        tenant_id=everybody["tenant_id"].fill_null(everybody["of_tenant"]),
        visitor_id=everybody["visitor_id"].fill_null(everybody["of_visitor"]),
        currency=everybody["currency"].fill_null(""),
        **{name: everybody[name].fill_null(0).cast("int64") for name in (*numbers, *scores)},
    )
    return shoppers.mutate(segment=_segment(shoppers))


def _scored(rows: ir.Table, name: str, measure: str) -> ir.Table:
    """With a score from 1 to 5: one fifth of the shop's shoppers who have less is one point.

    Counted by distinct value, so that what is sorted is small however many shoppers there are.
    """
    values = rows.group_by(*_SHOP, measure).aggregate(shoppers_there=rows.count())
    shop = [values[key] for key in _SHOP]
    upto = ibis.window(group_by=shop, order_by=values[measure], preceding=None, following=0)
    placed = values.mutate(
        before=(values["shoppers_there"].sum().over(upto) - values["shoppers_there"]).cast("int64"),
        everybody=values["shoppers_there"].sum().over(ibis.window(group_by=shop)).cast("int64"),
    )
    scores = placed.select(
        of_tenant="tenant_id",
        of_currency="currency",
        of_value=placed[measure],
        **{name: whole(placed["before"] * _SCORES, placed["everybody"]) + 1},
    )
    joined = rows.inner_join(scores, [("tenant_id", "of_tenant"), ("currency", "of_currency"), (measure, "of_value")])
    return joined.drop("of_tenant", "of_currency", "of_value")


def _segment(rows: ir.Table) -> Any:
    """The segment by the scores; the first line that fits."""
    recency, frequency = rows["recency"], rows["frequency"]
    return ibis.cases(
        (rows["purchases"] == 0, "visitor"),
        ((recency >= 4) & (frequency >= 4), "champion"),
        ((recency >= 3) & (frequency >= 3), "loyal"),
        ((recency >= 4) & (rows["purchases"] == 1), "new"),
        (recency >= 3, "promising"),
        ((frequency >= 4) | (rows["money"] == _SCORES), "at_risk"),
        else_="lost",
    )


_NEEDS: Final = (PAGE_VIEWS, SERVED_PAGES, TAKEN_NOTICES, TAKEN_ACTIONS, PUT_PRODUCTS)
_SCORED: Final = ("recency", "frequency", "money")

SHOPPERS: Final = BatchReport(
    name="shoppers",
    question="each shopper: visits, purchases, spend, scores of recency, frequency and money, and a segment",
    needs=_NEEDS,
    dimensions=tuple(Column(name, "string") for name in ("tenant_id", "visitor_id", "currency", "segment")),
    measures=(*("pages", "sessions", "last_visit_ms", "purchases", "spent_micros", "last_purchase_ms"), *_SCORED),
    expression=_shoppers,
    personal=True,
    whole_rows=True,
)

SEGMENTS: Final = BatchReport(
    name="segments",
    question="how many shoppers each segment has, and what they bought",
    needs=_NEEDS,
    dimensions=tuple(Column(name, "string") for name in ("tenant_id", "currency", "segment")),
    measures=("shoppers", "buyers", "pages", "sessions", "purchases", "spent_micros"),
    expression=lambda tables: _counted(_shoppers(tables)),
    personal=True,
)


def _counted(shoppers: ir.Table) -> ir.Table:
    return shoppers.group_by("tenant_id", "currency", "segment").aggregate(
        shoppers=shoppers.count(),
        buyers=number_where(shoppers["purchases"] > 0),
        **{name: total(shoppers[name]) for name in ("pages", "sessions", "purchases", "spent_micros")},
    )
