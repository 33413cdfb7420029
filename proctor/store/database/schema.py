"""Bringing a database's tables up to date, from the migrations that lie in this package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlmodel import Session

from proctor.errors import StoreUnavailable
from proctor.store.database.session import Store
from proctor.store.migrations import HEAD, KNOWN

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def upgrade(store: Store) -> None:
    """Create or upgrade the tables, in one transaction. Of several processes one does it and the others wait.

    Raises
    ------
    StoreUnavailable
        where the database can't be used, or was made by a newer Proctor.
    """
    with store.read() as session:
        if revision(session) == HEAD:
            return
    with store.write() as session:
        store.lock(session, "proctor schema")
        found = revision(session)
        if found is not None and found not in KNOWN:
            raise StoreUnavailable(
                f"{store.name} has tables of revision {found}, which this Proctor doesn't know.",
                "Install the newer Proctor that made them, or set PROCTOR_DATABASE_URL to another database.",
            )
        if found != HEAD:
            from alembic import command  # a third of a second, and rarely needed

            command.upgrade(config(session), "head")


def revision(session: Session) -> str | None:
    """The revision that the database's tables have; None where there are none."""
    connection = session.connection()
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def config(session: Session) -> Config:
    """Alembic's configuration for working inside this session's transaction, which it neither begins nor ends."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = session.connection()
    return made
