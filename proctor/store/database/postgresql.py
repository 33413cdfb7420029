"""Connections to PostgreSQL that end rather than wait for ever, whatever lies between us and the server.

A server that vanished without a word (its machine lost power, a NAT forgot the connection) is noticed by what it
doesn't acknowledge and, where we only wait for its answer, by the kernel's keepalives. A proxy that acknowledges
everything and passes nothing on satisfies both, so silence itself has a limit too.
"""

from __future__ import annotations

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready
from sqlalchemy import URL, Engine, event
from sqlalchemy import create_engine as create

T = TypeVar("T")
# In units of the store's timeout, which is also the server's limit for waiting for a lock; and never less than.
SILENT, STALLED = 2.0, 4.0
LEAST_S = 10.0


def make_engine(url: URL, timeout_s: float) -> Engine:
    """For a store with this timeout. A server that is silent for twice of it is given up.

    A transaction that asks for nothing for four times of it is ended by the server: its process was stopped.
    """
    milliseconds = int(timeout_s * 1000)
    stalled = int(max(LEAST_S, STALLED * timeout_s) * 1000)
    engine = create(
        url,
        connect_args={
            "connect_timeout": max(2, int(timeout_s)),  # libpq takes 1 for 2
            "tcp_user_timeout": milliseconds,
            "keepalives": 1,
            "keepalives_idle": max(1, int(timeout_s / 3)),
            "keepalives_interval": max(1, int(timeout_s / 6)),
            "keepalives_count": 3,
            "application_name": "proctor",
        },
        pool_timeout=timeout_s,
        pool_pre_ping=True,  # a server that was started anew costs one ping, not one failed transaction
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> Impatient:
        connection = Impatient.connect(*arguments, **named)
        connection.silent_s = max(LEAST_S, SILENT * timeout_s)
        return connection

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {milliseconds}")
            cursor.execute(f"SET idle_in_transaction_session_timeout = {stalled}")
        connection.commit()

    return engine


class Impatient(psycopg.Connection[Any]):
    """A connection that closes itself once its server has been silent for `silent_s` in the middle of a statement.

    Raises `psycopg.OperationalError` then. A result that keeps arriving may take as long as it likes.
    """

    silent_s: float = LEAST_S

    def wait(self, gen: PQGen[T], *how: Any, **named: Any) -> T:
        """As psycopg's own, which asks `gen` ten times a second whether it goes on without having heard anything."""
        return super().wait(self._bounded(gen), *how, **named)

    def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
        give_up = time.monotonic() + self.silent_s
        try:
            wanted = next(gen)
            while True:
                heard = yield wanted
                if heard != Ready.NONE:
                    give_up = time.monotonic() + self.silent_s
                elif time.monotonic() > give_up:
                    self.close()
                    raise psycopg.OperationalError(f"the server has said nothing for {self.silent_s:g} s")
                wanted = gen.send(heard)
        except StopIteration as end:
            result: T = end.value
            return result
