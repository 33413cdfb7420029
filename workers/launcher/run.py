"""Starts one worker for each device of this machine, and looks after them: what `proctor worker` runs.

    python -P -m workers.launcher.run [--devices auto|cpu|cuda|0,1] [--group N] [--max-memory SIZE] \
        [--lanes PATTERN ...] [--sweep NUMBER] [--endpoint URL [--model NAME ...] ...]

SIGTERM, SIGINT or SIGHUP: workers finish the pack at hand and give their Runs back; a second one, or SIGQUIT, ends
them at once. Their Runs are given back for them then, so that nobody has to wait for the leases to run out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import logging
import os
import secrets
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType

from proctor import logs, printing
from proctor.allotment import Allotment, memory_bytes
from proctor.catalog.endpoint import Endpoint, add_arguments, of_arguments
from proctor.embedded.reports import Report, ReportKind
from proctor.errors import BrokerUnavailable, ProctorError, StoreUnavailable, WorkersUnavailable
from proctor.gpus import usable
from proctor.hardware import look
from proctor.settings import CACHED, LOG_FORMATS, Settings
from workers.launcher.placement import LauncherId, LauncherOptions, seats
from workers.launcher.process import WorkerProcess
from workers.launcher.versions import versions

TICK_S = 0.5
WARM_S = 60.0  # for a pack to be finished
REAP_S = 0.5  # for a killed process to be gone
RELEASE_S = 0.5  # to give Runs back to a database that may be locked; their leases run out by themselves
NEEDED = ("torch", "transformers")
NEEDED_TO_ASK = ("httpx2", "tokenizers")  # of a worker that asks a server

log = logging.getLogger(__name__)


class Launcher:
    """One thread, one loop over all workers of this machine."""

    def __init__(
        self,
        crew: Sequence[WorkerProcess],
        tell: Callable[[Report], None],
        settings: Settings,
        owner: int | None = None,
    ) -> None:
        self.crew, self.tell, self.settings = crew, tell, settings
        self.owner = owner  # the process whose end is ours; None: we outlive whoever started us
        self.stops_asked = 0
        self._killed = False

    def run(self) -> int:
        """Until every worker has ended: 0 where that was asked for, 1 where the last one had to be given up."""
        wakeup = _wakeup_pipe()
        for worker in self.crew:
            worker.start()
        # It takes most of a second: not before the workers start, and not when an end is to be quick.
        importlib.import_module("proctor.store.runs.runs")
        try:
            while not all(worker.over for worker in self.crew):
                self._listen(wakeup)
                self._heed_stops()
                for worker in self.crew:
                    worker.look()
        finally:
            self._end()
        return 0 if self.stops_asked else 1

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """A signal handler: the first stop is an orderly one."""
        self.stops_asked += 2 if number == signal.SIGQUIT else 1

    def _listen(self, wakeup: int) -> None:
        heard, _, _ = select.select([wakeup, *(w.reports_fd for w in self.crew if w.reports_fd >= 0)], [], [], TICK_S)
        if wakeup in heard:
            os.read(wakeup, 4096)
        for worker in self.crew:
            if worker.reports_fd in heard:
                worker.read_reports()

    def _heed_stops(self) -> None:
        if self.owner not in (None, os.getppid()):  # on Linux the kernel has killed us by then
            self.stops_asked = 2
        if self.stops_asked == 1:
            for worker in self.crew:
                worker.stop(WARM_S)
        elif self.stops_asked > 1 and not self._killed:
            self._killed = True
            for worker in self.crew:
                worker.kill()

    def _end(self) -> None:
        """Whatever happened: leave no worker behind, and no Run that waits for one."""
        left = [worker for worker in self.crew if not worker.over]
        for worker in left:
            worker.kill()
        for worker in left:
            worker.reap(REAP_S)
        release(self.settings, [worker.card.name for worker in self.crew if not worker.ended_in_order])


def release(settings: Settings, names: Sequence[str]) -> None:
    """Give back what these workers held; nobody's failure, for they were ended from outside."""
    if not names:
        return
    from proctor.store.conversations import turns
    from proctor.store.database.session import Store
    from proctor.store.runs import runs, workers

    try:
        with Store(settings.database_url, timeout_s=RELEASE_S) as store:
            for name in names:
                runs.release(store, name, "its worker was ended", counted=False)
                turns.release(store, name, "its worker was ended", counted=False)
                workers.leave(store, name)
    except StoreUnavailable as error:
        log.warning("Runs are claimable again in %.0f s only: %s", settings.lease_s, error.problem)


def prepare_store(settings: Settings) -> None:
    """Make or update the tables, so that workers can be started before anything was submitted.

    Raises
    ------
    StoreUnavailable
        where the database can't be reached, or was made by a newer release.
    """
    from proctor.store.database.open import open_store

    open_store(settings).close()


def check_packages(needed: Sequence[str] = NEEDED) -> None:
    """Raise `WorkersUnavailable` where the packages that hold models aren't installed."""
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise WorkersUnavailable(
            f"Workers need {' and '.join(missing)}, which this Python ({sys.executable}) doesn't have.",
            "Install them: pip install 'proctor-exams[worker]'.",
        )


def say_json(report: Report) -> None:
    """Reports for a guard. Its end is the end of this process too, so a closed pipe needs no answer."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, report.to_line())


def say_text(report: Report) -> None:
    """Reports for a person at a terminal."""
    if report.kind == ReportKind.STARTED:
        text = f"{report.subject} starts; its log is {report.log}"
    else:
        text = f"{report.subject}: {report.kind.value}" + (f": {report.detail}" if report.detail else "")
    sys.stdout.write("\n".join(printing.printable(line) for line in text.splitlines()) + "\n")
    sys.stdout.flush()


def say_record(report: Report) -> None:
    """Reports as records of the log, where a program reads it."""
    text = f"{report.kind.value}: {report.detail}" if report.detail else report.kind.value
    log.info(text, extra={"worker": report.subject})


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Exit codes as those of `proctor`: 0, 1, or 2 for what can't be meant."""
    options = _parser().parse_args(arguments)
    settings = Settings.read(os.environ)
    if options.log_format:
        settings = replace(settings, log_format=options.log_format)
    if not options.reports:  # else whoever started it has said
        allow = tuple(options.allow_models) or settings.allow_models or (CACHED,)
        settings = replace(settings, allow_models=allow)
    logs.configure(settings.log_level, log_format=settings.log_format)
    tell = say_json if options.reports else say_record if settings.log_format == "json" else say_text
    try:
        crew = _crew(settings, wanted(options), tell)
    except ProctorError as error:
        if not options.reports:  # `proctor` shows it
            raise
        tell(Report(ReportKind.FAILED, "launcher", str(error)))
        return error.exit_code
    if not options.reports:  # else the owner of the guard has made sure of it
        prepare_store(settings)
    launcher = Launcher(crew, tell, settings, owner=os.getppid() if options.reports else None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) != signal.SIG_IGN:  # `nohup` has it ignored
            signal.signal(number, launcher.stop)
    code = launcher.run()
    if code:
        reasons = "; ".join(worker.reason for worker in crew if worker.reason)
        tell(Report(ReportKind.FAILED, "launcher", f"No worker is left: {reasons}", str(crew[-1].log_path)))
    return code


def wanted(options: argparse.Namespace) -> LauncherOptions:
    """What the command line asks for. Raises `BadInput` for what can't be meant."""
    return LauncherOptions(
        devices=options.devices,
        lanes=tuple(options.lanes),
        sweep_id=options.sweep,
        allotment=Allotment(options.group, memory_bytes(options.max_memory) if options.max_memory else None),
        endpoint=of_arguments(options),
    )


def _crew(settings: Settings, wish: LauncherOptions, tell: Callable[[Report], None]) -> list[WorkerProcess]:
    if settings.broker_url is None:
        raise BrokerUnavailable(
            "PROCTOR_BROKER_URL is not set.", "Set it to the Redis or Valkey that sweeps are submitted to."
        )
    check_packages(NEEDED if wish.endpoint is None else NEEDED_TO_ASK)
    # Containers may share a host name and a process id, and a name decides whose leases are whose.
    place = LauncherId(socket.gethostname(), f"{os.getpid()}-{secrets.token_hex(2)}", versions())
    environ = {**os.environ, **settings.environ()}
    machine = look(os.environ)
    if wish.devices != "cpu" and not isinstance(wish.endpoint, Endpoint):
        machine = usable(machine, os.environ, settings.cache)
    if machine.gpus_unusable:
        log.warning("left alone: %s", machine.gpus_unusable)
    return [
        WorkerProcess(post.card, post.environ(environ), settings.home, tell) for post in seats(machine, wish, place)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="proctor worker")
    parser.add_argument("--devices", default="auto", help="auto, cpu, cuda, or indexes of GPUs such as 0,1")
    parser.add_argument("--lanes", action="append", default=[], metavar="PATTERN", help="serve these lanes only")
    parser.add_argument("--allow-models", action="append", default=[], metavar="PATTERN", help="what chat may ask for")
    parser.add_argument("--group", type=int, default=1, metavar="N", help="GPUs that one worker owns together")
    parser.add_argument("--max-memory", metavar="SIZE", help="what one worker's models may take, such as 8GB")
    add_arguments(parser)
    parser.add_argument("--sweep", type=int, metavar="NUMBER", help="serve this sweep only")
    parser.add_argument("--log-format", choices=LOG_FORMATS, help="of the log files and of what is said here")
    parser.add_argument("--reports", action="store_true", help="JSON lines for a program instead of text")
    return parser


def _wakeup_pipe() -> int:
    """A descriptor that is readable after each signal; the end of a child is one."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader


if __name__ == "__main__":
    sys.exit(main())
