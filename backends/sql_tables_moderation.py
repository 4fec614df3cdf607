"""Which tables hold cases, their audit trail and reports? The trail refuses to be changed."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from backends.sql_metadata import METADATA
from backends.sql_rules import append_only, with_table
from backends.sql_tables_accounts import ID, NUMBER

CASES = Table(
    "moderation_cases",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("case_id", ID, nullable=False, unique=True),
    Column("tenant_id", ID, nullable=False),
    Column("subject_kind", Integer, nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("author_id", String(64), nullable=False),
    # Names the subject while the case waits or is being carried out, so that there is one such case; NULL afterwards.
    Column("waiting_for", String(120), unique=True),
    Column("state", Integer, nullable=False),
    Column("origins", Integer, nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("risk", Float, nullable=False),
    Column("reach", Float, nullable=False),
    Column("priority", BigInteger, nullable=False),
    # The labels of what was found, with a space around each.
    Column("labels", String(200), nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("claimed_by", String(64), nullable=False),
    Column("claimed_until_ms", BigInteger, nullable=False),
    # Who may not decide an appeal, with a space around each.
    Column("first_deciders", Text, nullable=False),
    Column("unfinished", Boolean, nullable=False),
    Column("appeal_decided", Boolean, nullable=False),
    Column("overturned", Boolean, nullable=False),
    Column("undone", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    # All the rest as a JSON object: read whole or not at all.
    Column("content", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_moderation_cases_queue", CASES.c.tenant_id, CASES.c.state, CASES.c.priority)
Index("ix_moderation_cases_subject", CASES.c.tenant_id, CASES.c.subject_kind, CASES.c.subject_id)
Index("ix_moderation_cases_author", CASES.c.tenant_id, CASES.c.author_id)
Index("ix_moderation_cases_unfinished", CASES.c.unfinished)

# Append only. `position` counts a tenant's entries without a gap; `digest` covers the one before it.
TRAIL = Table(
    "moderation_trail",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("position", Integer, nullable=False),
    Column("case_id", ID, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(40), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", String(40), nullable=False),
    Column("note", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    PrimaryKeyConstraint("tenant_id", "position"),
)
Index("ix_moderation_trail_case", TRAIL.c.case_id, TRAIL.c.position)

with_table(TRAIL, append_only(TRAIL, "the audit trail of moderation only grows"))

REPORTS = Table(
    "moderation_reports",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("report_id", ID, nullable=False, unique=True),
    Column("tenant_id", ID, nullable=False),
    Column("subject_kind", Integer, nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("subject_revision", Integer, nullable=False),
    Column("reporter", ID, nullable=False),
    Column("remembered", Boolean, nullable=False),
    Column("reason", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("judged", Integer, nullable=False),
    Column("judged_by_case", ID, nullable=False),
    UniqueConstraint("tenant_id", "subject_kind", "subject_id", "reporter"),
    sqlite_autoincrement=True,
)
Index("ix_moderation_reports_reporter", REPORTS.c.tenant_id, REPORTS.c.reporter, REPORTS.c.at_ms)
