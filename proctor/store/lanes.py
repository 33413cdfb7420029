"""What waits on each lane for a worker: the facts that the choice of the next lane is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, update
from sqlmodel import Session, col, select

from proctor.nouns import Lane, LaneLoad, Measures, RunStatus, WorkerCard
from proctor.store.codec import lane_of
from proctor.store.fit import fits, meant_for, not_refused, refused_lanes, serves
from proctor.store.session import Store
from proctor.store.tables import LaneRow, RunRow, SweepRow, WorkerRow
from proctor.store.workers import oldest_alive

Choose = Callable[[Lane | None, Sequence[LaneLoad]], Lane | None]


@dataclass(frozen=True)
class _Backlog:
    """Runs of one sweep that wait on one lane for this worker; none where it only has running ones there."""

    lane: str
    sweep_id: int
    waiting: int
    needs_bytes: int | None  # the most that one of them is predicted to need


def loads(session: Session, me: WorkerCard, now: datetime) -> list[LaneLoad]:
    """The lanes that hold a pending Run that this worker may take, in the order of their names."""
    backlog = _backlog(session, me)
    sweeps = _in_turn(session, {each.sweep_id for each in backlog})
    refused = refused_lanes(session, me.name)
    waiting: dict[str, list[_Backlog]] = {}
    for each in backlog:
        if each.waiting and each.sweep_id in sweeps and each.lane not in refused and serves(me, each.lane):
            waiting.setdefault(each.lane, []).append(each)
    there = _holders(session, me, now)
    shares = _shares(backlog, there)
    pace = {row.lane: row for row in session.exec(select(LaneRow).where(col(LaneRow.lane).in_(list(waiting))))}
    found = []
    for lane, parts in sorted(waiting.items()):
        priority = max(sweeps[part.sweep_id].priority for part in parts)
        first = [part.sweep_id for part in parts if sweeps[part.sweep_id].priority == priority]
        share, turn = min((shares[sweep], sweeps[sweep].turn) for sweep in first)
        count = sum(part.waiting for part in parts)
        needs = max((part.needs_bytes for part in parts if part.needs_bytes is not None), default=None)
        held_by = there.get(lane, 0)
        found.append(LaneLoad(lane_of(lane), priority, count, held_by, *means(pace.get(lane)), share, turn, needs))
    return found


def _backlog(session: Session, me: WorkerCard) -> list[_Backlog]:
    """What the one index of the claim says, without a look at the rows."""
    pending = col(RunRow.status) == RunStatus.PENDING
    rows = session.exec(
        select(RunRow.lane, RunRow.sweep_id, func.count().filter(pending & fits(me)), func.max(RunRow.needs_bytes))
        .where(col(RunRow.status).in_((RunStatus.PENDING, RunStatus.RUNNING)), meant_for(me))
        .group_by(col(RunRow.lane), col(RunRow.sweep_id))
        .order_by(col(RunRow.lane), col(RunRow.sweep_id))
    )
    return [_Backlog(*row) for row in rows]


@dataclass(frozen=True)
class _Turn:
    """A sweep's priority, and its place among those that wait: the one that a worker went to longest ago is first."""

    priority: int
    turn: int


def _in_turn(session: Session, sweep_ids: Collection[int]) -> dict[int, _Turn]:
    """Those of these sweeps that go on: a paused one doesn't. (Runs of a cancelled one are cancelled themselves.)"""
    rows = session.exec(
        select(SweepRow.id, SweepRow.priority)
        .where(col(SweepRow.id).in_(sweep_ids), col(SweepRow.paused_at).is_(None))
        .order_by(col(SweepRow.served_at).asc().nulls_first(), col(SweepRow.id))
    )
    return {sweep: _Turn(priority, turn) for turn, (sweep, priority) in enumerate(rows) if sweep is not None}


def _holders(session: Session, me: WorkerCard, now: datetime) -> dict[str, int]:
    """How many other workers hold each lane now."""
    rows = session.exec(
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
    return {lane: count for lane, count in rows if lane is not None}


def _shares(backlog: Sequence[_Backlog], there: Mapping[str, int]) -> Counter[int]:
    """How many other workers hold a lane on which a sweep has something pending or running."""
    shares: Counter[int] = Counter()
    for each in backlog:
        shares[each.sweep_id] += there.get(each.lane, 0)
    return shares


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
            if choosing:
                session.exec(update(SweepRow).where(col(SweepRow.id) == run.sweep_id).values(served_at=now))
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
        .where(
            col(RunRow.status) == RunStatus.PENDING,
            col(RunRow.lane) == str(lane),
            col(SweepRow.paused_at).is_(None),
            meant_for(me),
            fits(me),
            not_refused(me),
        )
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
        .join(SweepRow, col(SweepRow.id) == col(RunRow.sweep_id))
        .where(
            or_(col(RunRow.status) == RunStatus.PENDING, expired),
            col(SweepRow.paused_at).is_(None),
            meant_for(me),
            fits(me),
            not_refused(me),
        )
        .group_by(col(RunRow.lane))
    )
    refused = refused_lanes(session, me.name)
    return sum(count for lane, count in rows if lane not in refused and serves(me, lane))


def add_to_pace(store: Store, session: Session, lane: str, measures: Measures) -> None:
    """Count a finished Run, and the load that it began with if there was one, into its lane's means."""
    loads = int(measures.load.wall_s > 0)
    run_s = measures.scoring.wall_s + measures.write.wall_s
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
