"""Connections that send no request, or half of one, against the server as `proctor serve` configures it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
import uvicorn

from chat.server import idle_connections
from chat.server.app import create_app
from chat.server.fleet import Service
from chat.server.idle_connections import SHARE
from chat.server.run import MOST_AT_ONCE, Address, bind, config
from proctor.embedded.valkey import Valkey
from tests.integration.http_server import HELLO, TOKEN, post
from tests.integration.parrot import Parrot, parrot, valkey
from tests.support import wait_until

ASKED = {"model": "parrot", "messages": HELLO}
BODY = json.dumps(ASKED).encode()
HEAD = (
    f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture(scope="module")
def bird(broker: Valkey) -> Iterator[Parrot]:
    with parrot(broker.url) as found:
        yield found


@contextmanager
def serving(broker: Valkey) -> Iterator[int]:
    """The port of a server with the configuration of `proctor serve`."""
    with bind(Address(port=0)) as listening:
        server = uvicorn.Server(config(create_app(Service(broker.url, TOKEN))))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the server listened")
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(timeout=300)


def connect(stack: ExitStack, port: int) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=300))


@pytest.mark.usefixtures("bird")
@pytest.mark.parametrize("begun", ["", HEAD.format(length=1000)[:60], HEAD.format(length=1000)])
def test_connections_that_wait_keep_nobody_out(broker: Valkey, begun: str) -> None:
    with serving(broker) as port, ExitStack() as stack:
        idle = [connect(stack, port) for _ in range(SHARE)]
        for each in idle:
            each.sendall(begun.encode())
        for _ in range(MOST_AT_ONCE - SHARE + 10):
            connect(stack, port).sendall(begun.encode())
        assert post(f"http://127.0.0.1:{port}/v1/chat/completions", ASKED)[0] == 200
        for each in idle:  # the oldest were closed
            closed_with(each)


def closed_with(connection: socket.socket) -> bytes:
    """What was said before the other side closed."""
    said = b""
    with suppress(ConnectionResetError):  # something of ours wasn't read
        while piece := connection.recv(65_536):
            said += piece
    return said


@pytest.mark.usefixtures("bird")
@pytest.mark.parametrize(
    ("begun", "said"),
    [
        (b"", b""),
        (HEAD.format(length=9)[:60].encode(), b""),
        (HEAD.format(length=len(BODY)).encode() + BODY[:9], b"HTTP/1.1 408 "),
    ],
)
def test_a_request_that_does_not_come_is_waited_for_no_longer_than_its_time(
    broker: Valkey, monkeypatch: pytest.MonkeyPatch, begun: bytes, said: bytes
) -> None:
    monkeypatch.setattr(idle_connections, "REQUEST_S", 0.5)
    with serving(broker) as port, ExitStack() as stack:
        connection = connect(stack, port)
        connection.sendall(begun)
        assert closed_with(connection).startswith(said)


def test_a_reply_that_takes_longer_than_a_request_may_is_heard(
    broker: Valkey, bird: Parrot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle_connections, "REQUEST_S", 0.2)
    monkeypatch.setattr(bird, "pause_s", 0.3)
    with serving(broker) as port:
        status, told = post(f"http://127.0.0.1:{port}/v1/chat/completions", ASKED)
        assert (status, told["choices"][0]["message"]["content"]) == (200, HELLO[0]["content"])


def test_a_refusal_does_not_wait_for_a_body_that_was_only_announced(broker: Valkey) -> None:
    with serving(broker) as port, ExitStack() as stack:
        connection = connect(stack, port)
        connection.sendall(HEAD.format(length=1000).replace(TOKEN, "wrong").encode())
        assert connection.recv(20).startswith(b"HTTP/1.1 401 ")
