"""What an operator sees of the whole fleet: workers, backlog a lane, speed, what goes wrong. A snapshot a call.

Everything is reckoned from counts that Runs keep and from packs of the last minute, never from the Answers: it takes
as long for a million of them as for none (`bench/queue.py` measures it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, true
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from proctor.nouns.models import Lane
from proctor.nouns.runs import RunStatus
from proctor.store.database.session import Store
from proctor.store.runs import workers
from proctor.store.runs.codec import lane_of
from proctor.store.runs.eligibility import Unservable, in_vain
from proctor.store.runs.lanes import MEAN_LOAD_S, MEAN_RUN_S
from proctor.store.runs.leasing import LEASE_RAN_OUT
from proctor.store.runs.parts import counts, rows_of
from proctor.store.runs.tables import AttemptRow, ExamRow, LaneRow, PackRow, RunRow
from proctor.store.runs.workers import WorkerRecord

WINDOW_S = 60.0  # what speed is measured over
GONE_S = 3600.0  # a worker that fell silent is shown for so long, and one that left is not
TROUBLES = 20
OUTCOMES = ("done", "handed back", "failed", "lost", "cancelled")

SPEED: tuple[Any, ...] = (AttemptRow.worker, func.sum(PackRow.questions), func.min(AttemptRow.started_at))
AT: tuple[Any, ...] = (RunRow.id, RunRow.lane, ExamRow.subject, AttemptRow.started_at)
BACKLOG: tuple[Any, ...] = (
    RunRow.lane,
    func.count().filter(col(RunRow.status) == RunStatus.PENDING),
    func.count().filter(col(RunRow.status) == RunStatus.RUNNING),
    func.sum(RunRow.questions - RunRow.answered),
)
TROUBLE: tuple[Any, ...] = (
    RunRow.part_of, RunRow.id, RunRow.sweep_id, RunRow.lane, ExamRow.subject, RunRow.status, RunRow.failures,
    RunRow.reason,
)  # fmt: skip
DONE: tuple[Any, ...] = (func.coalesce(func.sum(RunRow.answered), 0), func.coalesce(func.sum(RunRow.correct), 0))


@dataclass(frozen=True)
class WorkerSight:
    """A worker, what it is at, and how fast it answered within the last minute."""

    record: WorkerRecord
    lane: Lane | None  # of the Run that it is at; it isn't the lane that is held while the model is being loaded
    subject: str  # of that Run; "" where it is at none
    answers_per_s: float
    claimed_at: datetime | None = None  # when it was given that Run


@dataclass(frozen=True)
class LaneSight:
    """What is left to do on one lane, and who holds its model. Of a large Run each part counts: a worker takes one."""

    lane: Lane
    pending: int
    running: int
    questions_left: int
    workers: int  # alive ones that hold it
    mean_run_s: float | None  # None: none has finished yet
    mean_load_s: float | None


@dataclass(frozen=True)
class Trouble:
    """A Run that failed, or that waits to be tried again after a failure."""

    run_id: int
    sweep_id: int
    lane: Lane
    subject: str
    status: RunStatus
    failures: int
    reason: str  # of the last failure
    part: str = ""  # `part 2 of 5`, of a large Run


@dataclass(frozen=True)
class Fleet:
    """The fleet at `read_at`."""

    read_at: datetime
    workers: tuple[WorkerSight, ...]  # alive ones first, then those that fell silent within GONE_S
    lanes: tuple[LaneSight, ...]  # those with something pending or running
    troubles: tuple[Trouble, ...]  # the latest first, at most TROUBLES
    answers_per_s: float  # over the last minute
    unservable: tuple[Unservable, ...] = ()  # lanes that wait for a worker that isn't there

    @property
    def questions_left(self) -> int:
        """Of all Runs that are pending or running."""
        return sum(lane.questions_left for lane in self.lanes)

    @property
    def staffed(self) -> bool:
        """Whether any worker is alive."""
        return any(sight.record.alive for sight in self.workers)

    @property
    def loads(self) -> tuple[LaneSight, ...]:
        """Lanes whose model is still to be loaded, or is being loaded now."""
        in_vain = {each.lane for each in self.unservable}
        return tuple(lane for lane in self.lanes if lane.workers == 0 and lane.lane not in in_vain)

    @property
    def loads_unknown(self) -> int:
        """How many of those loads nobody can tell the length of, since no model has been loaded on any of the lanes."""
        return 0 if self._load_s is not None else len(self.loads)

    @property
    def loads_left_s(self) -> float:
        """Seconds that those loads take, shared by the workers alive; 0 where that isn't known."""
        usual = self._load_s
        if usual is None or not self.staffed:
            return 0.0
        seconds = sum(usual if lane.mean_load_s is None else lane.mean_load_s for lane in self.loads)
        return seconds / min(max(1, len(self.loads)), sum(sight.record.alive for sight in self.workers))

    @property
    def left_s(self) -> float | None:
        """Seconds until nothing is left, at the speed of the last minute, with the loads still to come.

        None where nothing moved in that minute, or no worker is alive.
        """
        if self.questions_left == 0:
            return 0.0
        if not self.answers_per_s or not self.staffed:
            return None
        return self.questions_left / self.answers_per_s + self.loads_left_s

    @property
    def _load_s(self) -> float | None:
        known = [lane.mean_load_s for lane in self.lanes if lane.mean_load_s is not None]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True)
class Totals:
    """Counts over the whole life of the database."""

    runs: Mapping[RunStatus, int]  # every status, with 0 where there is none
    attempts: Mapping[str, int]  # by outcome, of those that have ended, with 0 where there is none
    answers: int
    correct: int
    leases_expired: int


@dataclass(frozen=True)
class _Speed:
    """Answers a second since `since`, by worker."""

    by_worker: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.by_worker.values())


def look(store: Store, sweep_id: int | None = None) -> Fleet:
    """The fleet as it is now; with a `sweep_id`, backlog, troubles and speed are those of that sweep."""
    with store.read() as session:
        now = store.now(session)
        mine = true() if sweep_id is None else col(RunRow.sweep_id) == sweep_id
        speed = _speed(session, now, mine)
        records = workers.records(session, now)
        return Fleet(
            read_at=now,
            workers=tuple(_workers(session, records, speed, now)),
            lanes=tuple(_lanes(session, records, mine)),
            troubles=tuple(_troubles(session, mine)),
            answers_per_s=speed.total,
            unservable=tuple(in_vain(session, now, sweep_id)),
        )


def totals(store: Store) -> Totals:
    """What was done so far, by everybody."""
    with store.read() as session:
        by_status = counts(session)
        by_outcome = session.exec(
            select(AttemptRow.outcome, func.count())
            .where(col(AttemptRow.ended_at).is_not(None))
            .group_by(col(AttemptRow.outcome))
            .order_by(col(AttemptRow.outcome))
        )
        answers, correct = session.connection().execute(columns(*DONE)).one()
        expired = session.exec(
            select(func.count())
            .select_from(AttemptRow)
            .where(col(AttemptRow.outcome) == "lost", col(AttemptRow.reason).endswith(LEASE_RAN_OUT))
        ).one()
        return Totals(
            runs={status: by_status[status] for status in RunStatus},
            attempts={**dict.fromkeys(OUTCOMES, 0), **dict(by_outcome.all())},
            answers=int(answers),
            correct=int(correct),
            leases_expired=expired,
        )


def _speed(session: Session, now: datetime, mine: ColumnElement[bool]) -> _Speed:
    """From the packs of the last minute, or since their first attempt where that is shorter ago."""
    since = now - timedelta(seconds=WINDOW_S)
    rows = session.connection().execute(
        columns(*SPEED)
        .select_from(RunRow)
        .join(PackRow, col(PackRow.run_id) == col(RunRow.id))
        .join(AttemptRow, (col(AttemptRow.run_id) == col(RunRow.id)) & (col(AttemptRow.number) == PackRow.attempt))
        .where(col(RunRow.moved_at) >= since, col(PackRow.recorded_at) >= since, mine)
        .group_by(col(AttemptRow.worker))
    )
    found: list[tuple[str, int, datetime]] = [tuple(row) for row in rows]
    if not found:
        return _Speed()
    began = max(since, min(row[2] for row in found))
    seconds = max(1.0, (now - began).total_seconds())
    return _Speed({worker: int(questions) / seconds for worker, questions, _ in found})


def _workers(session: Session, records: list[WorkerRecord], speed: _Speed, now: datetime) -> list[WorkerSight]:
    recent = now - timedelta(seconds=GONE_S)
    shown = [each for each in records if each.left_at is None and each.seen_at >= recent]
    at = _what_runs(session)
    sights = []
    for each in shown:
        lane, subject, claimed_at = at.get(each.run_id or 0, (None, "", None))
        sights.append(WorkerSight(each, lane, subject, speed.by_worker.get(each.card.name, 0.0), claimed_at))
    return sorted(sights, key=lambda sight: (not sight.record.alive, sight.record.card.name))


def _what_runs(session: Session) -> dict[int, tuple[Lane, str, datetime]]:
    """Lane and subject of each running Run, and when its attempt began."""
    rows = session.connection().execute(
        columns(*AT)
        .join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id))
        .join(AttemptRow, (col(AttemptRow.run_id) == col(RunRow.id)) & (col(AttemptRow.number) == RunRow.attempt))
        .where(col(RunRow.status) == RunStatus.RUNNING)
    )
    return {run: (lane_of(lane), subject, began) for run, lane, subject, began in rows}


def _lanes(session: Session, records: list[WorkerRecord], mine: ColumnElement[bool]) -> list[LaneSight]:
    holders: dict[str, int] = {}
    for each in records:
        if each.alive and each.held is not None:
            holders[str(each.held)] = holders.get(str(each.held), 0) + 1
    rows = session.connection().execute(
        columns(*BACKLOG)
        .where(or_(*(col(RunRow.status) == status for status in (RunStatus.PENDING, RunStatus.RUNNING))), mine)
        .group_by(col(RunRow.lane))
        .order_by(col(RunRow.lane))
    )
    pace = {
        lane: (run_s, load_s)
        for lane, run_s, load_s in session.connection().execute(select(LaneRow.lane, MEAN_RUN_S, MEAN_LOAD_S))
    }
    return [
        LaneSight(lane_of(lane), waiting, busy, int(left), holders.get(lane, 0), *pace.get(lane, (None, None)))
        for lane, waiting, busy, left in rows
    ]


def _troubles(session: Session, mine: ColumnElement[bool]) -> list[Trouble]:
    # A done Run has no reason, a cancelled one interests nobody any more.
    telling = or_(*(col(RunRow.status) == s for s in (RunStatus.FAILED, RunStatus.PENDING, RunStatus.RUNNING)))
    rows = session.connection().execute(
        columns(*TROUBLE)
        .join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id))
        .where(telling, col(RunRow.failures) > 0, mine)
        .order_by(func.coalesce(RunRow.ended_at, RunRow.moved_at).desc(), col(RunRow.id).desc())
        .limit(TROUBLES)
    )
    found = [tuple(row) for row in rows]
    named = _part_names(session, [whole for whole, *_ in found if whole is not None])
    return [
        Trouble(run, sweep, lane_of(lane), subject, RunStatus(status), failures, reason, named.get(run, ""))
        for _, run, sweep, lane, subject, status, failures, reason in found
    ]


def _part_names(session: Session, wholes: Sequence[int]) -> dict[int, str]:
    """Which part of these Runs each row is, in words."""
    parts: dict[int, list[int]] = {}
    for row, whole in rows_of(session, wholes).items():
        parts.setdefault(whole, []).append(row)
    return {
        row: f"part {number} of {len(rows)}"
        for rows in parts.values()
        for number, row in enumerate(sorted(rows), start=1)
    }
