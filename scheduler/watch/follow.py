"""Watches a sweep until it is over: a live grid on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.markup import escape

from proctor.embedded.command import Embedded
from proctor.embedded.reports import ReportKind
from proctor.errors import StoreUnavailable
from proctor.nouns.exams import Scoring
from proctor.nouns.models import Lane
from proctor.nouns.runs import RunStatus
from proctor.printing import printable
from proctor.signals import interruptible
from proctor.store.database.session import Store
from proctor.store.reads import fleet, records, shown_answers
from proctor.store.reads.fleet import Fleet
from proctor.store.reads.records import RunProgress, SweepProgress
from scheduler.watch import wording
from scheduler.watch.accuracy import NONE, amount
from scheduler.watch.aside import aside, of_pages, share_right
from scheduler.watch.speed import Pace, Speed, beside
from scheduler.watch.sweep_grid import board, loads, names_of, totals

POLL_S = 0.5
PLAIN_EVERY_S = 30.0
ANSWERS_AT_ONCE = 200
NEWS = {
    ReportKind.BROKER_BACK: "The broker had died and was started again; nothing is lost.",
    ReportKind.WORKER_DIED: "Worker {subject} died ({detail}) and is started again; see {log}.",
    ReportKind.WORKER_GIVEN_UP: "Worker {subject} died too often and is given up: {detail}; see {log}.",
}


class Display(Protocol):
    """Where progress goes."""

    def update(self, progress: SweepProgress, speed: Speed) -> None:
        """Show how far the sweep is."""

    def say(self, text: str) -> None:
        """Show a line that stays."""


def follow(store: Store, sweep_id: int, *, verbose: bool = False, crew: Embedded | None = None) -> bool:
    """Show the sweep until nothing of it is pending or running; returns whether a person stopped that.

    A signal to end (Ctrl-C, SIGTERM, a closed terminal) stops the watching. With a `crew` of our own its news are
    shown, and its end is an error; a database that is away is waited for.

    Raises
    ------
    BrokerUnavailable, WorkersUnavailable
        where the crew can't work any more.
    """
    pace, begun = Pace(), False
    with interruptible(), display() as shown:
        cursor = shown_answers.latest_cursor(store, sweep_id) if verbose else 0
        try:
            while True:
                with waited_out(shown):
                    progress = records.progress(store, sweep_id)
                    begun = begun or any(run.status is RunStatus.RUNNING for run in progress.runs)
                    speed = seen(pace, progress, fleet.look(store, sweep_id))
                    speed = replace(speed, starting=crew is not None and not begun)
                    if verbose:
                        cursor = show_answers(store, progress, cursor, shown.say)
                    shown.update(progress, speed)
                    if progress.over:
                        return False
                if crew is not None:
                    show_news(crew, shown)
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            shown.say("Stopping: the pack at work is finished and kept. Ctrl-C again ends at once." if crew else "")
            return True


def seen(pace: Pace, progress: SweepProgress, now: Fleet) -> Speed:
    """The speed so far, with what is loaded now and later: a look at the sweep and its workers goes into the pace."""
    running = [part for part in progress.parts if part.status is RunStatus.RUNNING]
    ahead = beside(0.0, now, {run.run_id for run in running})
    pace.see(
        time.monotonic(),
        sum(run.answered for run in progress.runs),
        loading=bool(ahead.loading) and len(ahead.loading) == len(running),
    )
    return replace(ahead, per_second=pace.speed.per_second)


def show_answers(store: Store, progress: SweepProgress, cursor: int, say: Callable[[str], None]) -> int:
    """Show every Answer of the sweep committed since `cursor`; returns the new one."""
    names = names_of(progress)
    while True:
        batch = shown_answers.answers_after(store, progress.sweep_id, cursor, ANSWERS_AT_ONCE)
        for shown in batch.answers:
            say(wording.answer(shown, names[shown.lane]))
        if batch.cursor == cursor:
            return cursor
        cursor = batch.cursor


def show_news(crew: Embedded, shown: Display) -> None:
    for report in crew.news():
        if report.kind in NEWS:
            shown.say(NEWS[report.kind].format(subject=report.subject, detail=report.detail, log=report.log))
    crew.check()


@contextmanager
def waited_out(shown: Display) -> Iterator[None]:
    """A database that is away for a while is told of, not a reason to stop watching: the workers wait for it too."""
    try:
        yield
    except StoreUnavailable as error:
        shown.say(f"Waiting for the database: {error}")


@contextmanager
def display() -> Iterator[Display]:
    """The display that standard error can carry."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        yield Grid(console, live)


class Grid:
    """A grid that is drawn over itself, on a terminal."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live

    def update(self, progress: SweepProgress, speed: Speed) -> None:
        self._live.update(board(progress, speed, self._console.width, self._console.height))

    def say(self, text: str) -> None:
        if text:
            self._live.console.print(escape(text), highlight=False)


def outcome(run: RunProgress) -> str:
    """`12 of 20 right, 60.0% (38.7 to 78.1)`, `3 pages`, or of answers that have no key `3 answers, unjudged yet`."""
    if not run.answered:
        return "no answers"
    if of_pages([run]):
        return f"{run.answered} pages"
    share = share_right([run])
    if run.scoring in (Scoring.OPEN, Scoring.JUDGED):
        return f"{run.answered} answers, {'none judged' if share == NONE else share}"
    return f"{amount(run.points)} of {run.answered} right, {share}"


class Lines:
    """A line for each Run that ends, and one now and then for the whole, where there is no terminal."""

    def __init__(self) -> None:
        self._told: set[int] | None = None
        self._last_s = time.monotonic()
        self._loads_told: frozenset[Lane] = frozenset()

    def update(self, progress: SweepProgress, speed: Speed) -> None:
        ended = [run for run in progress.runs if run.status not in (RunStatus.PENDING, RunStatus.RUNNING)]
        if self._told is None:  # what was over before we came is no news
            self._told = {run.run_id for run in ended}
            return
        names = names_of(progress)
        for run in ended:
            if run.run_id not in self._told:
                self._told.add(run.run_id)
                result = outcome(run)
                reason = f": {run.reason}" if run.reason else ""
                more = f", {beside}" if (beside := aside([run])) else ""
                self.say(f"{run.status.value}: {printable(names[run.lane])}, {run.subject}: {result}{more}{reason}")
                self._last_s = time.monotonic()
        if time.monotonic() - self._last_s > PLAIN_EVERY_S:
            self._last_s = time.monotonic()
            self.say("\n".join([*loads(speed, names), totals(progress, speed)]))
        elif frozenset(load.lane for load in speed.loading) - self._loads_told:
            self.say("\n".join(loads(speed, names)))
        self._loads_told = frozenset(load.lane for load in speed.loading)

    def say(self, text: str) -> None:
        if text:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
