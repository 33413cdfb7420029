"""The embedded broker: private, on loopback, leaving nothing; and what a person is told where there can be none."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil
import pytest
import redis

from proctor.embedded.command import embedded
from proctor.embedded.valkey import Valkey, answers
from proctor.errors import BrokerUnavailable, WorkersUnavailable
from tests.chaos.scene import below, of_crew
from tests.integration.broker_settings import on_sqlite
from tests.support import wait_until


def test_the_broker_wants_its_password_and_listens_on_loopback_only(tmp_path: Path) -> None:
    with embedded(on_sqlite(tmp_path), devices=None) as crew:
        with redis.Redis.from_url(crew.broker_url) as client:
            assert client.ping()
        without = crew.broker_url.replace(f":{_password(crew.broker_url)}@", "")
        with redis.Redis.from_url(without) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        listening = psutil.Process(crew.groups["broker"]).net_connections(kind="inet")
        assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


def test_the_password_is_in_no_argument_list_and_in_no_file(tmp_path: Path) -> None:
    with embedded(on_sqlite(tmp_path), devices="cpu") as crew:
        wait_until(lambda: bool(crew.workers_up), "the worker was up")
        secret = _password(crew.broker_url)
        told = [word for process in below(os.getpid()).recorded for word in process.cmdline()]
        assert len(told) > 10
        assert not [word for word in told if secret in word]
    assert list((tmp_path / "logs").iterdir())
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_nothing_is_left_when_the_block_is_left(tmp_path: Path) -> None:
    with embedded(on_sqlite(tmp_path), devices=None) as crew:
        started = of_crew(crew)
        folder = Path(psutil.Process(crew.groups["broker"]).cwd())
        assert folder.is_dir()
    assert started.running == []
    assert not folder.exists()
    crew.close()  # again: no harm


def test_the_broker_saves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    with (tmp_path / "log").open("wb") as log:
        broker = Valkey(folder, log)
        broker.start()
        with redis.Redis.from_url(broker.url, decode_responses=True) as client:
            client.set("a conversation", "private")
            assert client.config_get("save", "appendonly") == {"save": "", "appendonly": "no"}
        broker.stop()  # as it would be saved at the end, if it were
    assert not broker.alive
    assert list(folder.iterdir()) == []


def test_a_port_of_somebody_else_is_not_taken_for_ours(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        theirs, ours = Valkey(tmp_path, log), Valkey(tmp_path, log)
        theirs.start()
        ours.port = theirs.port
        assert not ours.revive()
        ours.start()
        assert ours.port != theirs.port
        assert answers(ours.port, ours.password)
        assert not answers(ours.port, theirs.password)
        ours.stop()
        theirs.stop()


def test_where_there_is_no_binary_a_person_is_told_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    with pytest.raises(BrokerUnavailable, match="PROCTOR_BROKER_URL"), embedded(on_sqlite(tmp_path)):
        pass


def test_workers_that_cannot_be_started_are_an_error_with_the_reason(tmp_path: Path) -> None:
    with embedded(on_sqlite(tmp_path), devices="97") as crew:
        wait_until(lambda: bool(crew.news()), "the launcher reported")
        with pytest.raises(WorkersUnavailable, match="no GPU 97"):
            wait_until(lambda: bool(crew.check()), "it failed")  # type: ignore[func-returns-value]


def _password(url: str) -> str:
    return url.partition("://:")[2].partition("@")[0]
