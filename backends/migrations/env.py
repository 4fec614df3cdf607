"""How does Alembic run? On the connection that backends.sql hands over, in its transaction."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    # SQLite alters a table by making it again.
    render_as_batch=True,
)
context.run_migrations()
