"""What waits on each lane for a worker: the facts that the choice of the next lane is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from sqlalchemy import ColumnElement, func, or_, true
from sqlmodel import Session, col, select

from proctor.nouns import Lane, LaneLoad, Measures, RunStatus, WorkerCard
from proctor.store.codec import lane_of
from proctor.store.session import Store
from proctor.store.tables import LaneRow, RunRow, SweepRow, WorkerRow
from proctor.store.workers import oldest_alive

Choose = Callable[[Lane | None, Sequence[LaneLoad]], Lane | None]


def loads(session: Session, me: WorkerCard, now: datetime) -> list[LaneLoad]:
    """The lanes that hold a pending Run for this worker's device and patterns, in the order of their names."""
    # Runs of a cancelled sweep are cancelled themselves: the sweep needs no look.
    waiting = session.exec(
        select(RunRow.lane, func.max(SweepRow.priority), func.count())
        .join(SweepRow, col(SweepRow.id) == col(RunRow.sweep_id))
        .where(col(RunRow.status) == RunStatus.PENDING, meant_for(me))
        .group_by(col(RunRow.lane))
        .order_by(col(RunRow.lane))
    ).all()
    others = session.exec(
        select(WorkerRow.held, func.count())
        .where(
            col(WorkerRow.held).is_not(None),
            col(WorkerRow.name) != me.name,
            col(WorkerRow.left_at).is_(None),
            col(WorkerRow.seen_at) >= oldest_alive(now),
            # Who was started for another sweep is no help with these.
            or_(col(WorkerRow.sweep_id).is_(None), col(WorkerRow.sweep_id) == me.sweep_id),
        )
        .group_by(col(WorkerRow.held))
    )
    there = dict(others.all())
    mine = [row for row in waiting if serves(me, row[0])]
    pace = {
        row.lane: row for row in session.exec(select(LaneRow).where(col(LaneRow.lane).in_([row[0] for row in mine])))
    }
    return [
        LaneLoad(lane_of(lane), priority, count, there.get(lane, 0), *means(pace.get(lane)))
        for lane, priority, count in mine
    ]


def pick(store: Store, session: Session, me: WorkerCard, held: Lane | None, choose: Choose) -> RunRow | None:
    """The next Run for this worker, its row locked."""
    passed: set[Lane] = set()
    choosing = False
    while True:
        now = store.now(session)
        lane = choose(held, [load for load in loads(session, me, now) if load.lane not in passed])
        if lane is None or lane in passed:
            return None
        if lane != held and not choosing:
            # One worker at a time goes to a new lane, and the next one sees where it went.
            store.lock(session, "proctor choice of a lane")
            choosing = True
            continue
        run = _next_in(session, me, lane)
        if run is not None:
            return run
        passed.add(lane)  # other claims, not yet committed, have taken the last of it


def _next_in(session: Session, me: WorkerCard, lane: Lane) -> RunRow | None:
    busy = (
        select(RunRow.sweep_id, func.count().label("running"))
        .where(col(RunRow.status) == RunStatus.RUNNING)
        .group_by(col(RunRow.sweep_id))
        .subquery()
    )
    return session.exec(
        select(RunRow)
        .join(SweepRow, col(SweepRow.id) == col(RunRow.sweep_id))
        .outerjoin(busy, busy.c.sweep_id == col(RunRow.sweep_id))
        .where(col(RunRow.status) == RunStatus.PENDING, col(RunRow.lane) == str(lane), meant_for(me))
        .order_by(col(SweepRow.priority).desc(), func.coalesce(busy.c.running, 0), col(RunRow.failures), col(RunRow.id))
        .limit(1)
        .with_for_update(of=RunRow, skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


def waiting(session: Session, me: WorkerCard, now: datetime) -> int:
    """How many Runs this worker could claim now: pending ones, and running ones whose lease is over."""
    expired = (col(RunRow.status) == RunStatus.RUNNING) & (col(RunRow.lease_until) < now)
    rows = session.exec(
        select(RunRow.lane, func.count())
        .where(or_(col(RunRow.status) == RunStatus.PENDING, expired), meant_for(me))
        .group_by(col(RunRow.lane))
    )
    return sum(count for lane, count in rows if serves(me, lane))


def meant_for(me: WorkerCard) -> ColumnElement[bool]:
    """A worker that was started for one sweep takes nothing of another."""
    return true() if me.sweep_id is None else col(RunRow.sweep_id) == me.sweep_id


def serves(me: WorkerCard, lane: str) -> bool:
    """Whether a worker may take Runs of this lane: its device, and one of its patterns if it has any."""
    if not lane.startswith(f"{me.device}/"):
        return False
    return not me.lanes or any(fnmatchcase(lane, pattern) for pattern in me.lanes)


def add_to_pace(store: Store, session: Session, lane: str, measures: Measures) -> None:
    """Count a finished Run, and the load that it began with if there was one, into its lane's means."""
    loads = int(measures.load.wall_s > 0)
    run_s = measures.score.wall_s + measures.write.wall_s
    session.exec(
        store.insert(LaneRow)
        .values(lane=lane, runs=1, run_s=run_s, loads=loads, load_s=measures.load.wall_s)
        .on_conflict_do_update(
            index_elements=["lane"],
            set_={
                "runs": LaneRow.runs + 1,
                "run_s": LaneRow.run_s + run_s,
                "loads": LaneRow.loads + loads,
                "load_s": LaneRow.load_s + measures.load.wall_s,
            },
        )
    )


def means(pace: LaneRow | None) -> tuple[float | None, float | None]:
    """Mean seconds of a lane's Runs and of its loads; None for what was never measured."""
    if pace is None:
        return None, None
    return (
        pace.run_s / pace.runs if pace.runs else None,
        pace.load_s / pace.loads if pace.loads else None,
    )
