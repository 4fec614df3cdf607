"""Where do SQL tables register? All Table objects of the backends stand in this one METADATA."""

from __future__ import annotations

from sqlalchemy import MetaData

# Constraints get stable names, so later migrations can name what they change, on any engine.
METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
