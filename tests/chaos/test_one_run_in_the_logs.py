"""One Run's way through all processes, followed by its id in their logs: submitted, rung, begun, given back, ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from proctor.embedded.command import embedded
from proctor.nouns.models import ModelRef
from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.session import Store
from proctor.store.reads import records
from tests.support import wait_until

QUESTIONS = 4000  # enough packs to be stopped in the middle


def test_one_run_is_followed_through_submitter_parent_child_and_launcher(
    settings: Settings, store: Store, model: ModelRef, tmp_path: Path
) -> None:
    exam = tmp_path / "sums.jsonl"
    rows = ({"question": f"What is {n} and {n}?", "choices": ["0", str(2 * n)], "answer": 1} for n in range(QUESTIONS))
    exam.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with embedded(replace(settings, lease_s=300.0), devices=None) as crew:
        environ = {**os.environ, **crew.settings.environ()}
        submit = ["submit-sweep", "-m", model.name, "--benchmark", str(exam), "--shots", "0", "--device", "cpu"]
        subprocess.run(program(*submit, "--detach", "--log-format", "json"), env=environ, check=True)
        with worker(environ, tmp_path / "first.log") as launcher:
            wait_until(lambda: 0 < run_one(store).answered < QUESTIONS, "the Run was in its middle")
            launcher.send_signal(signal.SIGQUIT)
            launcher.wait(timeout=300)
        with worker(environ, tmp_path / "second.log"):
            wait_until(lambda: run_one(store).status == RunStatus.DONE, "the Run was done")
    way = [told for told in said(settings.home / "logs", tmp_path) if told.get("run_id") == 1]
    steps = [(told["run"], told["logger"], told["pid"] == launcher.pid) for told in way]
    submitted, rung, begun = ("run-1", "scheduler.submit", False), ("run-1", "workers.celery", False), "workers.drain"
    given_back = ("run-1.1", "proctor.store.runs.attempts", True)
    order = [submitted, rung, ("run-1.1", begun, False), given_back, ("run-1.2", begun, False)]
    assert [step for step in dict.fromkeys(steps) if step in order] == order
    child, parent = (next(told for told in way if told["logger"] == logger) for logger in (begun, "workers.celery"))
    assert child["pid"] != parent["pid"]
    assert child["worker"] == parent["worker"] != None  # noqa: E711 -- both, in one comparison
    assert {told["host"] for told in way} == {child["host"]}


def run_one(store: Store) -> records.RunRecord:
    return records.runs(store, [1])[0]


def program(name: str, *words: str) -> list[str]:
    return [str(Path(sys.executable).with_name(name)), *words]


@contextmanager
def worker(environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            program("proctor", "worker", "--cpu", "--log-format", "json"), env=environ, stdout=file, stderr=file
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=300)


def said(*folders: Path) -> list[dict[str, Any]]:
    """Every record in these folders' logs, in the order of time.

    Between them may stand what others print: Valkey, Python before logging is set up, Celery at a shutdown.
    """
    lines = [line for folder in folders for path in folder.glob("*.log") for line in path.read_text().splitlines()]
    assert [line for line in lines if re.match(r"\S+Z (DEBUG|INFO|WARNING|ERROR) ", line)] == []  # records as text
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return sorted(told, key=lambda record: record["time"])
