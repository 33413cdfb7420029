"""What waits on each lane for a worker: the facts that the choice of the next lane is made from, and the pick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import bindparam, exists, func, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from proctor.nouns.models import Lane
from proctor.nouns.runs import Measures, RunStatus
from proctor.nouns.workers import LaneLoad, WorkerCard
from proctor.store.database.column_types import UtcDateTime
from proctor.store.database.session import Store
from proctor.store.runs.codec import lane_of
from proctor.store.runs.eligibility import (
    FITS_ME,
    MEANT_FOR_ME,
    MY_NAME,
    MY_SWEEP,
    NOT_REFUSED,
    REPLIES_ARE_THERE,
    WHOLE_LANE,
    asking,
    refused_lanes,
    serves,
)
from proctor.store.runs.tables import BriefRow, ExamRow, LaneRow, RefusalRow, RunRow, SweepRow, WorkerRow
from proctor.store.runs.workers import oldest_alive

Choose = Callable[[Lane | None, Sequence[LaneLoad]], Lane | None]

# Mean seconds of a lane's Runs and of its loads; NULL for what was never measured.
MEAN_RUN_S = col(LaneRow.run_s) / func.nullif(col(LaneRow.runs), 0)
MEAN_LOAD_S = col(LaneRow.load_s) / func.nullif(col(LaneRow.loads), 0)


@dataclass(frozen=True)
class _Part:
    """What of one sweep stands on one lane, for one worker: a row of `_STANDING`."""

    lane: str
    sweep_id: int
    waiting: int  # 0 where it only has running Runs there
    needs_bytes: int | None  # the most that one of them is predicted to need
    priority: int  # the sweep's
    workers: int  # others that hold the lane now
    mean_run_s: float | None
    mean_load_s: float | None
    refused: bool  # this worker found that it can't do the lane


def _standing() -> sqlalchemy.Select[Any]:
    """What the choice of a lane depends on, in one statement: pending and running Runs by lane and sweep.

    Sweeps that a worker went to longest ago come first. A paused one isn't there; Runs of a cancelled one are
    cancelled themselves.
    """
    pending = col(RunRow.status) == RunStatus.PENDING
    backlog = (  # all of it is in one index
        sqlalchemy.select(
            col(RunRow.lane),
            col(RunRow.sweep_id),
            func.count().filter(pending & FITS_ME).label("waiting"),
            func.max(RunRow.needs_bytes).label("needs_bytes"),
        )
        .where(col(RunRow.status).in_((RunStatus.PENDING, RunStatus.RUNNING)), MEANT_FOR_ME)
        .group_by(col(RunRow.lane), col(RunRow.sweep_id))
        .subquery()
    )
    awaiting = (  # begins with the briefs, of which there are none without a judge: no index of `run` fits but its ids
        sqlalchemy.select(col(RunRow.lane), col(RunRow.sweep_id), func.count().label("runs"))
        .join(BriefRow, col(BriefRow.run_id) == col(RunRow.id))
        .where(col(RunRow.status).concat("") == RunStatus.PENDING, FITS_ME, MEANT_FOR_ME, ~REPLIES_ARE_THERE)
        .group_by(col(RunRow.lane), col(RunRow.sweep_id))
        .subquery()
    )
    holders = (
        select(WorkerRow.held, func.count().label("workers"))
        .where(
            col(WorkerRow.held).is_not(None),
            col(WorkerRow.name) != MY_NAME,
            col(WorkerRow.left_at).is_(None),
            col(WorkerRow.seen_at) >= bindparam("alive_since", type_=UtcDateTime),
            # Who was started for another sweep is no help with these.
            or_(col(WorkerRow.sweep_id).is_(None), col(WorkerRow.sweep_id) == MY_SWEEP),
        )
        .group_by(col(WorkerRow.held))
        .subquery()
    )
    refused = exists().where(
        col(RefusalRow.worker) == MY_NAME,
        col(RefusalRow.lane) == backlog.c.lane,
        col(RefusalRow.run_id) == WHOLE_LANE,
    )
    return (
        sqlalchemy.select(
            backlog.c.lane, backlog.c.sweep_id, backlog.c.waiting - func.coalesce(awaiting.c.runs, 0),
            backlog.c.needs_bytes, col(SweepRow.priority), func.coalesce(holders.c.workers, 0), MEAN_RUN_S, MEAN_LOAD_S,
            refused,
        )
        .join(SweepRow, col(SweepRow.id) == backlog.c.sweep_id)
        .outerjoin(awaiting, (awaiting.c.lane == backlog.c.lane) & (awaiting.c.sweep_id == backlog.c.sweep_id))
        .outerjoin(holders, holders.c.held == backlog.c.lane)
        .outerjoin(LaneRow, col(LaneRow.lane) == backlog.c.lane)
        .where(col(SweepRow.paused_at).is_(None))
        .order_by(col(SweepRow.served_at).asc().nulls_first(), col(SweepRow.id), backlog.c.lane)
    )  # fmt: skip


def _next_in_lane() -> Select[RunRow, ExamRow]:
    """The Run of a lane whose turn it is, and its Exam."""
    busy = (
        select(RunRow.sweep_id, func.count().label("running"))
        .where(col(RunRow.status) == RunStatus.RUNNING)
        .group_by(col(RunRow.sweep_id))
        .subquery()
    )
    return (
        select(RunRow, ExamRow)
        .join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id))
        .join(SweepRow, col(SweepRow.id) == col(RunRow.sweep_id))
        .outerjoin(busy, busy.c.sweep_id == col(RunRow.sweep_id))
        .where(
            col(RunRow.status) == RunStatus.PENDING,
            col(RunRow.lane) == bindparam("lane"),
            col(SweepRow.paused_at).is_(None),
            MEANT_FOR_ME,
            FITS_ME,
            NOT_REFUSED,
            REPLIES_ARE_THERE,
        )
        .order_by(col(SweepRow.priority).desc(), func.coalesce(busy.c.running, 0), col(RunRow.failures), col(RunRow.id))
        .limit(1)
        .with_for_update(of=RunRow, skip_locked=True)
        .execution_options(populate_existing=True)
    )


def _claimable() -> Select[str, int]:
    """Pending Runs, and running ones whose lease is over, by lane."""
    expired = (col(RunRow.status) == RunStatus.RUNNING) & (
        col(RunRow.lease_until) < bindparam("now", type_=UtcDateTime)
    )
    return (
        select(RunRow.lane, func.count())
        .join(SweepRow, col(SweepRow.id) == col(RunRow.sweep_id))
        .where(
            or_(col(RunRow.status) == RunStatus.PENDING, expired),
            col(SweepRow.paused_at).is_(None),
            MEANT_FOR_ME,
            FITS_ME,
            NOT_REFUSED,
            REPLIES_ARE_THERE,
        )
        .group_by(col(RunRow.lane))
    )


# Made once: making them takes as long as PostgreSQL takes to answer, and SQLAlchemy keeps what it finds out about them.
_STANDING = _standing()
_NEXT_IN_LANE = _next_in_lane()
_CLAIMABLE = _claimable()


def loads(session: Session, me: WorkerCard, now: datetime) -> list[LaneLoad]:
    """The lanes that hold a pending Run that this worker may take, in the order of their names."""
    rows = session.connection().execute(_STANDING, {**asking(me), "alive_since": oldest_alive(now)})
    turns: dict[int, int] = {}  # sweep -> its place among those that wait
    shares: Counter[int] = Counter()  # sweep -> other workers on lanes where it has something pending or running
    waiting: dict[str, list[_Part]] = {}
    for part in (_Part(*row) for row in rows):
        turns.setdefault(part.sweep_id, len(turns))
        shares[part.sweep_id] += part.workers
        if part.waiting and not part.refused and serves(me, part.lane):
            waiting.setdefault(part.lane, []).append(part)
    return [_load(parts, shares, turns) for _, parts in sorted(waiting.items())]


def _load(parts: Sequence[_Part], shares: Mapping[int, int], turns: Mapping[int, int]) -> LaneLoad:
    """All that waits on one lane. Its share and turn are those of the sweep that it would be worked at for first."""
    any_of_them = parts[0]
    priority = max(part.priority for part in parts)
    share, turn = min((shares[part.sweep_id], turns[part.sweep_id]) for part in parts if part.priority == priority)
    return LaneLoad(
        lane=lane_of(any_of_them.lane),
        priority=priority,
        waiting=sum(part.waiting for part in parts),
        workers=any_of_them.workers,
        mean_run_s=any_of_them.mean_run_s,
        mean_load_s=any_of_them.mean_load_s,
        share=share,
        turn=turn,
        needs_bytes=max((part.needs_bytes for part in parts if part.needs_bytes is not None), default=None),
    )


@dataclass(frozen=True)
class Picked:
    """The Run that a worker is to have, its row locked, its Exam, and when it was picked."""

    run: RunRow
    exam: ExamRow
    at: datetime


def pick(
    store: Store, session: Session, me: WorkerCard, held: Lane | None, choose: Choose, now: datetime
) -> Picked | None:
    """The next Run for this worker; None where `choose` finds nothing that suits."""
    passed: set[Lane] = set()
    choosing = False
    while True:
        lane = choose(held, [load for load in loads(session, me, now) if load.lane not in passed])
        if lane is None or lane in passed:
            return None
        if lane != held and not choosing:
            # One worker at a time goes to a new lane, and the next one sees where it went.
            store.lock(session, "proctor choice of a lane")
            choosing, now = True, store.now(session)
            continue
        found = session.exec(_NEXT_IN_LANE, params={**asking(me), "lane": str(lane)}).one_or_none()
        if found is not None:
            run, exam = found
            if choosing:
                session.exec(update(SweepRow).where(col(SweepRow.id) == run.sweep_id).values(served_at=now))
            return Picked(run, exam, now)
        passed.add(lane)  # other claims, not yet committed, have taken the last of it


def waiting(session: Session, me: WorkerCard, now: datetime) -> int:
    """How many Runs this worker could claim now: pending ones, and running ones whose lease is over."""
    rows = session.connection().execute(_CLAIMABLE, {**asking(me), "now": now})
    refused = refused_lanes(session, me.name)
    return sum(count for lane, count in rows if lane not in refused and serves(me, lane))


def add_to_pace(store: Store, session: Session, lane: str, measures: Measures) -> None:
    """Count a finished Run, and the load that it began with if there was one, into its lane's means."""
    row = {
        "lane": lane,
        "runs": 1,
        "run_s": measures.scoring.wall_s + measures.write.wall_s,
        "loads": int(measures.load.wall_s > 0),
        "load_s": measures.load.wall_s,
    }
    session.connection().execute(_PACE[store.is_postgresql], row)


def _pace(new: postgresql.Insert | sqlite.Insert) -> postgresql.Insert | sqlite.Insert:
    sums = {name: getattr(LaneRow, name) + new.excluded[name] for name in ("runs", "run_s", "loads", "load_s")}
    return new.on_conflict_do_update(index_elements=["lane"], set_=sums)


_PACE = {True: _pace(postgresql.insert(LaneRow)), False: _pace(sqlite.insert(LaneRow))}
