"""What an error of the database means to a person: the cause in words, and what to do about it.

Only failures of the database's surroundings (disk, locks, network, rights) become `StoreUnavailable`. An error of
our own SQL, or a broken constraint, is a bug: it stays what it is and keeps its traceback.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from proctor.errors import StoreUnavailable

TRY_AGAIN = "Nothing was written; try again."

# https://sqlite.org/rescode.html: primary result codes, the low byte of the extended ones
SQLITE = {
    sqlite3.SQLITE_BUSY: (
        "another process holds its lock",
        "Nothing was written. Find what keeps it open (a database browser, a stopped process), or try again.",
    ),
    sqlite3.SQLITE_LOCKED: ("another connection holds its lock", TRY_AGAIN),
    sqlite3.SQLITE_PERM: ("access is denied", "Give this user the right to read and write the file."),
    sqlite3.SQLITE_READONLY: (
        "it can only be read",
        "Give this user the right to write the file and its folder, or set PROCTOR_DATABASE_URL to a copy.",
    ),
    sqlite3.SQLITE_IOERR: ("reading or writing the disk failed", "Check the disk, and that it is a local one."),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "Take a copy of it, then restore a backup or use a new file."),
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; what was recorded before is kept."),
    sqlite3.SQLITE_CANTOPEN: ("the file can't be opened", "Check that its folder exists and may be written to."),
    sqlite3.SQLITE_NOTADB: ("the file is not a SQLite database", "Set PROCTOR_DATABASE_URL to another file."),
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html: the first that the code starts with
POSTGRESQL = {
    "42501": ("this user lacks a right", "Grant the user all rights on the database's schema."),
    "53100": ("the server's disk is full", "Free some space there; what was recorded before is kept."),
    "53300": ("the server has no connection left", "Raise max_connections there, or use a connection pooler."),
    "25006": ("it can only be read", "Set PROCTOR_DATABASE_URL to the primary server, not to a standby."),
    "55P03": ("another process holds a lock for too long", TRY_AGAIN),
    "40": ("two transactions were in each other's way", TRY_AGAIN),
    "57": ("the server ended the connection", TRY_AGAIN),
}
# Without a connection libpq gives a text and no code.
UNREACHABLE = ("the server can't be reached", "Check that it runs, and host and port in PROCTOR_DATABASE_URL.")
REFUSED = (
    "the server refuses the connection",
    "Check user, password and name in PROCTOR_DATABASE_URL; createdb makes a database.",
)


def database_name(url: URL) -> str:
    """The database as it may be shown: never with a password, wherever in the URL that stands."""
    if url.get_backend_name() == "sqlite":
        return f"Database {url.database}"
    host = url.host or url.query.get("host") or "localhost"
    return f"PostgreSQL database {url.database!r} on {host}" + (f":{url.port}" if url.port else "")


def unavailable(error: SQLAlchemyError, url: URL) -> StoreUnavailable | None:
    """The error of our tree for one of SQLAlchemy's, or None where that is a bug rather than a circumstance."""
    known = _known(error)
    if known is None:
        return None
    cause, next_step = known
    said = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    return StoreUnavailable(f"{database_name(url)} can't be used: {cause} ({said}).", next_step)


def _known(error: SQLAlchemyError) -> tuple[str, str] | None:
    if isinstance(error, PoolTimeout):
        return "this process has all its connections in use", TRY_AGAIN
    origin = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(origin, sqlite3.Error):
        return SQLITE.get(getattr(origin, "sqlite_errorcode", 0) & 0xFF)
    return None if origin is None else _known_to_postgresql(origin)


def _known_to_postgresql(origin: object) -> tuple[str, str] | None:
    import psycopg  # whoever has SQLite needn't wait for it at each start

    if not isinstance(origin, psycopg.Error):
        return None
    code = origin.sqlstate
    for start, known in POSTGRESQL.items():
        if code is not None and code.startswith(start):
            return known
    if isinstance(origin, psycopg.OperationalError) and (code is None or code.startswith("08")):
        return REFUSED if "FATAL" in str(origin) else UNREACHABLE
    return None
