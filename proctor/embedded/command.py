"""The embedded broker and workers, for one command's life: `with embedded(settings) as crew: ...`.

One guard process owns all of it and is tied to this process by a pipe; see `proctor.embedded.guard` for what is
promised. Several commands at once have a broker and workers each, and share the database.
"""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from proctor import logs, private
from proctor.allotment import WHOLE, Allotment
from proctor.embedded.guard import GROUP_ENDS, kill_group
from proctor.embedded.reports import Report, ReportKind
from proctor.embedded.valkey import START_S, binary
from proctor.errors import BrokerUnavailable, WorkersUnavailable
from proctor.settings import Settings

GUARD_START_S = START_S + 20.0  # a Python process under load, then the broker
WARM_S = 60.0  # for a pack to be finished
HARD_S = 3.0  # the guard promises 2

log = logging.getLogger(__name__)


class Embedded:
    """What the guard runs for us. `settings` name the broker; pass them on to whoever rings or reads."""

    def __init__(self, settings: Settings, guard: subprocess.Popen[bytes], log_path: Path) -> None:
        self.settings, self.log_path = settings, log_path
        self.workers_up: set[str] = set()
        self._guard = guard
        self.groups: dict[str, int] = {}  # what runs now: broker, launcher, workers, each a process group
        self._failure: Report | None = None
        self._news: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._broker_known = threading.Event()
        self._reader = threading.Thread(target=self._read, name="guard-reports", daemon=True)
        self._reader.start()

    @property
    def broker_url(self) -> str:
        return self.settings.broker_url or ""

    def news(self) -> list[Report]:
        """What was reported since the last call, oldest first."""
        fresh: list[Report] = []
        while not self._news.empty():
            fresh.append(self._news.get())
        return fresh

    def check(self) -> None:
        """Return where all is well.

        Raises
        ------
        BrokerUnavailable, WorkersUnavailable
            where nothing will work on any more: with the reason, and the log file that knows more.
        """
        if self._failure is None:
            return
        where = f"See {self._failure.log or self.log_path}."
        if self._failure.subject == "broker":
            raise BrokerUnavailable(self._failure.detail, where)
        raise WorkersUnavailable(self._failure.detail, where)

    def stop(self, warm_s: float = WARM_S) -> None:
        """End in order: workers finish their pack and give their Runs back, for at most `warm_s`; then `close`."""
        try:
            assert self._guard.stdin is not None
            self._guard.stdin.write(b"stop %.3f\n" % warm_s)
            self._guard.stdin.flush()
            self._guard.wait(timeout=warm_s + HARD_S)
        except (BrokenPipeError, subprocess.TimeoutExpired, ValueError):  # gone, stuck, or closed before
            log.warning("the guard did not end in order")
        finally:
            self.close()

    def close(self) -> None:
        """End everything now, whatever it is doing. Can be called again."""
        if self._guard.stdin is not None:
            try:
                self._guard.stdin.close()
            except BrokenPipeError:
                log.debug("the guard was gone before its pipe was closed")
        try:
            orderly = self._guard.wait(timeout=HARD_S) >= 0
        except subprocess.TimeoutExpired:
            orderly = False
        if not orderly:
            self._kill()
        self._reader.join(timeout=HARD_S)

    def wait_for_broker(self) -> None:
        """Wait until the broker answers.

        Raises
        ------
        BrokerUnavailable
            where it does not, with the reason.
        """
        heard = self._broker_known.wait(GUARD_START_S)
        self.check()
        if not heard:
            raise BrokerUnavailable(
                f"The embedded broker did not start in {GUARD_START_S:.0f} s.", f"See {self.log_path}."
            )

    def _read(self) -> None:
        assert self._guard.stdout is not None
        try:
            with self._guard.stdout as lines:
                for line in lines:
                    self._take(Report.from_line(line))
        except BrokerUnavailable as error:
            self._fail(Report(ReportKind.FAILED, "broker", error.problem))
        if self._failure is None:
            self._fail(Report(ReportKind.FAILED, "broker", "The guard of the embedded broker and workers is gone."))

    def _take(self, report: Report) -> None:
        if report.kind == ReportKind.BROKER_UP:
            self.settings = replace(self.settings, broker_url=report.detail)
            self._broker_known.set()
            return
        if report.kind == ReportKind.FAILED and self._failure is None:
            self._fail(report)
        elif report.kind == ReportKind.STARTED:
            self.groups[report.subject] = report.pid
        elif report.kind == ReportKind.WORKER_UP:
            self.workers_up.add(report.subject)
        elif report.kind in GROUP_ENDS:
            self.groups.pop(report.subject, None)
            self.workers_up.discard(report.subject)
        self._news.put(report)

    def _fail(self, report: Report) -> None:
        self._failure = report
        self._broker_known.set()

    def _kill(self) -> None:
        """The guard is stuck, or was killed: on Linux its children died with it, elsewhere it is on us."""
        if self._guard.poll() is None:
            kill_group(self._guard.pid)
            self._guard.wait(timeout=HARD_S)
        for group in self.groups.values():
            kill_group(group)


@contextmanager
def embedded(
    settings: Settings,
    devices: str | None = "auto",
    sweep_id: int | None = None,
    allotment: Allotment = WHOLE,
    more: Sequence[str] = (),
) -> Iterator[Embedded]:
    """A broker of our own, and a worker for each device, until the block is left.

    `devices` as `proctor worker --devices` takes it; None: a broker only. `allotment` is what each worker is given;
    `more` are further arguments of `proctor worker`, such as the server that it is to ask.
    With a `sweep_id` the workers serve that sweep and leave alone whatever else waits in the database. Leaving the
    block ends all of it in order; an interrupt while that lasts ends it at once.

    Raises
    ------
    BrokerUnavailable
        where no broker can be started: on a platform without one, with what to set instead.
    """
    binary()  # says what to do where there is none, before anything is started
    launch = [] if devices is None else ["--devices", devices, *allotment.arguments, *more]
    if devices is not None and sweep_id is not None:
        launch.append(f"--sweep={sweep_id}")
    log_path = logs.log_file(settings.home, f"guard-{os.getpid()}")
    with private.append_to(log_path) as log_file:
        guard = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-P", "-m", "proctor.embedded.guard", *launch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            env={**os.environ, **settings.environ()},
            start_new_session=True,  # a Ctrl-C in our terminal is ours alone: we then ask for an orderly end
        )
    crew = Embedded(settings, guard, log_path)
    try:
        crew.wait_for_broker()
        yield crew
    finally:
        crew.stop()
