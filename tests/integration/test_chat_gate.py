"""Who may ask the HTTP API, from where and how much; and what it says of itself."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chat.server.fleet import Service
from chat.server.run import Address, bind, check
from proctor.embedded.valkey import Valkey
from proctor.errors import BadInput, StoreUnavailable
from proctor.nouns.models import Device, Lane, Quant
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.runs import workers
from tests.integration.http_server import HELLO, TOKEN, post, serving
from tests.integration.parrot import Parrot, parrot, valkey


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture(scope="module")
def bird(broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parrot]:
    folder = tmp_path_factory.mktemp("parrot")
    with open_store(Settings(folder, folder, f"sqlite:///{folder / 'parrot.db'}")) as store:
        card = WorkerCard("cpu@parrot:1", "parrot", Device.CPU, "a parrot", 1)
        workers.heartbeat(store, card, Lane(Device.CPU, "org/parrot@r1", Quant.FOUR_BIT))
        with parrot(broker.url, store=store) as found:
            yield found


@pytest.fixture(scope="module")
def url(broker: Valkey, bird: Parrot) -> Iterator[str]:
    with serving(Service(broker.url, TOKEN)) as address:
        yield address


def test_without_the_right_token_nothing_is_told_but_health(url: str) -> None:
    body = {"model": "parrot", "messages": HELLO}
    for wrong in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN):
        status, said = post(f"{url}/v1/chat/completions", body, Authorization=wrong)
        assert (status, said["error"]["code"]) == (401, "invalid_api_key")
    with urllib.request.urlopen(f"{url}/health", timeout=300) as answer:  # noqa: S310 -- our own server
        assert json.loads(answer.read()) == {"status": "ok", "workers": 1}
    for path in ("/v1/models", "/metrics", "/openapi.json", "/api/conversations", "/nowhere"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}{path}", timeout=300)  # noqa: S310 -- our own server


def test_pages_of_others_and_foreign_names_are_refused(url: str, broker: Valkey) -> None:
    body = {"model": "parrot", "messages": HELLO}
    status, said = post(f"{url}/v1/chat/completions", body, Origin="https://evil.example")
    assert (status, said["error"]["type"], said["error"]["code"]) == (403, "permission_error", "foreign_origin")
    assert post(f"{url}/v1/chat/completions", body, Origin=url)[0] == 200
    with serving(Service(broker.url)) as unguarded:
        assert post(f"{unguarded}/v1/chat/completions", body)[0] == 200
        status, said = post(f"{unguarded}/v1/chat/completions", body, Host="evil.example")
        assert (status, said["error"]["type"], said["error"]["code"]) == (403, "permission_error", "foreign_host")


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_body_above_its_limit_is_refused_however_it_is_sent(url: str, in_chunks: bool) -> None:
    body = b'{"model": "' + b"x" * (3 << 20) + b'"}'
    address = urlsplit(url)
    assert address.hostname is not None
    with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=300)) as connection:
        connection.request(
            "POST",
            "/v1/chat/completions",
            iter([body[: 1 << 20], body[1 << 20 :]]) if in_chunks else body,
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            encode_chunked=in_chunks,
        )
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (413, "too_large")


def test_a_body_in_chunks_within_its_limit_is_read(url: str) -> None:
    body = json.dumps({"model": "parrot", "messages": HELLO}).encode()
    address = urlsplit(url)
    assert address.hostname is not None
    told = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=300)) as connection:
        connection.request("POST", "/v1/chat/completions", iter([body[:9], body[9:]]), told, encode_chunked=True)
        assert connection.getresponse().status == 200


@pytest.mark.parametrize("host", ["[", "[::1", "a]b["])
def test_a_host_that_is_none_is_a_bad_request(url: str, broker: Valkey, host: str) -> None:
    body = {"model": "parrot", "messages": HELLO}
    with serving(Service(broker.url)) as unguarded:
        for address in (url, unguarded):
            status, said = post(f"{address}/v1/chat/completions", body, Host=host)
            assert (status, said["error"]["code"]) == (400, "invalid_host")


@pytest.mark.usefixtures("url")  # its parrot answers
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
def test_names_of_this_machine_are_its_own(broker: Valkey, host: str) -> None:
    with serving(Service(broker.url)) as unguarded:
        body = {"model": "parrot", "messages": HELLO}
        assert post(f"{unguarded}/v1/chat/completions", body, Host=host)[0] == 200
        assert post(f"{unguarded}/v1/chat/completions", body, Host=host, Origin=f"http://{host}")[0] == 200


def test_beyond_this_machine_a_token_is_needed() -> None:
    check(Address(), None)
    check(Address("0.0.0.0"), "x" * 16)  # noqa: S104 -- what is to be refused without a token
    for address, token in ((Address("0.0.0.0"), None), (Address(), "short"), (Address(), "ünïcödé " * 4)):  # noqa: S104 -- the same
        with pytest.raises(BadInput):
            check(address, token)
    with bind(Address(port=0)) as taken, pytest.raises(BadInput, match="--port"):
        bind(Address(port=taken.getsockname()[1]))


@pytest.mark.parametrize(("host", "named"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_address_is_told_as_a_browser_takes_it(broker: Valkey, tmp_path: Path, host: str, named: str) -> None:
    try:
        bind(Address(host, port=0)).close()
    except BadInput:
        pytest.skip(f"this machine has no {host}")
    server = subprocess.Popen(
        [sys.executable, "-m", "proctor.cli", "serve", "--host", host, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PROCTOR_BROKER_URL": broker.url, "PROCTOR_HOME": str(tmp_path)},
    )
    assert server.stderr is not None
    try:
        told = next(line for line in server.stderr if " has the page" in line)
        address = told.partition(" has the page")[0]
        assert re.fullmatch(rf"http://{re.escape(named)}:\d+", address)
        with socket.create_connection((host, int(address.rpartition(":")[2])), timeout=300):
            pass
    finally:
        server.terminate()
        server.wait(timeout=300)
        server.stderr.close()


def test_metrics_are_there_where_there_is_a_database(broker: Valkey) -> None:
    def away() -> str:
        raise StoreUnavailable("The database is away.")

    with (
        serving(Service(broker.url, metrics=lambda: "proctor_up 1\n")) as address,
        urllib.request.urlopen(f"{address}/metrics", timeout=300) as answer,  # noqa: S310 -- our own server
    ):
        assert answer.read() == b"proctor_up 1\n"
    for metrics, status in ((away, "503"), (None, "404")):
        with (
            serving(Service(broker.url, metrics=metrics)) as address,
            pytest.raises(urllib.error.HTTPError, match=status),
        ):
            urllib.request.urlopen(f"{address}/metrics", timeout=300)  # noqa: S310 -- our own server


def test_the_page_allows_nothing_but_itself(url: str, tmp_path: Path) -> None:
    with urllib.request.urlopen(url, timeout=300) as answer:  # noqa: S310 -- our own server
        text, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "://" not in text.replace("http-equiv", "")
    assert "innerHTML" not in text


def test_a_server_whose_fleet_is_away_says_so() -> None:
    with serving(Service("redis://127.0.0.1:1/0", patience_s=0.2)) as address:
        status, said = post(f"{address}/v1/chat/completions", {"model": "parrot", "messages": HELLO})
        assert (status, said["error"]["code"]) == (503, "unavailable")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{address}/health", timeout=300)  # noqa: S310 -- our own server
