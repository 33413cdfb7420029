"""A worker under its launcher: asked to end ever harder, started again when it dies, given up in the end."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctor.embedded.reports import Report, ReportKind
from proctor.nouns.models import Device
from proctor.nouns.workers import WorkerCard
from tests.support import wait_until
from workers.launcher import process
from workers.launcher.identity import REPORTS
from workers.launcher.process import QUICK_DEATHS, WorkerProcess

CARD = WorkerCard("cpu@here:1", "here", Device.CPU, "a CPU", 1 << 30)
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGQUIT, signal.SIG_IGN)"
)
SLEEP = "; import time; print('asleep', flush=True); time.sleep(600)"
Says = list[Report]


class Scripted(WorkerProcess):
    """A worker's process that runs a Python program instead of a Celery worker."""

    program = "pass"

    def _command(self) -> list[str]:
        return [sys.executable, "-c", self.program]


@pytest.fixture
def told() -> Says:
    return []


@pytest.fixture
def worker(tmp_path: Path, told: Says) -> Iterator[Scripted]:
    found = Scripted(CARD, dict(os.environ), tmp_path, told.append)
    yield found
    found.kill()
    found.reap(30.0)


def saying(*reports: Report) -> str:
    """A program that reports and waits."""
    lines = b"".join(report.to_line() for report in reports)
    return f"import os, time; os.write(int(os.environ[{REPORTS!r}]), {lines!r}); time.sleep(600)"


def run(worker: Scripted, program: str, *, until: str = "") -> None:
    worker.program = program
    worker.start()
    if until:
        wait_until(lambda: until in worker.log_path.read_text("utf-8"), f"it said {until}")


def kinds(told: Says) -> list[ReportKind]:
    return [report.kind for report in told]


def look_until_over(worker: Scripted) -> None:
    def over() -> bool:
        worker.look()
        return worker.over

    wait_until(over, "it was over")


def test_a_worker_that_ends_when_asked_ended_in_order(worker: Scripted, told: Says) -> None:
    run(worker, "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))" + SLEEP, until="asleep")
    assert (worker.over, worker.pid > 0) == (False, True)
    assert (told[0].kind, told[0].subject, told[0].pid) == (ReportKind.STARTED, CARD.name, worker.pid)
    worker.stop(warm_s=600.0)
    look_until_over(worker)
    assert (worker.ended_in_order, worker.pid, worker.reports_fd) == (True, 0, -1)
    assert kinds(told) == [ReportKind.STARTED, ReportKind.WORKER_ENDED]


def test_a_worker_that_does_not_listen_is_killed_and_did_not_end_in_order(
    worker: Scripted, told: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "COLD_S", 0.0)
    run(worker, DEAF + SLEEP, until="asleep")
    worker.stop(warm_s=0.0)
    look_until_over(worker)
    assert not worker.ended_in_order
    assert kinds(told)[-1] is ReportKind.WORKER_ENDED


def test_a_worker_is_not_hurried_before_its_time(worker: Scripted) -> None:
    run(worker, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SLEEP, until="asleep")
    worker.look()  # nobody has asked it to end: nothing is due
    worker.stop(warm_s=600.0)
    worker.stop(warm_s=0.0)  # asked again it has no less time
    for _ in range(20):
        worker.look()
        time.sleep(0.01)
    assert not worker.over


@pytest.mark.parametrize("asked", [False, True])
def test_a_worker_that_holds_nothing_is_killed_at_once_where_its_launcher_asked_it_to_end(
    worker: Scripted, told: Says, asked: bool
) -> None:
    run(worker, DEAF + "; " + saying(Report(ReportKind.WORKER_IDLE, CARD.name)))
    select.select([worker.reports_fd], [], [])
    if asked:
        worker.stop(warm_s=600.0)
    worker.read_reports()
    if asked:
        look_until_over(worker)
    else:
        worker.look()
    assert worker.over is asked
    assert kinds(told) == [ReportKind.STARTED, ReportKind.WORKER_ENDED][: 1 + asked]


def test_a_worker_whose_child_has_let_go_of_all_is_hurried_soon(
    worker: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "COLD_S", 0.0)
    run(worker, DEAF + "; " + saying(Report(ReportKind.WORKER_DRAINED, CARD.name)))
    select.select([worker.reports_fd], [], [])
    worker.stop(warm_s=600.0)
    worker.read_reports()
    look_until_over(worker)


def test_reports_are_passed_on_and_a_slow_worker_is_told_once(
    worker: Scripted, told: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SLOW_S", 0.0)
    run(worker, "print('no broker yet', flush=True); " + saying(Report(ReportKind.WORKER_UP, CARD.name, "detail")))
    wait_until(lambda: "no broker yet" in worker.log_path.read_text("utf-8"), "it had said why")
    worker.look()
    worker.look()
    assert kinds(told) == [ReportKind.STARTED, ReportKind.WORKER_SLOW]
    assert (told[1].detail, told[1].log) == ("no broker yet", str(worker.log_path))

    def up() -> bool:
        worker.read_reports()
        return len(told) > 2

    wait_until(up, "it was up")
    assert (told[2].kind, told[2].detail) == (ReportKind.WORKER_UP, "detail")


def test_a_worker_that_is_up_in_time_is_not_told_slow(
    worker: Scripted, told: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(worker, saying(Report(ReportKind.WORKER_UP, CARD.name)))

    def up() -> bool:
        worker.read_reports()
        return len(told) > 1

    wait_until(up, "it was up")
    worker._started_at -= 2 * process.SLOW_S
    worker.look()
    assert kinds(told) == [ReportKind.STARTED, ReportKind.WORKER_UP]


def test_an_unfit_worker_is_given_up_with_its_reason(worker: Scripted, told: Says) -> None:
    run(worker, saying(Report(ReportKind.WORKER_UNFIT, CARD.name, "no such GPU")))

    def over() -> bool:
        if worker.reports_fd >= 0:
            worker.read_reports()
        worker.look()
        return worker.over

    wait_until(over, "it was given up")
    assert worker.reason == "no such GPU"
    assert (told[-1].kind, told[-1].detail) == (ReportKind.WORKER_GIVEN_UP, "no such GPU")


def test_a_worker_that_dies_is_started_again_later_and_later_until_it_is_given_up(
    worker: Scripted, told: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "jittered", lambda seconds: seconds)
    pauses = []
    worker.program = "import sys; print('out of luck', flush=True); sys.exit(3)"
    worker.start()
    for death in range(1, QUICK_DEATHS + 1):
        wait_until(lambda: dead(worker), "it was dead")
        before = time.monotonic()
        worker.look()
        if death < QUICK_DEATHS:
            assert not worker.over
            assert worker._start_at is not None
            pauses.append(round((worker._start_at - before) * 2) / 2)
            worker._start_at = 0.0
            worker.look()
    assert pauses == [0.5, 1.0, 2.0, 4.0]
    assert worker.over
    assert worker.reason.startswith("ended by exit code 3 for the 5th time in a row")
    assert "out of luck" in worker.reason
    assert kinds(told) == [ReportKind.STARTED, ReportKind.WORKER_DIED] * 4 + [
        ReportKind.STARTED,
        ReportKind.WORKER_GIVEN_UP,
    ]


def test_a_worker_that_lived_a_while_has_its_tries_anew(worker: Scripted, told: Says) -> None:
    worker.program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    worker._quick_deaths = QUICK_DEATHS - 1
    worker.start()
    worker._started_at -= process.QUICK_S + 1
    wait_until(lambda: dead(worker), "it was dead")
    worker.look()
    assert (told[-1].kind, told[-1].detail) == (ReportKind.WORKER_DIED, f"ended by {signal.SIGKILL.name}")
    assert worker._quick_deaths == 1
    worker.stop(warm_s=600.0)  # it is not started again
    assert worker.over


def dead(worker: Scripted) -> bool:
    return worker._process is not None and worker._process.poll() is not None
