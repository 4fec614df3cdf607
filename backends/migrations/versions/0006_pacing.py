"""How does a campaign spend? Campaigns get a pacing; those that ran before keep spending as fast as they can."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_pacing"
down_revision = "0005_money"

_ASAP = "2"


def upgrade() -> None:
    """Add the column where the first schema did not bring it along already."""
    if "pacing" in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("campaigns")}:
        return
    with op.batch_alter_table("campaigns") as campaigns:
        campaigns.add_column(sa.Column("pacing", sa.Integer, nullable=False, server_default=_ASAP))


def downgrade() -> None:
    """Campaigns spend as fast as they can again."""
    with op.batch_alter_table("campaigns") as campaigns:
        campaigns.drop_column("pacing")
