"""The guard: a process that owns the embedded broker and the workers on behalf of one command.

    python -P -m proctor.embedded.guard [ARGUMENT OF workers.launcher.run ...]

Standard input is a pipe from the owner. `stop SECONDS` asks for an orderly end: workers finish the pack at hand and
give their Runs back, for at most so long. End of file means that the owner is gone, however it went: everything is
killed. Standard output carries `reports`; the log goes to standard error. Settings come from the environment.

Promised, and held by tests in tests/chaos:
- the owner killed: within 2 s nothing that was started is running, and its Runs are given back
  (test_a_killed_command_leaves_nothing_running_and_the_next_one_ends_its_sweep);
- this guard killed: so is everything that it started, on Linux by the kernel (`tether`), elsewhere by the owner, which
  knows the process groups (test_a_killed_guard_takes_everything_with_it_and_the_command_is_told). Both killed at once
  on macOS: the broker is left behind, on loopback and with a password that nobody knows any more; workers end when
  they find no launcher;
- the broker killed: it is back at the same address, empty, and the work goes on
  (test_a_sweep_whose_broker_is_killed_ends_with_every_answer_once).
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from proctor import logs
from proctor.embedded import tether
from proctor.embedded.reports import LineReader, Report, ReportKind
from proctor.embedded.valkey import Valkey
from proctor.errors import BrokerUnavailable
from proctor.settings import Settings

TICK_S = 0.2
HURRY_S = 1.0  # for the launcher to kill its workers and give their Runs back
REVIVALS = 50  # of the broker, in one command's life: a server that can't stay up is given up
STDIN, STDOUT, PIPE_BYTES = 0, 1, 65_536
GROUP_ENDS = frozenset({ReportKind.WORKER_DIED, ReportKind.WORKER_ENDED, ReportKind.WORKER_GIVEN_UP})

log = logging.getLogger(__name__)


class Guard:
    """One thread, one loop: it hears the owner and the launcher, and looks after the broker in between."""

    def __init__(self, valkey: Valkey, launch: Sequence[str]) -> None:
        self.valkey, self.launch = valkey, launch
        self.launcher: subprocess.Popen[bytes] | None = None
        self.groups: dict[str, int] = {}  # worker -> its process group
        self.owner_gone = False
        self.stop_until: float | None = None  # monotonic; an orderly end was asked for
        self.revivals = 0
        self._commands, self._news = LineReader(), LineReader()
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Serve until the owner is gone or all has ended in order."""
        self._selector.register(STDIN, selectors.EVENT_READ)
        try:
            self.valkey.start()
            self.tell(Report(ReportKind.STARTED, "broker", pid=self.valkey.pid))
            self.tell(Report(ReportKind.BROKER_UP, "broker", self.valkey.url))
            self._start_launcher()
            while not self._over():
                self._listen()
                self._look_after_broker()
        except BrokerUnavailable as error:
            self.tell(Report(ReportKind.FAILED, "broker", str(error)))
            return 1
        finally:
            self._end_all()
        return 0

    def owner_went(self, *_signal: int | FrameType | None) -> None:
        """The end of the pipe, or a signal to this process: nobody waits for the work any more."""
        self.owner_gone = True

    def tell(self, report: Report) -> None:
        try:
            os.write(STDOUT, report.to_line())
        except OSError:  # nobody reads: the owner is gone
            self.owner_went()

    def _over(self) -> bool:
        if self.owner_gone:
            return True
        if self.stop_until is None:
            return False
        ended = self.launcher is None or self.launcher.poll() is not None
        return ended or time.monotonic() > self.stop_until

    def _start_launcher(self) -> None:
        if not self.launch:
            return
        self.launcher = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()),
             sys.executable, "-P", "-m", "workers.launcher.run", "--reports", *self.launch],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "PROCTOR_BROKER_URL": self.valkey.url},
            process_group=0,
        )  # fmt: skip
        assert self.launcher.stdout is not None
        self._selector.register(self.launcher.stdout, selectors.EVENT_READ)
        self.tell(Report(ReportKind.STARTED, "launcher", pid=self.launcher.pid))

    def _listen(self) -> None:
        for key, _ in self._selector.select(TICK_S):
            piece = os.read(key.fd, PIPE_BYTES)
            if key.fd == STDIN:
                self._hear_owner(piece)
            else:
                self._hear_launcher(piece)

    def _hear_owner(self, piece: bytes) -> None:
        if not piece:
            self.owner_went()
        for line in self._commands.feed(piece):
            word, _, seconds = line.partition(b" ")
            if word != b"stop":
                log.error("the owner said %r, which is no command", line)
                continue
            self.stop_until = time.monotonic() + float(seconds)
            self._signal_launcher(signal.SIGTERM)

    def _hear_launcher(self, piece: bytes) -> None:
        for line in self._news.feed(piece):
            report = Report.from_line(line)
            if report.kind == ReportKind.STARTED:
                self.groups[report.subject] = report.pid
            elif report.kind in GROUP_ENDS:
                self.groups.pop(report.subject, None)
            self.tell(report)
        if not piece:
            self._launcher_ended()

    def _launcher_ended(self) -> None:
        assert self.launcher is not None
        if self.launcher.stdout is not None:
            self._selector.unregister(self.launcher.stdout)
        try:
            code = self.launcher.wait(timeout=HURRY_S)
        except subprocess.TimeoutExpired:
            code = None
        if self.stop_until is None:
            self.tell(Report(ReportKind.FAILED, "launcher", f"The launcher of workers ended with code {code}."))

    def _look_after_broker(self) -> None:
        if self.valkey.alive:
            return
        self.revivals += 1
        if self.revivals > REVIVALS:
            raise BrokerUnavailable(f"The embedded broker died {REVIVALS} times.")
        log.warning("the embedded broker is gone: starting it again")
        if self.valkey.revive():
            self.tell(Report(ReportKind.STARTED, "broker", pid=self.valkey.pid))
            self.tell(Report(ReportKind.BROKER_BACK, "broker"))

    def _signal_launcher(self, number: signal.Signals) -> None:
        if self.launcher is not None and self.launcher.poll() is None:
            self.launcher.send_signal(number)

    def _end_all(self) -> None:
        """Kill what is still there, within 2 s: the launcher is asked first, since it can give Runs back at once."""
        self._signal_launcher(signal.SIGQUIT)
        if self.launcher is not None and not self._launcher_ends_in_order(self.launcher):
            log.warning("the launcher did not end in order: killing it and its workers")
            for group in (self.launcher.pid, *self.groups.values()):
                kill_group(group)
        self.valkey.stop()

    @staticmethod
    def _launcher_ends_in_order(launcher: subprocess.Popen[bytes]) -> bool:
        """Whether it ends by itself, which it does only after its workers."""
        try:
            return launcher.wait(timeout=HURRY_S) >= 0
        except subprocess.TimeoutExpired:
            return False


def kill_group(group: int) -> None:
    """SIGKILL to a process group; one that is gone is what was wanted."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:  # macOS says so of a group of zombies
        log.debug("process group %d can't be signalled", group)


def main() -> int:
    settings = Settings.read(os.environ)
    logs.configure(settings.log_level, log_format=settings.log_format)
    with tempfile.TemporaryDirectory(prefix="proctor-") as folder:
        guard = Guard(Valkey(Path(folder), sys.stderr.buffer), sys.argv[1:])
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, guard.owner_went)
        return guard.run()


if __name__ == "__main__":
    sys.exit(main())
