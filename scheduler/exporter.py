"""`proctor metrics`: serves the store's metrics over HTTP until stopped. Prometheus asks, the database answers."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

from proctor.errors import BadInput, StoreUnavailable
from proctor.prometheus import CONTENT_TYPE, metrics_text
from proctor.store.database.session import Store

PATH = "/metrics"
SLOW_CLIENT_S = 10.0

log = logging.getLogger(__name__)


class Exporter(ThreadingHTTPServer):
    """Answers GET /metrics from the store; a database that is away is a 503 that says so."""

    daemon_threads = True

    def __init__(self, store: Store, host: str, port: int) -> None:
        self.store = store
        super().__init__((host, port), Handler)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Exporter
    timeout = SLOW_CLIENT_S

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self._answer(HTTPStatus.NOT_FOUND, f"Metrics are at {PATH}.\n")
            return
        try:
            text = metrics_text(self.server.store)
        except StoreUnavailable as error:
            log.warning("no metrics: %s", error.problem)
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error.problem}\n")
        else:
            self._answer(HTTPStatus.OK, text, CONTENT_TYPE)

    def _answer(self, status: HTTPStatus, text: str, content_type: str = "text/plain; charset=utf-8") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's signature
        log.debug(format, *args)


@contextmanager
def exporting(store: Store, host: str, port: int) -> Iterator[Exporter]:
    """Serve from a thread for as long as the block lasts; port 0 takes a free one, see `server_address`.

    Raises
    ------
    BadInput
        where the address can't be had.
    """
    try:
        server = Exporter(store, host, port)
    except OSError as error:
        raise BadInput(f"{host}:{port} can't be listened on: {error.strerror}.", "Take another --port.") from error
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
