"""Shows every Run as a Celery task, so that Flower and `celery events` see what a worker sits.

Celery itself only knows the bell that woke the worker. So the child sends task events of its own, one task an attempt:
`run-<id>.<attempt>`. A side thread sends them, from a bounded queue: events are dropped when the broker is away or
slow, and work is never held up (tests/integration/test_events.py).
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from celery.events import EventDispatcher
from kombu import Connection

from proctor.broker.bell import BROKER_ERRORS
from proctor.broker.clients import CONNECT_S
from proctor.contestants import lane_label
from proctor.nouns.runs import Claim
from proctor.retry import jittered

TASK = "proctor.run"
QUEUED = 1000
AWAY_S = 5.0  # after a failure, how long events are dropped before the next try to connect

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _TaskEvent:
    type: str
    uuid: str
    facts: dict[str, Any] = field(default_factory=dict)


class TaskEvents:
    """Tells of Runs as they begin and end. Every method returns at once and never raises."""

    def __init__(self, app: Celery, worker: str) -> None:
        self.app, self.worker = app, worker
        self.dropped = 0
        self._queue: queue.Queue[_TaskEvent] = queue.Queue(QUEUED)
        self._away_until = 0.0
        self._connection: Connection | None = None
        self._dispatcher: EventDispatcher | None = None
        threading.Thread(target=self._run, name="task-events", daemon=True).start()

    def started(self, claim: Claim) -> None:
        spec = claim.spec
        short = f"{lane_label(spec.lane)}, {spec.benchmark}/{spec.subject}"
        self._put(claim, "task-received", name=TASK, args=short, kwargs=f"lane={spec.lane}", retries=claim.attempt - 1)
        self._put(claim, "task-started")

    def done(self, claim: Claim, runtime_s: float) -> None:
        self._put(claim, "task-succeeded", result=f"{claim.spec.questions} answered", runtime=runtime_s)

    def handed_back(self, claim: Claim, why: str) -> None:
        self._put(claim, "task-retried", exception=why, traceback="")

    def failed(self, claim: Claim, reason: str, traceback: str) -> None:
        self._put(claim, "task-failed", exception=reason, traceback=traceback)

    def _put(self, claim: Claim, kind: str, **facts: str | float) -> None:
        try:
            self._queue.put_nowait(_TaskEvent(kind, f"run-{claim.run_id}.{claim.attempt}", facts))
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while True:
            event = self._queue.get()
            if time.monotonic() < self._away_until:
                self.dropped += 1
                continue
            try:
                self._open().send(event.type, uuid=event.uuid, **event.facts)
            except BROKER_ERRORS as error:
                self.dropped += 1
                self._away_until = time.monotonic() + jittered(AWAY_S)
                log.info("task events are dropped for a while: %s", error)
                self._close()

    def _open(self) -> EventDispatcher:
        if self._dispatcher is None:
            self._connection = self.app.connection_for_write(connect_timeout=CONNECT_S)
            self._dispatcher = EventDispatcher(
                self._connection, hostname=self.worker, app=self.app, buffer_while_offline=False
            )
        return self._dispatcher

    def _close(self) -> None:
        dispatcher, connection = self._dispatcher, self._connection
        self._dispatcher = self._connection = None
        if dispatcher is not None:
            dispatcher.close()
        if connection is not None:
            with contextlib.suppress(*BROKER_ERRORS):  # it was broken before
                connection.release()
