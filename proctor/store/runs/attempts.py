"""How an attempt at a Run ends, and what that does to the Run. Within transactions that hold the Run's row."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import bindparam, func, or_, update
from sqlmodel import Session, col, select

from proctor import logs
from proctor.nouns.runs import Cost, Measures, RunStatus
from proctor.store.database.column_types import UtcDateTime
from proctor.store.runs import leasing
from proctor.store.runs.codec import measures_object, measures_of, storable, sum_of
from proctor.store.runs.tables import AttemptRow, BriefRow, PackRow, RunRow, WorkerRow

log = logging.getLogger(__name__)

_LEFT = (  # made once, for each claim asks it
    select(RunRow)
    .where(
        col(RunRow.status) == RunStatus.RUNNING,
        or_(col(RunRow.lease_until) < bindparam("now", type_=UtcDateTime), col(RunRow.worker) == bindparam("asking")),
    )
    .with_for_update(skip_locked=True)
)
# Else its lane would count as served until it is no longer thought alive, and nobody load what it held.
_HOLDS_NOTHING = update(WorkerRow).where(col(WorkerRow.name) == bindparam("lost")).values(held=None)

_NEVER_JUDGED = (
    update(RunRow)
    .where(
        col(RunRow.status) == RunStatus.PENDING,
        col(RunRow.id).in_(
            select(BriefRow.run_id).where(
                or_(col(BriefRow.candidate_id) == bindparam("failed"), col(BriefRow.against_id) == bindparam("failed"))
            )
        ),
    )
    .values(status=RunStatus.FAILED, ended_at=bindparam("ended", type_=UtcDateTime), reason=bindparam("why"))
    .execution_options(synchronize_session=False)
)


def take_back(session: Session, asking: str, now: datetime) -> None:
    """Take back Runs whose lease is over, which counts as a failure, and what the asking worker still has.

    A worker asks when it has nothing in hand. What stands under its name then was claimed, or ended, at a moment when
    the database went away before it answered: no failure of the Run. Runs that a transaction is writing to at this
    moment are passed by.
    """
    left = session.exec(_LEFT, params={"now": now, "asking": asking}).all()
    for run in left:
        if run.lease_until is not None and run.lease_until < now:
            lose(session, run, now, leasing.silent(run))
        else:
            give_back(session, run, now, "its worker asked for another: the database had been away")
    session.flush()


def begin(session: Session, run: RunRow, worker: str, now: datetime, lease_s: float) -> None:
    """Pending -> running, with a lease and an attempt of a number of its own. `run` is as it becomes."""
    leasing.take(run, worker, now, lease_s)
    run.status, run.moved_at, run.started_at = RunStatus.RUNNING, now, run.started_at or now
    run.pack_made = run.pack_size = 0
    assert run.id is not None
    session.add(AttemptRow(run_id=run.id, number=run.attempt, worker=worker, started_at=now, outcome="running"))


def give_back(session: Session, run: RunRow, now: datetime, reason: str = "", measures: Measures | None = None) -> None:
    """Running -> pending, and no failure."""
    with logs.about(f"run-{run.id}.{run.attempt}"):
        log.info("handed back by %s%s", run.worker, f": {reason}" if reason else "")
    end(session, run, now, "handed back", reason, measures)
    run.status, run.worker = RunStatus.PENDING, None


def lose(session: Session, run: RunRow, now: datetime, reason: str) -> None:
    """The attempt's worker is gone: a failure, and at the third loss a Run that kills its workers.

    It holds no model any more either, unless it is heard of again.
    """
    with logs.about(f"run-{run.id}.{run.attempt}"):
        log.warning("lost by %s: %s", run.worker, reason)
    session.execute(_HOLDS_NOTHING, {"lost": run.worker})
    end(session, run, now, "lost", reason)
    count_failure(session, run, now, leasing.lose(run, reason))


def count_failure(session: Session, run: RunRow, now: datetime, reason: str, *, final: bool = False) -> None:
    """Running -> pending, or failed at the third failure, or at once where `final`. What waits for it fails with it."""
    run.reason = reason
    if leasing.fail(run, final=final):
        run.status, run.ended_at = RunStatus.FAILED, now
        why = f"Run {run.id}, whose replies it was to judge, failed"
        session.execute(_NEVER_JUDGED, {"failed": run.part_of or run.id, "ended": now, "why": why})
    else:
        run.status, run.worker = RunStatus.PENDING, None


def end(
    session: Session, run: RunRow, now: datetime, outcome: str, reason: str = "", measures: Measures | None = None
) -> AttemptRow:
    """End the Run's attempt and its lease; returns the attempt."""
    attempt = session.get_one(AttemptRow, (run.id, run.attempt))
    attempt.outcome, attempt.reason, attempt.ended_at = outcome, storable(reason), now
    attempt.measures = None if measures is None else measures_object(measures)
    run.lease_until = None
    return attempt


def measures_of_all(session: Session, run: RunRow) -> Measures:
    """The Measures of all attempts; one that ended without a word counts with what its packs took."""
    session.flush()
    attempts = session.exec(select(AttemptRow).where(col(AttemptRow.run_id) == run.id)).all()
    told = {attempt.number: measures_of(attempt.measures) for attempt in attempts if attempt.measures is not None}
    if len(told) == len(attempts):
        return sum_of(told.values())
    packs = session.exec(
        select(PackRow.attempt, func.sum(PackRow.wall_s), func.sum(PackRow.cpu_s), func.sum(PackRow.gpu_s))
        .where(col(PackRow.run_id) == run.id)
        .group_by(col(PackRow.attempt))
    )
    untold = [Measures(score=Cost(*cost)) for number, *cost in packs if number not in told]
    return sum_of([*told.values(), *untold])
