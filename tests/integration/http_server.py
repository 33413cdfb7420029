"""The HTTP API on a real port, in a thread of the test's process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from chat.api import Service, create_app
from chat.serve import Address, bind
from tests.support import wait_until


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """The server's address, such as `http://127.0.0.1:40123`."""
    listening = bind(Address(port=0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(service), log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the server listened")
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listening.close()
