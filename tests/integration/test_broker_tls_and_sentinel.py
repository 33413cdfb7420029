"""A broker with a password, behind TLS or under a sentinel: clients, bells, and a worker, with real servers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis

from proctor.broker.app import make_app
from proctor.broker.bell import ring
from proctor.broker.clients import async_client, client
from proctor.errors import BrokerUnavailable
from proctor.nouns.models import Device
from proctor.settings import Settings
from tests.integration.broker_settings import on_sqlite
from tests.integration.servers import (
    HOST,
    PASSWORD,
    QUOTED,
    Certificate,
    Watched,
    make_certificate,
    tls_in_front_of,
    valkey,
    watched,
)
from tests.support import wait_until


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_port(tmp_path: Path, certificate: Certificate) -> Iterator[int]:
    with (
        valkey(tmp_path / "valkey", f'requirepass "{PASSWORD}"', 'save ""') as server,
        tls_in_front_of(server.port, certificate) as port,
    ):
        yield port


@pytest.fixture
def tls_url(tls_port: int, certificate: Certificate) -> str:
    return f"rediss://:{QUOTED}@localhost:{tls_port}/0?ssl_ca_certs={certificate.certificate}"


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Watched]:
    with watched(tmp_path) as servers:
        yield servers


async def ping_at_once(url: str) -> bool:
    async with async_client(url) as one:
        return bool(await one.ping())


def bells(url: str) -> int:
    with client(url) as one:
        return int(one.llen("cpu"))


@contextmanager
def proctor_worker(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """`proctor worker` on this broker; the block begins when it is up, and it has ended in order after it."""
    command = subprocess.Popen(
        [sys.executable, "-m", "proctor.cli", "worker", "--cpu"],
        env={**os.environ, **settings.environ()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert command.stdout is not None
    try:
        said = ""
        for line in command.stdout:
            said += line
            if "worker up" in line:
                break
        assert "worker up" in said, said
        yield command
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=300) == 0
    finally:
        command.kill()
        command.wait()
        command.stdout.close()


def assert_no_secret(settings: Settings, command: subprocess.Popen[str]) -> None:
    """No log of this home and no command line of these processes holds the password, in either way of writing."""
    told = [path.read_text() for path in settings.home.rglob("*.log")]
    assert told
    process = psutil.Process(command.pid)
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            told.append(" ".join(one.cmdline()))
    assert not any(secret in text for text in told for secret in (PASSWORD, QUOTED))


def test_clients_and_bells_go_through_tls(tls_url: str, tmp_path: Path) -> None:
    with client(tls_url) as one:
        assert one.ping()
    assert asyncio.run(ping_at_once(tls_url))
    ring(make_app(on_sqlite(tmp_path, tls_url)), Device.CPU, [1, 2])
    assert bells(tls_url) == 2


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_the_url_says_otherwise(
    tls_port: int, tmp_path: Path
) -> None:
    url = f"rediss://:{QUOTED}@localhost:{tls_port}/0"
    with client(url) as one, pytest.raises(redis.exceptions.ConnectionError, match=r"(?i)certificate"):
        one.ping()
    with pytest.raises(BrokerUnavailable, match=f"localhost:{tls_port} can't be reached") as refused:
        ring(make_app(on_sqlite(tmp_path, url)), Device.CPU, [1], patience_s=0.1)
    assert PASSWORD not in str(refused.value)
    assert QUOTED not in str(refused.value)
    with client(f"{url}?ssl_cert_reqs=none") as one:
        assert one.ping()


def test_a_worker_serves_through_tls_and_tells_nobody_the_password(tls_url: str, tmp_path: Path) -> None:
    settings = on_sqlite(tmp_path, tls_url)
    with proctor_worker(settings) as command:
        answers = make_app(settings).control.ping(timeout=5.0, limit=1) or []
        assert [list(answer.values()) for answer in answers] == [[{"ok": "pong"}]]
        assert_no_secret(settings, command)


def test_clients_bells_and_a_worker_find_the_new_master_when_the_old_one_dies(
    sentinels: Watched, tmp_path: Path
) -> None:
    settings = on_sqlite(tmp_path, sentinels.url)
    app = make_app(settings)
    with client(sentinels.url) as one, proctor_worker(settings) as command:
        one.set("kept", "1")
        one.wait(1, 5000)
        sentinels.master.process.kill()

        def on_the_replica() -> bool:
            with contextlib.suppress(redis.exceptions.RedisError):
                one.set("moved", "1")
                return int(one.info("server")["tcp_port"]) == sentinels.replica.port
            return False

        wait_until(on_the_replica, "the sentinel made the replica the master")
        assert one.get("kept") == b"1"
        assert asyncio.run(ping_at_once(sentinels.url))
        ring(app, Device.GPU, [1])  # nobody hears it: this worker has no GPU
        assert one.llen("gpu") == 1
        wait_until(lambda: bool(app.control.ping(timeout=2.0, limit=1)), "the worker hears the new master")
        assert_no_secret(settings, command)


def test_a_wrong_master_name_is_said_without_the_password(sentinels: Watched, tmp_path: Path) -> None:
    url = sentinels.url.replace("=main", "=other")
    with pytest.raises(BrokerUnavailable, match=rf"{HOST}:{sentinels.sentinel.port} can't be reached.*other") as told:
        ring(make_app(on_sqlite(tmp_path, url)), Device.CPU, [1], patience_s=0.1)
    assert QUOTED not in str(told.value)
