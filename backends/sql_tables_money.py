"""Which tables hold who owes whom: balances, postings, invoices, what was billed day by day, what publishers earned?

Amounts are whole micros, debits above zero and credits below, so that each transaction adds up to nothing.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from backends.sql_metadata import METADATA
from backends.sql_rules import adds_up, append_only, with_table
from backends.sql_tables_accounts import ID, NUMBER
from common.nodes import NAME_AT_MOST

# How an advertiser pays in a currency. One without a row pays later, without limit.
PAYMENT_TERMS = Table(
    "payment_terms",
    METADATA,
    Column("advertiser_number", NUMBER, ForeignKey("advertisers.number"), nullable=False),
    Column("currency", String(3), nullable=False),
    # exchange.balances.Terms
    Column("terms", Integer, nullable=False),
    Column("credit_limit_micros", BigInteger, nullable=False),
    # What alerts measure by: what could be spent after the newest payment, and that payment's transaction.
    Column("funded_micros", BigInteger, nullable=False),
    Column("funded_by", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    PrimaryKeyConstraint("advertiser_number", "currency"),
    CheckConstraint("credit_limit_micros >= 0", name="credit_limit"),
)

BALANCE_ACCOUNTS = Table(
    "balance_accounts",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    # exchange.balances.AccountKind
    Column("kind", String(20), nullable=False),
    # The advertiser's number as text, the publisher's tenant, an outside bidder's name, or empty.
    Column("owner", String(128), nullable=False),
    Column("currency", String(3), nullable=False),
    # The sum of its postings.
    Column("balance_micros", BigInteger, nullable=False),
    UniqueConstraint("kind", "owner", "currency"),
    CheckConstraint("kind <> 'advertiser_balance' OR balance_micros <= 0", name="prepaid_is_not_overdrawn"),
    sqlite_autoincrement=True,
)

BALANCE_TRANSACTIONS = Table(
    "balance_transactions",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("kind", String(20), nullable=False),
    # Of whom it is and under which key it happens once, for ever. Spend has the offsets that it was counted from.
    Column("tenant_id", String(32), nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    # Year and month (UTC) that it is billed in, as 202603.
    Column("month", Integer, nullable=False),
    # What it is about: a payment's reference, an invoice's number.
    Column("reference", String(200), nullable=False),
    UniqueConstraint("tenant_id", "idempotency_key"),
    sqlite_autoincrement=True,
)

BALANCE_POSTINGS = Table(
    "balance_postings",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("transaction_number", NUMBER, ForeignKey("balance_transactions.number"), nullable=False, index=True),
    Column("account_number", NUMBER, ForeignKey("balance_accounts.number"), nullable=False),
    Column("amount_micros", BigInteger, nullable=False),
    Column("balance_after_micros", BigInteger, nullable=False),
    CheckConstraint("amount_micros <> 0", name="something"),
    sqlite_autoincrement=True,
)
Index("ix_balance_postings_account", BALANCE_POSTINGS.c.account_number, BALANCE_POSTINGS.c.number)

# What was billed to a line item by day (UTC, days since 1970), in the transaction that settled it: what invoices list.
BILLED_DAYS = Table(
    "billed_days",
    METADATA,
    Column("line_item_number", NUMBER, nullable=False),
    Column("day", Integer, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("campaign_number", NUMBER, nullable=False),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("conversions", BigInteger, nullable=False),
    Column("spend_micros", BigInteger, nullable=False),
    PrimaryKeyConstraint("line_item_number", "day", "currency"),
)
Index("ix_billed_days_campaign", BILLED_DAYS.c.campaign_number, BILLED_DAYS.c.day)

# What a placement brought by day (UTC); `revenue_micros` is the publisher's part and adds up to its account.
PLACEMENT_DAYS = Table(
    "placement_days",
    METADATA,
    Column("publisher_id", String(64), nullable=False),
    Column("placement_id", String(128), nullable=False),
    Column("day", Integer, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("conversions", BigInteger, nullable=False),
    Column("spend_micros", BigInteger, nullable=False),
    Column("revenue_micros", BigInteger, nullable=False),
    PrimaryKeyConstraint("publisher_id", "placement_id", "day", "currency"),
)

# How often a placement was offered and sold by day (UTC): a projection of topic `auctions`.
PLACEMENT_OFFERS = Table(
    "placement_offers",
    METADATA,
    Column("publisher_id", String(64), nullable=False),
    Column("placement_id", String(128), nullable=False),
    Column("day", Integer, nullable=False),
    Column("offered", BigInteger, nullable=False),
    Column("sold", BigInteger, nullable=False),
    PrimaryKeyConstraint("publisher_id", "placement_id", "day"),
)
OFFERS_COUNTED = Table(
    "offers_counted",
    METADATA,
    Column("node", String(NAME_AT_MOST), primary_key=True),
    Column("upto_offset", BigInteger, nullable=False),
)

# Numbers without gaps, one row locked by whoever takes the next.
INVOICE_SERIES = Table(
    "invoice_series",
    METADATA,
    Column("issuer_id", ID, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("year", Integer, nullable=False),
    Column("newest", Integer, nullable=False),
    PrimaryKeyConstraint("issuer_id", "kind", "year"),
)

INVOICES = Table(
    "invoices",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("invoice_id", ID, nullable=False, unique=True),
    # Of the advertiser.
    Column("tenant_id", ID, ForeignKey("tenants.tenant_id"), nullable=False),
    Column("issuer_id", ID, nullable=False),
    # "invoice" or "credit_note"
    Column("kind", String(20), nullable=False),
    # As it is printed, such as INV-2026-000001.
    Column("invoice_number", String(40), nullable=False),
    Column("advertiser_number", NUMBER, ForeignKey("advertisers.number"), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("month", Integer, nullable=False),
    Column("issued_at_ms", BigInteger, nullable=False),
    Column("net_micros", BigInteger, nullable=False),
    Column("vat_micros", BigInteger, nullable=False),
    # The key under which it was issued once, for ever, and what was asked with it.
    Column("idempotency_key", String(64), nullable=False),
    Column("request_sha256", String(64), nullable=False),
    # The invoice that a credit note takes back from.
    Column("of_invoice", Integer, ForeignKey("invoices.number")),
    # exchange.invoice_ports.Invoice as JSON: as it was issued, for ever.
    Column("document", LargeBinary, nullable=False),
    UniqueConstraint("issuer_id", "invoice_number"),
    UniqueConstraint("tenant_id", "idempotency_key"),
    sqlite_autoincrement=True,
)
Index("ix_invoices_tenant", INVOICES.c.tenant_id, INVOICES.c.number)

# What of a line item's month is on an invoice, so that what comes late is on the next one.
INVOICED = Table(
    "invoiced",
    METADATA,
    Column("invoice_number", NUMBER, ForeignKey("invoices.number"), nullable=False),
    Column("line_item_number", NUMBER, nullable=False),
    Column("month", Integer, nullable=False),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("conversions", BigInteger, nullable=False),
    Column("spend_micros", BigInteger, nullable=False),
    PrimaryKeyConstraint("invoice_number", "line_item_number"),
)
Index("ix_invoiced_month", INVOICED.c.line_item_number, INVOICED.c.month)

BUDGET_ALERTS = Table(
    "budget_alerts",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("advertiser_id", ID, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("id", ID, nullable=False),
    Column("measure", String(20), nullable=False),
    Column("threshold_percent", Integer, nullable=False),
    # Which total, day or payment: each threshold is told once in it.
    Column("period", String(40), nullable=False),
    Column("used_micros", BigInteger, nullable=False),
    Column("limit_micros", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("alerted_at_ms", BigInteger, nullable=False),
    UniqueConstraint("id", "measure", "threshold_percent", "period"),
    sqlite_autoincrement=True,
)
Index("ix_budget_alerts_tenant", BUDGET_ALERTS.c.tenant_id, BUDGET_ALERTS.c.number)

# One row: does the exchange stand still?
EXCHANGE_SWITCH = Table(
    "exchange_switch",
    METADATA,
    Column("switch", Integer, primary_key=True, autoincrement=False),
    Column("paused", Integer, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("changed_by", ID, nullable=False),
    Column("reason", String(200), nullable=False),
)

# Append only: what each write made of a thing, in the transaction that wrote it.
CHANGES = Table(
    "changes",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("tenant_id", ID, nullable=False),
    Column("actor_tenant_id", ID, nullable=False),
    Column("actor_role", String(20), nullable=False),
    Column("action", String(40), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("id", ID, nullable=False),
    Column("revision", Integer, nullable=False),
    # The thing as JSON; before its making it was nothing, which is empty.
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_changes_id", CHANGES.c.tenant_id, CHANGES.c.id, CHANGES.c.number)

# By which names of their own advertisers call what they import.
EXTERNAL_IDS = Table(
    "external_ids",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("external_id", String(64), nullable=False),
    Column("id", ID, nullable=False),
    PrimaryKeyConstraint("tenant_id", "kind", "external_id"),
    UniqueConstraint("tenant_id", "kind", "id"),
)


# What does not add up yet, while it is being written; empty at the end of every transaction, or it fails.
OPEN_TRANSACTIONS = Table(
    "open_transactions",
    METADATA,
    Column("transaction_number", NUMBER, nullable=False),
    Column("currency", String(3), nullable=False),
    # Two halves of a sum may be larger than each of them.
    Column("sum_micros", Numeric(30, 0), nullable=False),
    Column(
        "never",
        NUMBER,
        ForeignKey("balance_transactions.number", name="transaction_adds_up", deferrable=True, initially="DEFERRED"),
        nullable=False,
    ),
    PrimaryKeyConstraint("transaction_number", "currency"),
)

ONCE_WRITTEN = (BALANCE_TRANSACTIONS, BALANCE_POSTINGS, INVOICES, INVOICED, CHANGES)
ADDS_UP = adds_up(BALANCE_POSTINGS, BALANCE_ACCOUNTS, OPEN_TRANSACTIONS)

for _table in ONCE_WRITTEN:
    with_table(_table, append_only(_table))
with_table(BALANCE_POSTINGS, ADDS_UP)
