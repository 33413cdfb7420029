"""`submit-sweep` from the checked request to the exit code: plan, store, run here or ring a fleet, follow."""

from __future__ import annotations

import json
import logging
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import click

from proctor import logs, private
from proctor.broker import bell
from proctor.broker.app import make_app
from proctor.exams.parts import parts_of
from proctor.nouns.models import Device
from proctor.nouns.runs import RunStatus, SweepRequest
from proctor.prose import tell
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import sweeps
from proctor.store.runs.exams import save_exam
from proctor.written_answers import with_counts
from scheduler import local
from scheduler.prepare import Prepared, prepare
from scheduler.request_exams import RowSource
from scheduler.watch import wording
from scheduler.watch.follow import follow
from scheduler.workplace import HERE, Workplace

ALL_DONE, SOME_FAILED, CANCELLED, STOPPED = 0, 1, 3, 130

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Way:
    """How a person wants to run and see a sweep; no part of what the sweep is."""

    fresh: bool = False
    verbose: bool = False
    detach: bool = False
    plan_only: bool = False
    as_json: bool = False
    place: Workplace = HERE  # of each worker that is started here
    default_shots: bool = False  # nobody said how many: each benchmark's own number, none without a dev split
    rows: RowSource = field(default_factory=RowSource)  # where benchmarks' rows and task files lie


def submit_sweep(request: SweepRequest, settings: Settings, way: Way) -> int:
    """Check everything, then run the sweep or hand it to the fleet; returns the exit code.

    Raises
    ------
    SeveralFaults
        with all that is wrong with the request, before anything is written or started.
    ProctorError
        where the database or the broker can't be used.
    """
    with open_store(settings) as store:
        prepared = prepare(
            request, settings, store, way.place, default_shots=way.default_shots, fresh=way.fresh, rows=way.rows
        )
        return run_prepared(store, settings, prepared, way)


def run_prepared(store: Store, settings: Settings, prepared: Prepared, way: Way) -> int:
    """Store what was planned, and run it or hand it to the fleet; returns the exit code."""
    if way.plan_only:
        say_plan(prepared, as_json=way.as_json)
        return ALL_DONE
    submission = write_down(store, prepared, fresh=way.fresh)
    say(wording.submitted(submission, prepared.plan))
    if submission.to_do == 0:
        return conclude(store, submission.sweep_id, way)
    for note in prepared.notes if settings.broker_url else prepared.told:
        say(f"Note: {note}")
    with kept_log(settings):
        log_pending(store, submission.sweep_id)
        return carry_out(store, settings, submission.sweep_id, way)


def carry_out(store: Store, settings: Settings, sweep_id: int, way: Way) -> int:
    """Ring a fleet for the sweep, or work on it here, until it is over unless `way` says to leave before."""
    if settings.broker_url:
        ring_fleet(store, settings, sweep_id)
        if way.detach:
            return detached(sweep_id, way)
        stopped = follow(store, sweep_id, verbose=way.verbose)
    elif way.detach:
        log_path = local.start(settings, sweep_id, way.place)
        say(f"It goes on in the background; {log_path} has its words.")
        return detached(sweep_id, way)
    else:
        stopped = local.run(store, settings, sweep_id, way.place, verbose=way.verbose)
    return conclude(store, sweep_id, way, stopped=stopped, here=not settings.broker_url)


def write_down(store: Store, prepared: Prepared, *, fresh: bool) -> sweeps.Submission:
    """The exams and the sweep into the database, where they survive whatever comes."""
    for exam in prepared.exams:
        save_exam(store, exam)
    needs_bytes = {lane.lane: lane.memory_bytes for lane in prepared.plan.lanes}
    return sweeps.submit(
        store,
        prepared.plan.request,
        prepared.plan.runs,
        needs_bytes,
        fresh=fresh,
        stored=prepared.stored,
        split=parts_of,
    )


def kept_log(settings: Settings) -> AbstractContextManager[None]:
    """Around what is logged on the way: it goes to a file, since the terminal is the person's."""
    try:
        path = logs.log_file(settings.home, f"submit-{os.getpid()}")
        private.make_file(path)
    except OSError as error:
        say(f"No log of this command is kept: {settings.home} can't be written ({error.strerror}).")
        return nullcontext()
    return logs.recorded(path, settings.log_level, settings.log_format)


def log_pending(store: Store, sweep_id: int) -> None:
    """The beginning of each Run's way through the logs."""
    for run in records.progress(store, sweep_id).parts:
        if run.status is RunStatus.PENDING:
            with logs.about(f"run-{run.run_id}"):
                log.info("submitted: %s on %s/%s", run.lane, run.benchmark, run.subject)


def ring_fleet(store: Store, settings: Settings, sweep_id: int) -> None:
    """A bell for every Run, or part of one, that is pending, on its device's queue."""
    app = make_app(settings)
    pending = [part for part in records.progress(store, sweep_id).parts if part.status is RunStatus.PENDING]
    for device in Device:
        bell.ring(app, device, [run.run_id for run in pending if run.lane.device is device])


def retry_sweep(settings: Settings, name_or_id: str) -> tuple[sweeps.Sweep, int]:
    """Failed and cancelled Runs of a sweep wait again; a fleet's bell is rung for them. Returns how many they are."""
    with open_store(settings) as store:
        found = sweeps.find(store, name_or_id)
        waiting = sweeps.retry(store, found.id)
        if settings.broker_url and waiting:
            ring_fleet(store, settings, found.id)
    return found, waiting


def conclude(store: Store, sweep_id: int, way: Way, *, stopped: bool = False, here: bool = True) -> int:
    """Say how it ended; the exit code says it too."""
    progress = with_counts(store, records.progress(store, sweep_id))
    if way.as_json:
        click.echo(json.dumps(wording.as_json(progress), ensure_ascii=False))
    else:
        tell(wording.outcome(progress))
    if stopped:
        say(wording.how_to_go_on(progress, here=here))
        return STOPPED
    if cancelled := wording.cancelled(progress):
        say(cancelled)
        return CANCELLED
    return SOME_FAILED if wording.failed(progress) else ALL_DONE


def detached(sweep_id: int, way: Way) -> int:
    if way.as_json:
        click.echo(json.dumps({"sweep": sweep_id, "detached": True}))
    else:
        tell(f"`proctor status {sweep_id}` shows how it goes, `proctor cancel {sweep_id}` stops it.")
    return ALL_DONE


def say_plan(prepared: Prepared, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(wording.plan_as_json(prepared.plan), ensure_ascii=False))
    else:
        tell(wording.plan(prepared.plan, prepared.notes))


def say(text: str) -> None:
    """News for a person, on standard error: standard output is for results."""
    tell(text, err=True)
