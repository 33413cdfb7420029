"""`proctor flower`: what it demands before it listens, and that it shows Runs as tasks."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proctor.broker.app import make_app
from proctor.embedded.command import embedded
from proctor.errors import BadInput
from scheduler.flower_server import flower_environ, is_loopback
from tests.integration.broker_settings import on_sqlite
from tests.integration.test_events import claim
from tests.support import wait_until
from workers.run.task_events import TaskEvents

USER = "me:secret"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.3.2.1"])
def test_on_this_machine_no_password_is_demanded(host: str) -> None:
    assert is_loopback(host)
    assert flower_environ({}, host)["FLOWER_READ_ONLY"] == "true"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "queue-host"])  # noqa: S104 -- the point of the test
def test_beyond_this_machine_a_password_is_demanded(host: str) -> None:
    with pytest.raises(BadInput, match="FLOWER_BASIC_AUTH"):
        flower_environ({"FLOWER_BASIC_AUTH": ""}, host)
    assert "FLOWER_READ_ONLY" in flower_environ({"FLOWER_BASIC_AUTH": USER}, host)


@pytest.mark.parametrize("users", ["me", "me:", f"{USER},you"])
def test_a_user_without_a_password_is_refused(users: str) -> None:
    with pytest.raises(BadInput, match="USER:PASSWORD"):
        flower_environ({"FLOWER_BASIC_AUTH": users}, "127.0.0.1")


def test_what_a_person_has_set_is_left_alone() -> None:
    assert "FLOWER_READ_ONLY" not in flower_environ({"FLOWER_READ_ONLY": "false"}, "127.0.0.1")


def test_flower_shows_runs_as_tasks_to_who_knows_the_password_and_stops_no_worker(tmp_path: Path) -> None:
    with embedded(on_sqlite(tmp_path), devices=None) as crew:
        told = TaskEvents(make_app(crew.settings), "cpu@here:1")
        with flower({**os.environ, **crew.settings.environ(), "FLOWER_BASIC_AUTH": USER}) as address:

            def tasks() -> dict[str, Any]:
                told.started(claim(7))
                told.done(claim(7), 3.5)
                found: dict[str, Any] = json.loads(ask(f"{address}/api/tasks"))
                return found

            def whole() -> bool:
                """Flower may begin to listen between two events, and then knows the end alone."""
                shown = tasks().get("run-7.1", {})
                return (shown.get("state"), shown.get("name")) == ("SUCCESS", "proctor.run")

            wait_until(whole, "the Run was shown")
            shown = tasks()["run-7.1"]
            assert (shown["name"], shown["args"], shown["worker"]) == (
                "proctor.run", "a, mmlu/anatomy", "cpu@here:1",
            )  # fmt: skip
            assert (shown["runtime"], shown["result"]) == (3.5, "10 answered")
            with pytest.raises(urllib.error.HTTPError, match="401") as refused:
                urllib.request.urlopen(f"{address}/tasks", timeout=300)  # noqa: S310 -- our own address
            refused.value.close()
            with pytest.raises(urllib.error.HTTPError, match="403") as refused:
                ask(f"{address}/api/worker/shutdown/cpu@here:1", data=b"")
            refused.value.close()


def test_without_a_password_names_of_other_machines_are_refused(tmp_path: Path) -> None:
    with embedded(on_sqlite(tmp_path), devices=None) as crew:
        environ = {**os.environ, **crew.settings.environ(), "FLOWER_BASIC_AUTH": ""}
        with flower(environ) as address:
            port = address.rpartition(":")[2]
            for path in ("/healthcheck", "/api/tasks", "/static/css/flower.css", "/nowhere"):
                with pytest.raises(urllib.error.HTTPError, match="403") as refused:
                    ask(f"{address}{path}", host=f"evil.example:{port}")
                refused.value.close()
            for host in (f"localhost:{port}", f"[::1]:{port}", "127.0.0.1"):
                assert ask(f"{address}/healthcheck", host=host) == b"OK"


@contextmanager
def flower(environ: dict[str, str]) -> Iterator[str]:
    """The address of a Flower that answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [Path(sys.executable).with_name("proctor"), "flower", "--port", str(port)], env=environ, stderr=subprocess.PIPE
    ) as process:

        def answers() -> bool:
            assert process.poll() is None
            try:
                return ask(f"http://127.0.0.1:{port}/healthcheck") == b"OK"
            except urllib.error.URLError:
                return False

        try:
            wait_until(answers, "Flower answered")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=300)


def ask(url: str, data: bytes | None = None, host: str | None = None) -> bytes:
    """What the page says to our user; `host`: under another name than the address's."""
    told = {"Authorization": f"Basic {base64.b64encode(USER.encode()).decode()}"}
    if host is not None:
        told["Host"] = host
    request = urllib.request.Request(url, data=data, headers=told)  # noqa: S310 -- our own
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310 -- our own address
        body: bytes = answer.read()
    return body
