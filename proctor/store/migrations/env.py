"""What alembic runs: inside `database.schema`'s transaction, or in one of its own (the CLI)."""

from __future__ import annotations

import os
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlalchemy.types import TypeDecorator

from proctor.settings import Settings
from proctor.store.conversations import tables  # noqa: F401 -- its tables join the metadata
from proctor.store.database.column_types import metadata
from proctor.store.database.session import Store


def plain(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write our column types into a revision as SQLAlchemy's own: history doesn't change when our code does."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


def run(connection: Connection) -> None:
    """Run what was asked for. SQLite can't alter a table in place: batches copy it."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, render_item=plain)
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with Store(Settings.read(os.environ).database_url) as store, store.write() as session:
        run(session.connection())
