"""The way to the database: one `Store` a program, one transaction a `with` block.

SQLite is in WAL mode with BEGIN IMMEDIATE for writers, so that they queue up instead of failing (a deferred BEGIN
that turns into a write fails with "database is locked" whatever the timeout) and so that the first statement of a
transaction already sees what the last writer wrote. PostgreSQL writers are READ COMMITTED with row locks. Readers
see one snapshot for the length of their block on both.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Interval,
    bindparam,
    event,
    func,
    make_url,
    select,
    type_coerce,
)
from sqlalchemy import create_engine as make_engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from proctor.errors import BadInput
from proctor.store.database.column_types import Row, UtcDateTime
from proctor.store.database.errors import database_name, unavailable

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
BEGIN = "proctor_begin"  # execution option: how a SQLite transaction starts
TIME = select(func.clock_timestamp())


def utc_now() -> datetime:
    """This machine's clock, aware, UTC."""
    return datetime.now(UTC)


class Store:
    """A database by its URL. Making one opens nothing; it may be shared by threads and passed through a fork.

    Parameters
    ----------
    url
        `sqlite:///FILE` or `postgresql://…`
    clock
        what time it is, for leases. None: the database server's clock on PostgreSQL, so that a worker whose clock
        is wrong does no harm; this machine's on SQLite, where all workers share it.
    timeout_s
        how long to wait for a lock, a connection or a silent server before `StoreUnavailable`, seconds
    """

    def __init__(self, url: str, *, clock: Clock | None = None, timeout_s: float = 30.0) -> None:
        self.url = _checked(url)
        self.timeout_s = timeout_s
        self._clock = clock
        # By process id: a forked child must not use, or even close, its parent's connections. Those of the parent
        # stay in the dict, so that the child never collects them.
        self._engines: dict[int, Engine] = {}

    @property
    def is_postgresql(self) -> bool:
        return self.url.get_backend_name() == "postgresql"

    @property
    def name(self) -> str:
        """The database as it may be shown, without a password."""
        return database_name(self.url)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed at the end of the block, and rolled back by an exception.

        Raises
        ------
        StoreUnavailable
            where the database can't be reached, is locked for longer than the timeout, or can't be written.
        """
        with self._transaction(self._engine()) as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that sees one moment of the database and keeps no writer waiting. Raises as `write` does."""
        options: dict[str, Any] = {BEGIN: "DEFERRED"}
        if self.is_postgresql:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._transaction(self._engine().execution_options(**options)) as session:
            yield session

    def now(self, session: Session) -> datetime:
        """The time that leases are reckoned in, aware, UTC."""
        if self._clock is not None:
            return self._clock()
        if self.is_postgresql:
            told: datetime = session.connection().execute(TIME).scalar_one()
            return told.astimezone(UTC)
        return utc_now()

    @property
    def server_reckons(self) -> bool:
        """Whether the database tells the time, when it writes, after any wait: PostgreSQL, with no clock of ours."""
        return self.is_postgresql and self._clock is None

    def hence(self, time: timedelta) -> timedelta | datetime:
        """What to bind to a parameter of `after`."""
        return time if self.server_reckons else (self._clock or utc_now)() + time

    def lock(self, session: Session, name: str) -> None:
        """Wait until no other transaction holds the lock `name`; it is let go at the end of this one.

        On SQLite a writer holds the whole database already.
        """
        if self.is_postgresql:
            key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
            session.connection().execute(select(func.pg_advisory_xact_lock(key)))

    def take_stock(self, row: type[Row]) -> None:
        """ANALYZE a table of PostgreSQL after a bulk insert instead of waiting for autovacuum; outside any `with`.

        It then plans by the new size, and answers from an index without a look at rows that nobody has changed since:
        what waits on each lane in a third of the time. Nothing depends on it, so a failure is only logged.
        """
        if not self.is_postgresql:
            return
        try:
            with self._engine().execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.exec_driver_sql(f"VACUUM (ANALYZE, SKIP_LOCKED) {row.__tablename__}")
        except SQLAlchemyError as error:
            log.info("table %s was not looked over: %s", row.__tablename__, error)

    def insert(self, row: type[Row]) -> postgresql.Insert | sqlite.Insert:
        """An INSERT in this database's dialect, for `on_conflict_do_update`."""
        return postgresql.insert(row) if self.is_postgresql else sqlite.insert(row)

    def close(self) -> None:
        """Close this process's connections; the next transaction opens new ones."""
        engine = self._engines.pop(os.getpid(), None)
        if engine is not None:
            engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Session]:
        try:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                session.connection()  # begin now: what the clock says next isn't followed by a wait for a lock
                yield session
        except SQLAlchemyError as error:
            known = unavailable(error, self.url)
            if known is None:
                raise
            raise known from error

    def _engine(self) -> Engine:
        found = self._engines.get(os.getpid())
        # Two threads may both make one; the one that loses has opened nothing.
        return found or self._engines.setdefault(os.getpid(), self._make_engine())

    def _make_engine(self) -> Engine:
        if self.is_postgresql:
            from proctor.store.database.postgresql import (
                make_engine as on_postgresql,  # its driver takes a while to import
            )

            return on_postgresql(self.url, self.timeout_s)
        return _sqlite(self.url, self.timeout_s)


def after(name: str, *, by_server: bool) -> ColumnElement[datetime]:
    """`Store.now` and as much more as the parameter `name` says (`Store.hence`), for a statement to reckon with."""
    if by_server:
        now = func.clock_timestamp(type_=DateTime(timezone=True))
        return type_coerce(now + bindparam(name, type_=Interval()), UtcDateTime)
    return bindparam(name, type_=UtcDateTime)


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):  # the message of either may hold the password
        raise BadInput(
            "The database URL can't be read.", "Write sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME."
        ) from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise BadInput(f"The database URL asks for {backend} without a file.", "Write sqlite:///FILE or postgresql://…")
    return parsed


def _sqlite(url: URL, timeout_s: float) -> Engine:
    engine = make_engine(url, connect_args={"timeout": timeout_s}, pool_timeout=timeout_s, hide_parameters=True)
    file = Path(url.database or "")

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, _arguments: object, named: dict[str, Any]) -> object:
        """A connection of our own where the file can only be read; None: the usual one."""
        if not _only_readable(file):
            return None
        named = {"check_same_thread": False} | named
        return sqlite3.connect(_to_read(file), uri=True, **named)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: `begin` below does
        if not _only_readable(file):
            _use_wal(connection, timeout_s)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(BEGIN, 'IMMEDIATE')}")

    return engine


def _only_readable(file: Path) -> bool:
    """Whether this user may not write the file, or make the files that SQLite needs beside it."""
    return file.exists() and not all(os.access(path, os.W_OK, effective_ids=True) for path in (file, file.parent))


def _to_read(file: Path) -> str:
    """The URI of a file that can only be read (https://sqlite.org/wal.html#read_only_databases).

    Without a WAL beside it nobody has it open, and it is read as one that doesn't change.
    """
    wal = file.with_name(f"{file.name}-wal")
    idle = not wal.exists() or wal.stat().st_size == 0
    return f"{file.resolve().as_uri()}?mode=ro{'&immutable=1' if idle else ''}"


def _use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Switch to WAL. Where another process does so at this moment SQLite says "locked" at once, without waiting."""
    give_up = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)  # there is no event to wait for: the other process may be gone
        else:
            return
