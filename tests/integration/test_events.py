"""Runs as Flower sees them: Celery tasks of their own. And what that costs the work: nothing."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery
from celery.events.state import State

from proctor.broker.app import make_app
from proctor.broker.clients import CONNECT_S
from proctor.embedded.command import embedded
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Claim, RunSpec
from tests.integration.broker_settings import on_sqlite
from tests.support import wait_until
from workers.run import task_events
from workers.run.task_events import TaskEvents

MODEL = ModelRef("org/a", ModelSource.HUB, "rev1")
SPEC = RunSpec(MODEL, Quant.NONE, Device.CPU, DType.AUTO, "mmlu", "anatomy", "0" * 64, 10, Conditions())


def claim(run: int, attempt: int = 1) -> Claim:
    return Claim(run, attempt, SPEC, 30.0, DType.AUTO)


class Watcher:
    """Celery's own picture of the cluster, kept up to date from the events: the same that Flower shows."""

    def __init__(self, app: Celery) -> None:
        self.state: Any = State()  # its collections are made at run time, where no type checker sees them
        self._stop = False
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(app,))

    def __enter__(self) -> Any:
        self._thread.start()
        assert self._listening.wait(30.0)
        return self.state

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()

    def _watch(self, app: Celery) -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": self.state.event})
            with receiver.consumer_context(wakeup=False) as (listening, _, _):
                self._listening.set()
                while not self._stop:
                    try:
                        listening.drain_events(timeout=0.1)
                    except TimeoutError:
                        continue


def test_every_attempt_at_a_run_is_a_task_with_its_outcome(tmp_path: Path) -> None:
    with embedded(on_sqlite(tmp_path), devices=None) as crew:
        app = make_app(crew.settings)
        with Watcher(app) as state:
            told = TaskEvents(app, "cpu@here:1")
            told.started(claim(7))
            told.failed(claim(7), "ValueError: of a kind", "Traceback ...")
            told.started(claim(7, attempt=2))
            told.done(claim(7, attempt=2), 3.5)
            told.started(claim(8))
            told.handed_back(claim(8), "told to stop")
            wait_until(lambda: len(state.tasks) == 3 and state.tasks["run-8.1"].state == "RETRY", "all was heard")
            seen = {uuid: (task.name, task.state, task.worker.hostname) for uuid, task in state.tasks.items()}
        assert seen == {
            "run-7.1": ("proctor.run", "FAILURE", "cpu@here:1"),
            "run-7.2": ("proctor.run", "SUCCESS", "cpu@here:1"),
            "run-8.1": ("proctor.run", "RETRY", "cpu@here:1"),
        }
        done = state.tasks["run-7.2"]
        assert (done.args, done.kwargs) == ("a, mmlu/anatomy", "lane=cpu/org/a@rev1/none")
        assert (done.result, done.runtime, done.retries) == ("10 answered", 3.5, 1)


def test_without_a_broker_events_are_dropped_and_nothing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_events, "QUEUED", 10)
    told = TaskEvents(make_app(on_sqlite(tmp_path, "redis://127.0.0.1:1/0")), "cpu@here:1")
    began = time.monotonic()
    for run in range(500):
        told.started(claim(run))
    assert time.monotonic() - began < CONNECT_S  # not even one try to connect was waited for
    wait_until(lambda: told.dropped >= 1000 - 10, "they were dropped")


def test_events_are_sent_again_when_the_broker_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_events, "AWAY_S", 0.2)
    with embedded(on_sqlite(tmp_path), devices=None) as crew:
        app = make_app(crew.settings)
        told = TaskEvents(app, "cpu@here:1")
        told.started(claim(1))
        psutil.Process(crew.groups["broker"]).kill()
        told.started(claim(2))

        with Watcher(app) as state:

            def heard() -> bool:
                told.done(claim(3), 1.0)
                return "run-3.1" in state.tasks

            wait_until(heard, "events came again")
