"""A worker: Celery's parent process, which listens, and its one child, which holds the device and does the work.

Started by `workers.launcher.run`, which tells it who it is. The parent never imports torch
(tests/integration/test_worker.py::test_the_parent_never_imports_torch_and_its_child_does); whatever touches a model
or the device is imported and made in the child, after the fork.

This module is the start of a process: `celery -A workers ...` finds `app` here.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from typing import TYPE_CHECKING

from celery import signals
from celery.worker import state
from celery.worker.request import Request

from proctor import logs
from proctor.broker.app import WORK
from proctor.embedded.reports import Report, ReportKind
from proctor.errors import DeviceBroken, StoreUnavailable
from proctor.store.conversations import turns
from proctor.store.database.session import Store
from proctor.store.runs import runs
from workers.launcher.identity import tell_launcher
from workers.parent import state as parent
from workers.parent.loop import ParentLoop
from workers.parent.state import channel, chat_requests, me

if TYPE_CHECKING:
    from workers.context import WorkerContext

EX_SOFTWARE = 70  # sysexits.h

app = parent.app()
settings = parent.settings()
app.steps["consumer"].add(ParentLoop)

log = logging.getLogger(__name__)


@functools.cache
def worker() -> WorkerContext:
    """What the child works with: its device, models, database. A child that can't have it is of no use: it says so."""
    try:
        from workers.child import make_context  # torch comes with it

        return make_context(settings, me(), channel(), app)
    except Exception as error:
        tell_launcher(Report(ReportKind.WORKER_UNFIT, me().name, f"{type(error).__name__}: {error}"), os.environ)
        raise


@app.task(name=WORK)
def work() -> None:
    """Answer a bell: claim and sit Runs until nothing suits, or until told to stop."""
    channel().beat()
    from workers.drain import drain

    try:
        ours = worker()  # torch comes with it
        channel().beat()
        drain(ours)
    except StoreUnavailable as error:
        log.error("left off until the database is back: %s", error)  # noqa: TRY400 -- expected, and told in words
    except DeviceBroken as error:
        log.error("this process ends: %s", error)  # noqa: TRY400 -- its traceback stands above
        channel().broke(str(error))
        raise SystemExit(EX_SOFTWARE) from error
    if channel().stopped:
        tell_launcher(Report(ReportKind.WORKER_DRAINED, me().name), os.environ)


@signals.setup_logging.connect
def set_up_logging(**_: object) -> None:
    """Ours, in both processes, instead of Celery's."""
    logs.configure(settings.log_level, log_format=settings.log_format, worker=me().name)


@signals.worker_init.connect
def begin_parent(**_: object) -> None:
    me()
    channel()


@signals.worker_ready.connect
def parent_is_ready(**_: object) -> None:
    chat_requests().start()
    tell_launcher(Report(ReportKind.WORKER_UP, me().name), os.environ)


@signals.task_received.connect
def hear_bell(request: Request, **_: object) -> None:
    """In the parent: which Run's bell wakes the child; it may claim another, or find nothing left to do."""
    with logs.about(request.id):
        log.info("its bell was heard")


@signals.worker_shutting_down.connect
def stop_child(**_: object) -> None:
    """In the parent's signal handler: the child keeps its pack, gives the Run back and returns.

    Celery's own way out takes two seconds or, rarely, half a minute: the launcher need not wait for it.
    """
    channel().stop()
    chat_requests().stop()
    if not state.reserved_requests:
        tell_launcher(Report(ReportKind.WORKER_IDLE, me().name), os.environ)


def import_early() -> None:
    """Import what work takes, torch above all, before the first bell. What fails fails there again, and is told."""
    try:
        import workers.drain  # noqa: F401 -- seconds
        from workers.child import import_ahead

        import_ahead(me())
    except Exception:
        log.exception("importing ahead failed")


@signals.worker_process_init.connect
def begin_child(**_: object) -> None:
    """What is leased under this worker's name is a dead child's: take it back, so that it is claimable at once."""
    channel().become_child()
    threading.Thread(target=import_early, name="import", daemon=True).start()
    try:
        with Store(settings.database_url, timeout_s=settings.lease_s) as store:
            why = "its worker's process died: killed from outside, or for memory"
            lost = runs.release(store, me().name, why)
            replies = turns.release(store, me().name, why)
    except StoreUnavailable as error:
        log.warning("what a dead child held is claimable when its lease is over: %s", error.problem)
    else:
        if lost or replies:
            log.warning("took back %d run(s) and %d reply(s) of the child before", lost, replies)
