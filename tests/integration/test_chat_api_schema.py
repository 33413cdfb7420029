"""The HTTP API against its own description: whatever arrives, it answers as its schema says, and never with a crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from chat.server.fleet import Service
from proctor.settings import Settings
from proctor.store.database.open import open_store
from tests.integration.http_server import serving
from tests.integration.parrot import parrot, valkey

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_whatever_arrives_is_answered_as_the_schema_says(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'parrot.db'}")
    with (
        valkey(tmp_path) as server,
        open_store(settings) as store,
        parrot(server.url, store=store, scored=True),
        serving(Service(server.url, metrics=lambda: "proctor_up 1\n")) as address,
    ):
        done = subprocess.run(
            [Path(sys.executable).with_name("schemathesis"), "run", f"{address}/openapi.json", "--checks", CHECKS,
             "--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--request-timeout", "20", "--seed", "7",
             "--no-color", "--exclude-path", "/health"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
