"""`proctor metrics`: serves the store's metrics over HTTP until stopped. Prometheus asks, the database answers."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from types import FrameType
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import make_wsgi_app

from proctor.errors import BadInput, StoreUnavailable
from proctor.prometheus import registry_of
from proctor.store.database.session import Store

PATH = "/metrics"
SLOW_CLIENT_S = 10.0

log = logging.getLogger(__name__)


def metrics_app(store: Store) -> WSGIApplication:
    """prometheus_client's application for GET /metrics. A database that is away is a 503 that says so."""
    ask = make_wsgi_app(registry_of(store))

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            return plain(start, "404 Not Found", f"Metrics are at {PATH}.")
        try:
            found: Iterable[bytes] = ask(environ, start)
        except StoreUnavailable as error:
            log.warning("no metrics: %s", error.problem)
            return plain(start, "503 Service Unavailable", error.problem)
        return found

    return answer


def plain(start: StartResponse, status: str, text: str) -> list[bytes]:
    """An answer of one line."""
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]


class Handler(WSGIRequestHandler):
    """One request: a slow client is let go, and what is asked goes to our log."""

    timeout = SLOW_CLIENT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's signature
        log.debug(format, *args)


class Server(ThreadingMixIn, WSGIServer):
    """A thread a request."""

    daemon_threads = True


@contextmanager
def exporting(store: Store, host: str, port: int) -> Iterator[Server]:
    """Serve from a thread for as long as the block lasts; port 0 takes a free one, see `server_address`.

    Raises
    ------
    BadInput
        where the address can't be had.
    """
    try:
        server = Server((host, port), Handler)
    except OSError as error:
        raise BadInput(f"{host}:{port} can't be listened on: {error.strerror}.", "Take another --port.") from error
    server.set_app(metrics_app(store))
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_for_stop() -> None:
    """Return at SIGTERM or Ctrl-C."""
    stop = threading.Event()

    def heed(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, heed)
    stop.wait()
