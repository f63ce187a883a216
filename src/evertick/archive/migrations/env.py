"""Alembic's entry: `evertick.archive.migrate` hands over an open connection; there is no other way in."""

from __future__ import annotations

from alembic import context

from evertick.archive.tables import whole_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=whole_metadata(),
    transactional_ddl=True,  # SQLite too: our engine says BEGIN itself
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
