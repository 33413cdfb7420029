"""Commands and health checks of docker-compose.yml that can run without containers, run as processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from proctor.broker.valkey import binary
from proctor.store import workers
from proctor.store.session import open_store
from tests.integration.broker_settings import on_sqlite
from tests.integration.servers import HOST, free_port, listens
from tests.integration.store_world import card
from tests.support import ROOT, wait_until

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]


def unescaped(text: str) -> str:
    """As Compose hands it to the shell: $$ is a dollar."""
    return text.replace("$$", "$")


def test_valkey_takes_its_password_over_standard_input_and_wants_it(tmp_path: Path) -> None:
    shell, flag, line = SERVICES["valkey"]["command"]
    (tmp_path / "valkey-server").symlink_to(binary())
    port = free_port()
    environ = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "VALKEY_PASSWORD": "of24hexdigits"}
    server = subprocess.Popen(
        [shell, flag, f"{unescaped(line)} --port {port} --bind {HOST}"], env=environ, cwd=tmp_path
    )
    try:
        wait_until(lambda: listens(port), "valkey listens")
        with redis.Redis(HOST, port, password="of24hexdigits") as client:
            assert client.ping()
            assert client.config_get("save") == {"save": ""}
        with redis.Redis(HOST, port) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
            stranger.ping()
        assert "of24hexdigits" not in Path(f"/proc/{server.pid}/cmdline").read_text()
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.mark.parametrize("host", [socket.gethostname(), "another"])
def test_the_workers_health_check_looks_for_a_worker_of_its_own_host(tmp_path: Path, host: str) -> None:
    settings = on_sqlite(tmp_path)
    with open_store(settings) as store:
        workers.heartbeat(store, replace(card(), host=host), None)
    kind, line = SERVICES["worker-cpu"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", unescaped(line)],
        env={**os.environ, **settings.environ(), "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == (0 if host == socket.gethostname() else 1), done.stderr
