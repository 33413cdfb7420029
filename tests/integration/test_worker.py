"""`proctor worker` as a person starts and stops it, on a broker that is there already."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from proctor.broker.app import make_app
from proctor.broker.bell import ring
from proctor.catalog.resolve import resolve
from proctor.embedded.command import embedded
from proctor.embedded.reports import Report, ReportKind
from proctor.nouns.models import Device, ModelRef
from proctor.nouns.runs import RunStatus
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs import workers
from tests import tiny
from tests.chaos.scene import QUESTIONS, Processes, below, outcomes, runs_of, submit, wait_for_middle
from tests.integration.broker_settings import on_sqlite
from workers.launcher import process
from workers.launcher.process import WorkerProcess
from workers.launcher.run import Launcher, prepare_store

GPU_CARD = WorkerCard("gpu0@here:1", "here", Device.GPU, "a GPU that isn't there", 1 << 30)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    return resolve(str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama")))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Settings]:
    """Settings that name a broker, as those of a fleet's machine do."""
    with embedded(on_sqlite(tmp_path), devices=None) as crew:
        yield crew.settings


@pytest.fixture
def lone_store(fleet: Settings) -> Iterator[Store]:
    with open_store(fleet) as opened:
        yield opened


@contextmanager
def proctor_worker(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    command = subprocess.Popen(
        [sys.executable, "-m", "proctor.cli", "worker", "--cpu", "--max-memory", "8GB"],
        env={**os.environ, **settings.environ()},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield command
    finally:
        command.kill()
        command.wait()
        assert command.stdout is not None
        command.stdout.close()


def loads_torch(pid: int) -> bool:
    """Whether a process has torch's library in its memory, as the kernel sees it."""
    return "libtorch_cpu" in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_parent_never_imports_torch_and_its_child_does(fleet: Settings, lone_store: Store, model: ModelRef) -> None:
    sweep = submit(lone_store, model, subjects=1)
    with proctor_worker(fleet) as command:
        wait_for_middle(lone_store, sweep)
        launcher = psutil.Process(command.pid)
        (parent,) = launcher.children()
        (child,) = parent.children()
        assert [loads_torch(one.pid) for one in (launcher, parent, child)] == [False, False, True]


def test_sigterm_keeps_the_pack_and_hands_the_run_back(fleet: Settings, lone_store: Store, model: ModelRef) -> None:
    sweep = submit(lone_store, model, subjects=1)
    with proctor_worker(fleet) as command:
        wait_for_middle(lone_store, sweep)
        started = below(command.pid)
        command.send_signal(signal.SIGTERM)
        said, _ = command.communicate(timeout=300)
        assert command.returncode == 0
    assert started.running == []
    (run,) = runs_of(lone_store, sweep)
    assert (run.status, run.failures, outcomes(lone_store, sweep)) == (RunStatus.PENDING, 0, ["handed back"])
    assert 0 < run.answered < QUESTIONS
    assert "worker up" in said
    (record,) = workers.listing(lone_store)
    assert not record.alive
    assert {"python", "proctor", "torch", "transformers"} <= set(record.card.versions)
    assert record.card.memory_bytes == 8 * 10**9


def test_a_second_ctrl_c_ends_all_at_once_and_gives_the_run_back(
    fleet: Settings, lone_store: Store, model: ModelRef
) -> None:
    sweep = submit(lone_store, model, subjects=1)
    with proctor_worker(fleet) as command:
        wait_for_middle(lone_store, sweep)
        started = below(command.pid)
        _pause_children(started)  # a pack that would take for ever
        command.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(timeout=1.5)
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=300) == 0
    assert started.running == []
    (run,) = runs_of(lone_store, sweep)
    assert (run.status, run.failures, outcomes(lone_store, sweep)) == (RunStatus.PENDING, 0, ["handed back"])


def test_a_device_that_torch_cannot_see_ends_the_worker_with_the_reason(fleet: Settings, lone_store: Store) -> None:
    reports: list[Report] = []
    worker = WorkerProcess(GPU_CARD, {**os.environ, **fleet.environ()}, fleet.home, reports.append)
    ring(make_app(fleet), Device.GPU, [1])
    assert Launcher([worker], reports.append, fleet).run() == 1
    assert [report.kind for report in reports] == [
        ReportKind.STARTED,
        ReportKind.WORKER_UP,
        ReportKind.WORKER_GIVEN_UP,
    ]
    assert "torch sees none" in worker.reason


def test_a_worker_that_dies_at_each_start_is_given_up_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LONGEST_PAUSE_S", 0.1)
    settings = on_sqlite(tmp_path)  # names no broker: the worker can't even begin
    prepare_store(settings)
    reports: list[Report] = []
    worker = WorkerProcess(GPU_CARD, {**os.environ, **settings.environ()}, settings.home, reports.append)
    assert Launcher([worker], reports.append, settings).run() == 1
    kinds = [report.kind for report in reports]
    assert kinds == [ReportKind.STARTED, ReportKind.WORKER_DIED] * 4 + [ReportKind.STARTED, ReportKind.WORKER_GIVEN_UP]
    assert "BrokerUnavailable: No broker is named" in worker.reason
    assert reports[-1].log == str(worker.log_path)


def test_a_child_that_never_comes_to_its_device_ends_the_worker_with_the_reason(
    fleet: Settings, lone_store: Store
) -> None:
    reports: list[Report] = []
    worker = WorkerProcess(GPU_CARD, {**os.environ, **fleet.environ()}, fleet.home, reports.append)
    launcher = Launcher([worker], reports.append, fleet)

    def kill_children() -> None:
        while not worker.reason:
            time.sleep(0.02)
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(worker.pid).children() if worker.pid else []:
                    if time.time() - child.create_time() > 1.0:  # sooner, and Celery itself gives up
                        child.kill()

    with ThreadPoolExecutor() as beside:
        killing = beside.submit(kill_children)
        assert launcher.run() == 1
        killing.result()
    assert "died 5 times before it had its device" in worker.reason


def _pause_children(started: Processes) -> None:
    for one in started.recorded:
        if loads_torch(one.pid):
            one.suspend()
