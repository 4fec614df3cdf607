"""Which tables hold the nodes of an exchange, whose turn a duty is, and what all nodes are told?"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

from backends.sql_metadata import METADATA
from common.nodes import NAME_AT_MOST

# One row for each name that ever was; all times are of the database's clock.
NODES = Table(
    "nodes",
    METADATA,
    Column("name", String(NAME_AT_MOST), primary_key=True),
    # What ids of auctions carry: 1 to common.nodes.NODES_AT_MOST.
    Column("number", Integer, nullable=False, unique=True),
    # Which data folder is its: an id that lies in the folder, and where the folder is.
    Column("log_id", String(32), nullable=False),
    Column("place", String(32), nullable=False),
    # The process that holds the name; empty after it was let go.
    Column("instance", String(32), nullable=False),
    # Where other nodes reach its gRPC.
    Column("address", String(255), nullable=False),
    Column("heartbeat_at_ms", BigInteger, nullable=False),
    # When its leases were given back because it was away too long; 0 for never, or back since.
    Column("written_off_at_ms", BigInteger, nullable=False),
)

# What one node does for all of them.
DUTIES = Table(
    "duties",
    METADATA,
    Column("duty", String(30), primary_key=True),
    Column("instance", String(32), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

# Records of topics that every node keeps in its own log, in the order in which all of them take them in.
SHARED_RECORDS = Table(
    "shared_records",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", String(48), nullable=False),
    Column("payload", LargeBinary, nullable=False),
)

# What is to be forgotten on each node: what of a person stands outside of SQL.
NODE_ERASURES = Table(
    "node_erasures",
    METADATA,
    Column("node", String(NAME_AT_MOST), nullable=False),
    Column("tenant_id", String(64), nullable=False),
    Column("person_id", String(256), nullable=False),
    Column("asked_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "tenant_id", "person_id"),
)
