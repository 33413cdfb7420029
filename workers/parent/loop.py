"""What a worker's parent does besides listening, twice a second: keeps its child alive, rings for work that waits.

Bells can be lost (a broker that comes back empty, a worker killed with one in its hands), so an idle worker for which
something waits in the database rings for itself. That alone would be enough; bells only save the half second.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer

from proctor.broker.bell import BROKER_ERRORS, wake
from proctor.embedded.reports import Report, ReportKind
from proctor.errors import StoreUnavailable
from proctor.nouns.models import Lane
from proctor.store.conversations import conversations, turns
from proctor.store.database.session import Store
from proctor.store.runs import runs, workers
from workers.launcher.identity import tell_launcher
from workers.parent import state as parent
from workers.parent.watch import Watch

TICK_S = 0.5
STORE_S = 1.0  # the parent must not stand still for the database
HEARTBEAT_S = 10.0
FORGET_S = 60.0  # between two looks for conversations that are too old
BARREN_DEATHS = 5
SICK_S = 600.0  # between two failures of a device that make it sick
LONGEST_PAUSE_S = 5.0  # between two bells for oneself that led to nothing: the load would not pay for itself
DEAF_BELLS = 4  # rung in a row and none heard: the connection that listens is dead, and nobody will ever say so

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Noted:
    """What a child notes of itself for others to see."""

    held: Lane | None = None
    waits_for: str = ""


@dataclass
class Schedule:
    """When the next things are due, by the monotonic clock."""

    heartbeat_at: float = 0.0
    told: Noted = Noted()
    forget_at: float = 0.0
    ring_at: float = 0.0
    pause_s: float = TICK_S
    heard: int = 0  # bells that were heard in all, when one was last rung
    unheard: int = 0  # bells rung in a row since then

    def heartbeat_due(self, now: float, noted: Noted) -> bool:
        """Whether the database is to hear of this worker: now and then, and at once when a model is loaded or gone."""
        return now >= self.heartbeat_at or noted != self.told

    def beat(self, now: float, noted: Noted) -> None:
        self.heartbeat_at, self.told = now + HEARTBEAT_S, noted

    def rang(self, now: float, heard: int) -> None:
        """The more bells in a row led to nothing, the later the next. `heard` counts all that were ever heard."""
        self.ring_at = now + self.pause_s
        self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)
        self.unheard = self.unheard + 1 if heard == self.heard else 1
        self.heard = heard

    @property
    def deaf(self) -> bool:
        """Whether bells are sent, and not one of them arrives."""
        return self.unheard > DEAF_BELLS

    def worked(self) -> None:
        self.ring_at, self.pause_s = 0.0, TICK_S


@dataclass
class Children:
    """The children of this worker, one after the other, and how many in a row died before they had their device.

    A Run that kills children is failed after three; a device or a library that does is not the fault of any Run: a
    device that failed two children within `SICK_S` is given up before it fails more Runs than those two.
    """

    pids: list[int] = field(default_factory=list)
    was_ready: bool = False
    deaths: int = 0
    broken: str = ""  # why the current child says that its device failed
    broke_at: float = -math.inf  # when the one before did

    def look(self, ready: bool, broken: str = "") -> None:
        """Note how far the current child is. Call it before a dead one can be replaced."""
        self.was_ready |= ready
        self.broken = self.broken or broken

    def sick(self, pids: list[int], now: float) -> str:
        """Why, with these children now, their device is to be given up; "" as long as it isn't."""
        if pids == self.pids or not self.broken:
            return ""
        before, self.broke_at = self.broke_at, now
        why, self.broken = self.broken, ""
        return why if now - before < SICK_S else ""

    def keeps_dying(self, pids: list[int]) -> bool:
        """Whether, with these children now, it is time to give up."""
        if pids == self.pids:
            return False
        if self.pids:
            self.deaths = 0 if self.was_ready else self.deaths + 1
        self.pids, self.was_ready = pids, False
        return self.deaths == BARREN_DEATHS


class ParentLoop(bootsteps.StartStopStep):
    """Celery starts this step at each connection to the broker, and stops it at each loss."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Consumer, **options: Any) -> None:
        super().__init__(consumer, **options)
        self.settings, self.me, self.channel, self.chat_requests = (
            parent.settings(),
            parent.me(),
            parent.channel(),
            parent.chat_requests(),
        )
        self.store = Store(self.settings.database_url, timeout_s=STORE_S)
        self.rhythm = Schedule()
        self.children = Children()
        self.watch = Watch(self.settings.pack_limit_s)
        self._launcher = os.getppid()
        self._timer: Any = None

    def start(self, consumer: Consumer) -> None:
        self._timer = consumer.timer.call_repeatedly(TICK_S, self.tick, (consumer,))

    def stop(self, consumer: Consumer) -> None:  # noqa: ARG002 -- Celery's signature
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def shutdown(self, consumer: Consumer) -> None:
        self.stop(consumer)
        try:
            workers.leave(self.store, self.me.name)
        except StoreUnavailable as error:
            log.info("the database does not know that this worker left: %s", error.problem)

    def tick(self, consumer: Consumer) -> None:
        """Look after the child, and ring where something waits.

        A database or a broker that is away is left to the next tick. Raises `ConnectionResetError` where bells are sent
        and none is heard: Celery then connects anew. A half-open connection would never be noticed otherwise
        (tests/chaos/test_faults.py, broker_half_open).
        """
        if os.getppid() != self._launcher:  # on Linux the kernel has killed us by then (`proctor.embedded.tether`)
            os.kill(os.getpid(), signal.SIGTERM)
        self.children.look(self.channel.ready, self.channel.broken)
        consumer.pool.maintain_pool()  # a dead child is seen within a tick; Celery itself looks every 5 s
        children = consumer.pool.info["processes"]
        if why := self.children.sick(children, time.monotonic()):
            tell_launcher(Report(ReportKind.WORKER_UNFIT, self.me.name, f"its device failed twice: {why}"), os.environ)
        if self.children.keeps_dying(children):
            detail = f"its child process died {BARREN_DEATHS} times before it had its device"
            tell_launcher(Report(ReportKind.WORKER_UNFIT, self.me.name, detail), os.environ)
        hangs = self.watch.hangs(children, self.channel.beats, time.monotonic(), busy=bool(state.reserved_requests))
        try:
            if hangs:
                self._end_child(consumer, f"it showed no sign of life for {self.watch.silent_s:.0f} s")
            self._look_into_the_database(consumer, time.monotonic())
        except StoreUnavailable as error:
            log.warning("the database is away: %s", error.problem)
        except BROKER_ERRORS as error:
            log.warning("the broker is away: %s", error)
        if self.rhythm.deaf:
            self.rhythm.unheard = 0
            raise ConnectionResetError("no bell is heard of those that were rung: the connection is dead")

    def _look_into_the_database(self, consumer: Consumer, now: float) -> None:
        if state.reserved_requests:
            self.rhythm.worked()
            # Before anything is written: a child that hangs may hold SQLite's one lock.
            self._end_a_hung_child(consumer)
        elif now >= self.rhythm.ring_at and (runs.waiting(self.store, self.me) or self._chat_waits()):
            wake(consumer.app, self.me.device, self.me.name)
            self.rhythm.rang(now, heard=state.all_total_count[0])
        noted = Noted(self.channel.held, self.channel.waits_for)
        if self.rhythm.heartbeat_due(now, noted):
            workers.heartbeat(self.store, self.me, noted.held, noted.waits_for)
            self.rhythm.beat(now, noted)
        if self.settings.chat_days is not None and now >= self.rhythm.forget_at:
            self.rhythm.forget_at = now + FORGET_S
            if gone := conversations.forget(self.store, timedelta(days=self.settings.chat_days)):
                log.info("%d conversation(s) are over %g days old and gone", gone, self.settings.chat_days)

    def _chat_waits(self) -> bool:
        broker = self.chat_requests.broker
        return broker is not None and turns.waiting(self.store, self.me, broker, self.channel.held)

    def _end_a_hung_child(self, consumer: Consumer) -> None:
        """A device that hangs answers nothing, not even SIGTERM: kill the child, and count the attempt."""
        late = runs.overdue(self.store, self.me.name, self.settings.pack_limit_s)
        if late is None:
            return
        log.error("run %d hangs", late.run_id)
        self._end_child(consumer, f"no pack was finished for {late.silent_s:.0f} s")

    def _end_child(self, consumer: Consumer, why: str) -> None:
        """Kill the child and take back what it had under way, each with a lost attempt. Raises `StoreUnavailable`."""
        reason = f"{why}: taken for hung and killed"
        log.error("the child is ended: %s", reason)
        for pid in consumer.pool.info["processes"]:
            os.kill(pid, signal.SIGKILL)
        runs.release(self.store, self.me.name, reason)
        turns.release(self.store, self.me.name, reason)
