"""The HTTP API on a real port, in a thread of the test's process."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from chat.server.access import App, Message, Receive, Send
from chat.server.app import create_app
from chat.server.fleet import Service
from chat.server.run import Address, bind
from tests.support import wait_until

TOKEN = "a token of many characters"
HELLO: list[Any] = [{"role": "user", "content": "Name three rivers."}]


def post(url: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and body of a plain POST of JSON, or of bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, data, told)  # noqa: S310 -- our own server
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310 -- our own server
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def events(url: str, body: dict[str, Any]) -> list[str]:
    """The events of a stream, without the comments."""
    told = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), told)  # noqa: S310 -- our own server
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310 -- our own server
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        told_of = answer.read().decode().split("\n\n")
    return [each.removeprefix("data: ") for each in told_of if each and not each.startswith(":")]


class Under:
    """What a proxy does that has a server under a path of its own: it takes the path off, and hands the rest on."""

    def __init__(self, app: App, path: str) -> None:
        self._app, self._path = app, path

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            inside = scope["path"].startswith(self._path)
            rest = scope["path"].removeprefix(self._path) or "/"
            scope = {**scope, "path": rest if inside else "/nowhere", "raw_path": rest.encode()}
        await self._app(scope, receive, send)


@contextmanager
def serving(service: Service, under: str = "") -> Iterator[str]:
    """The server's address, such as `http://127.0.0.1:40123`; with `under` it answers below that path alone."""
    listening = bind(Address(port=0))
    server = uvicorn.Server(
        uvicorn.Config(Under(create_app(service), under), log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the server listened")
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=300)
        listening.close()
