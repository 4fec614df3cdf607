"""Which tables hold how far groups of consumers have read the broker's topics?"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Table

from backends.sql_metadata import METADATA


def _group_and_place() -> tuple[Column[str], Column[str], Column[int]]:
    return (
        Column("consumer_group", String(32), nullable=False),
        Column("topic", String(48), nullable=False),
        Column("partition", Integer, nullable=False),
    )


# Moved in the transaction of what was made of the records below it.
CONSUMED_PARTITIONS = Table(
    "consumed_partitions",
    METADATA,
    *_group_and_place(),
    # The broker's offset of the next record.
    Column("next_offset", BigInteger, nullable=False),
    PrimaryKeyConstraint("consumer_group", "topic", "partition"),
)

# By log, the offset of its newest record in the partition: what comes again is at or below it.
CONSUMED_MARKS = Table(
    "consumed_marks",
    METADATA,
    *_group_and_place(),
    # Node and log.
    Column("source", String(100), nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    PrimaryKeyConstraint("consumer_group", "topic", "partition", "source"),
)

# Up to which offset of its log a node had counted by itself before the group began to.
COUNTED_BEFORE = Table(
    "counted_before",
    METADATA,
    Column("consumer_group", String(32), nullable=False),
    Column("topic", String(48), nullable=False),
    Column("source", String(100), nullable=False),
    Column("upto_offset", BigInteger, nullable=False),
    PrimaryKeyConstraint("consumer_group", "topic", "source"),
)

# Dead letters that were taken after all, by where they were.
RETRIED_LETTERS = Table(
    "retried_letters",
    METADATA,
    *_group_and_place(),
    Column("offset", BigInteger, nullable=False),
    PrimaryKeyConstraint("consumer_group", "topic", "partition", "offset"),
)

CONSUMED_TABLES = (CONSUMED_PARTITIONS, CONSUMED_MARKS, COUNTED_BEFORE, RETRIED_LETTERS)
