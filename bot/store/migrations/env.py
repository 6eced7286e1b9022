"""Alembic's entry: migrations always run on the connection that `Database.migrate` hands in."""

from alembic import context

from bot.store.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most of a table in place: Alembic copies it.
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
