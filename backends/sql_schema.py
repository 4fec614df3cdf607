"""Which modules make up the SQL schema? Importing this one registers every table in METADATA."""

from __future__ import annotations

from backends import (
    sql_tables_accounts,
    sql_tables_budgets,
    sql_tables_campaigns,
    sql_tables_consumed,
    sql_tables_image_bans,
    sql_tables_measurement,
    sql_tables_media,
    sql_tables_moderation,
    sql_tables_money,
    sql_tables_nodes,
    sql_tables_outbox,
    sql_tables_pools,
    sql_tables_posts,
    sql_tables_reputation,
    sql_tables_social,
    sql_tables_statistics,
)
from backends.sql_metadata import METADATA

__all__ = ["METADATA", "TABLE_MODULES"]

# A new file of tables is one more line here, and a revision in backends/migrations/versions.
TABLE_MODULES = (
    sql_tables_accounts,
    sql_tables_budgets,
    sql_tables_campaigns,
    sql_tables_consumed,
    sql_tables_image_bans,
    sql_tables_measurement,
    sql_tables_media,
    sql_tables_moderation,
    sql_tables_money,
    sql_tables_nodes,
    sql_tables_outbox,
    sql_tables_pools,
    sql_tables_posts,
    sql_tables_reputation,
    sql_tables_social,
    sql_tables_statistics,
)
