"""One worker as its launcher sees it: a process group that is started, watched, started again, and ended.

Life: start -> up -> (died -> start, after a pause that grows) -> ended, or given up after `QUICK_DEATHS` in a row.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from proctor import logs, private
from proctor.embedded import tether
from proctor.embedded.guard import kill_group
from proctor.embedded.reports import LineReader, Report, ReportKind
from proctor.nouns.workers import WorkerCard
from proctor.retry import jittered
from workers.launcher.identity import card_environ

QUICK_S = 30.0  # a process that lives longer than this had a chance
QUICK_DEATHS = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
SLOW_S = 15.0  # a worker that isn't up by then has a reason, most likely its broker
COLD_S = 5.0  # between SIGQUIT and SIGKILL
PIPE_BYTES = 65_536

log = logging.getLogger(__name__)


class WorkerProcess:
    """A Celery worker for one device. Its log file and its name stay the same over all of its starts."""

    def __init__(self, card: WorkerCard, environ: dict[str, str], home: Path, tell: Callable[[Report], None]) -> None:
        self.card, self.tell = card, tell
        self.log_path = logs.log_file(home, card.name)
        self.reason = ""  # why it was given up
        self.reports_fd = -1  # readable when the worker has something to report
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        self._lines = LineReader()
        self._started_at = 0.0
        self._slow_at: float | None = None  # when to say that it still isn't up
        self._start_at: float | None = None  # when to start again; None: not planned
        self._quick_deaths = 0
        self._unfit = ""
        self._stopping: signal.Signals | None = None
        self._escalate_at = 0.0

    @property
    def over(self) -> bool:
        """Whether it neither runs nor will be started again."""
        return self._process is None and self._start_at is None

    @property
    def pid(self) -> int:
        """Of the parent process that was started last; 0 where there is none."""
        return self._process.pid if self._process is not None else 0

    @property
    def ended_in_order(self) -> bool:
        """Whether it ended by itself when it was asked to, and so gave its Run back."""
        return self._code == 0 and self._stopping == signal.SIGTERM

    def start(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        with private.append_to(self.log_path) as log_file:
            self._process = subprocess.Popen(  # noqa: S603 -- our own program
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                env={**self._environ, **card_environ(self.card, writer)},
                pass_fds=(writer,),
                process_group=0,
            )
        os.close(writer)
        self.reports_fd, self._lines = reader, LineReader()
        self._started_at, self._start_at = time.monotonic(), None
        self._slow_at = self._started_at + SLOW_S
        self._report(ReportKind.STARTED, pid=self._process.pid)

    def stop(self, warm_s: float) -> None:
        """Ask for an orderly end, and for a harder one `warm_s` later: SIGTERM, SIGQUIT, SIGKILL. See `look`."""
        self._start_at = None
        if self._process is not None and self._stopping is None:
            self._signal(signal.SIGTERM, warm_s)

    def kill(self) -> None:
        """SIGKILL to the whole group, now."""
        self._start_at = None
        self._stopping = signal.SIGKILL
        if self._process is not None:
            kill_group(self._process.pid)

    def reap(self, limit_s: float) -> None:
        """Wait until the killed process is gone."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=limit_s)

    def look(self) -> None:
        """What is due: take its death in, start it again, or signal harder. Never blocks."""
        if self._process is not None and self._process.poll() is not None:
            self._ended(self._process)
        elif self._process is not None and self._stopping is not None and time.monotonic() > self._escalate_at:
            self._signal(signal.SIGQUIT if self._stopping == signal.SIGTERM else signal.SIGKILL, COLD_S)
        elif self._process is not None and self._slow_at is not None and time.monotonic() > self._slow_at:
            self._slow_at = None
            self._report(ReportKind.WORKER_SLOW, logs.tail(self.log_path, lines=1))
        elif self._start_at is not None and time.monotonic() > self._start_at:
            self.start()
        logs.bound(self.log_path)

    def read_reports(self) -> None:
        """Pass on what the worker reported. To be called when `reports_fd` is readable."""
        try:
            piece = os.read(self.reports_fd, PIPE_BYTES)
        except BlockingIOError:
            return
        if not piece:
            self._close_reports()
        for line in self._lines.feed(piece):
            report = Report.from_line(line)
            if report.kind == ReportKind.WORKER_UNFIT:
                self._unfit = report.detail
                self.stop(COLD_S)
            elif report.kind in (ReportKind.WORKER_IDLE, ReportKind.WORKER_DRAINED):
                self._holds_nothing(report.kind)
            else:
                self._slow_at = None
                self._report(report.kind, report.detail)

    def _command(self) -> list[str]:
        # `-m workers` rather than `celery -A`, which would look into the current folder first. The broker's URL and
        # all other settings come from the environment, where `ps` doesn't show them.
        celery = [sys.executable, "-P", "-m", "workers", "worker", "--hostname", self.card.name, "--queues",
                  self.card.device.value, "--without-gossip", "--without-mingle", "--concurrency", "1"]  # fmt: skip
        return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *celery]

    def _signal(self, number: signal.Signals, patience_s: float) -> None:
        assert self._process is not None
        self._stopping, self._escalate_at = number, time.monotonic() + patience_s
        if number == signal.SIGKILL:
            log.warning("%s does not end: killing it", self.card.name)
            kill_group(self._process.pid)
        else:
            self._process.send_signal(number)

    def _holds_nothing(self, kind: ReportKind) -> None:
        if self._stopping is None:  # somebody else told it to stop; it is started again when it has
            return
        if kind == ReportKind.WORKER_IDLE:
            self.kill()
        else:
            self._escalate_at = time.monotonic() + COLD_S

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        kill_group(process.pid)  # a child that outlives its parent
        self._process, self._code = None, process.returncode
        if self.reports_fd >= 0:
            self.read_reports()
        self._close_reports()
        if self._unfit:
            self._give_up(self._unfit)
        elif self._stopping is not None:
            self._report(ReportKind.WORKER_ENDED)
        else:
            self._died(f"ended by {_how(process.returncode)}")

    def _died(self, how: str) -> None:
        lived_s = time.monotonic() - self._started_at
        self._quick_deaths = self._quick_deaths + 1 if lived_s < QUICK_S else 1
        if self._quick_deaths >= QUICK_DEATHS:
            self._give_up(f"{how} for the {QUICK_DEATHS}th time in a row\n{logs.tail(self.log_path)}")
            return
        pause_s = min(FIRST_PAUSE_S * 2 ** (self._quick_deaths - 1), LONGEST_PAUSE_S)
        self._start_at = time.monotonic() + jittered(pause_s)
        self._report(ReportKind.WORKER_DIED, how)

    def _give_up(self, why: str) -> None:
        self.reason, self._start_at = why, None
        self._report(ReportKind.WORKER_GIVEN_UP, why)

    def _report(self, kind: ReportKind, detail: str = "", pid: int = 0) -> None:
        self.tell(Report(kind, self.card.name, detail, str(self.log_path), pid))

    def _close_reports(self) -> None:
        if self.reports_fd >= 0:
            os.close(self.reports_fd)
            self.reports_fd = -1


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
