"""How are a shop's real orders read? Files of order lines, through DuckDB, into a log to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np

from backends.duckdb_tables import fetch, open_tables
from feed.recommender.feedback import Kind
from feed.recommender.histories import gather
from feed.recommender.items import Item, items_of
from feed.recommender.log import Log

COLUMNS = ("invoice", "stock_code", "description", "quantity", "invoice_date", "price", "customer_id")
_MICROS = 1_000_000
_GOODS_OF_A_KIND = 20

# Codes with fewer than four digits in a row are postage, discounts, fees and corrections; invoices that start with C
# are cancellations and take the newest purchase of their item back. Orders without a customer are visitors of their
# own.
_LINES = """
    create temp table lines as
    select
        coalesce(
            cast(try_cast(try_cast(cast(customer_id as varchar) as double) as bigint) as varchar),
            cast(customer_id as varchar),
            'order ' || invoice
        ) as visitor,
        customer_id is not null as known,
        cast(stock_code as varchar) as item,
        epoch_ms(cast(invoice_date as timestamp)) as at_ms,
        starts_with(cast(invoice as varchar), 'C') or quantity < 0 as cancels,
        cast(price as double) as price,
        cast(description as varchar) as description
    from orders
    where stock_code is not null and invoice is not null and invoice_date is not null
        and regexp_matches(cast(stock_code as varchar), '[0-9]{4}') and price > 0 and quantity <> 0
"""
_ITEMS = """
    select item,
        coalesce(arg_min(description, at_ms) filter (description is not null), '') as text,
        coalesce(arg_min(price, at_ms) filter (not cancels), 0.0) as price
    from lines group by item order by item
"""
_VISITORS = "select visitor, bool_or(known) as known from lines group by visitor order by visitor"
_EVENTS = """
    select v.row as visitor, i.row as item, bool_and(cancels) as cancels, at_ms
    from lines
    join (select visitor, row_number() over (order by visitor) - 1 as row from (select distinct visitor from lines)) v
        using (visitor)
    join (select item, row_number() over (order by item) - 1 as row from (select distinct item from lines)) i
        using (item)
    group by v.row, i.row, at_ms
    order by v.row, at_ms, i.row
"""


def read(files: Sequence[Path]) -> Log:
    """The orders of all files (Parquet or CSV with COLUMNS); lines of one moment, visitor and item are one event.

    NotFound when a file is missing; InvalidInput says what is wrong with one.
    """
    with duckdb.connect(":memory:") as engine:
        open_tables(engine, "orders", files, COLUMNS)
        fetch(engine, _LINES, files[0])
        items, visitors, events = (fetch(engine, query, files[0]) for query in (_ITEMS, _VISITORS, _EVENTS))
    texts = [" ".join(text.split()) for text in items["text"].tolist()]
    columns = zip(items["item"].tolist(), texts, kinds_of_goods(texts), items["price"].tolist(), strict=True)
    return Log(
        tuple(visitors["visitor"].tolist()),
        np.asarray(visitors["known"], np.bool_),
        items_of([Item(name, text, category, round(price * _MICROS)) for name, text, category, price in columns]),
        gather(
            events["visitor"],
            events["item"],
            np.where(events["cancels"], -Kind.BUY, Kind.BUY),
            events["at_ms"],
            count=len(visitors["visitor"]),
        ),
        (Kind.BUY,),
    )


def kinds_of_goods(texts: Sequence[str]) -> list[str]:
    """A category for each description, "" for many: its last word, where twenty goods or more end with it.

    Order lines name no category; "RED RETROSPOT MUG" is a MUG.
    """
    last = [next((word for word in reversed(text.split()) if word.isalpha() and len(word) > 2), "") for text in texts]
    counts = Counter(last)
    return [word if word and counts[word] >= _GOODS_OF_A_KIND else "" for word in last]
