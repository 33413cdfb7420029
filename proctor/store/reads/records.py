"""What progress, status and the analysis read. Columns and joins, no rows of `tables`; a snapshot a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, cast, func, or_
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from proctor.errors import UnknownName
from proctor.nouns.exams import Scoring
from proctor.nouns.models import Lane
from proctor.nouns.runs import Attempt, Fared, Measures, Noise, Provenance, RunSpec, RunStatus, ShotsShown
from proctor.store.database.session import Store
from proctor.store.reads.wholes import in_common, total
from proctor.store.runs.codec import joined, lane_of, measures_of, noise_of, provenance_of, spec_of, sum_of
from proctor.store.runs.parts import FOREMOST, STATE, WHOLE
from proctor.store.runs.tables import (
    AttemptRow,
    BriefRow,
    ExamRow,
    RunRow,
    SweepRow,
)

# Told from the form's canonical JSON (`proctor.exams.tasks.form.Form.json`), which is too long to read for each Run.
PER_CHARACTER = or_(col(ExamRow.form) == "", col(ExamRow.form).contains('"name":"acc_norm"', autoescape=True))
PROGRAMS = col(ExamRow.form).contains('"metric":"pass_at_', autoescape=True)  # of the headline
PROGRESS: tuple[Any, ...] = (
    WHOLE, RunRow.id, RunRow.lane, ExamRow.benchmark, ExamRow.subject, RunRow.status, RunRow.attempt, RunRow.worker,
    RunRow.questions, RunRow.answered, RunRow.correct, RunRow.tied, RunRow.failures, RunRow.reason,
    RunRow.started_at, RunRow.moved_at, RunRow.ended_at, RunRow.correct_norm,
    RunRow.partial, col(RunRow.conditions)["scoring"].as_string(), RunRow.noise, *(
        col(RunRow.provenance)["shots", name].as_integer() for name in ("fewest", "most", "short")
    ), PER_CHARACTER, PROGRAMS, RunRow.pack_made, RunRow.pack_size,
)  # fmt: skip
SUMMARY: tuple[Any, ...] = (
    SweepRow.id, SweepRow.name, SweepRow.priority, SweepRow.created_at, SweepRow.cancelled_at, SweepRow.paused_at,
    func.count(),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far one Run is. Answered is correct, wrong or tied (no single best option, or nothing extracted)."""

    run_id: int
    lane: Lane
    benchmark: str
    subject: str
    status: RunStatus
    attempt: int
    worker: str | None
    questions: int
    answered: int
    correct: int
    tied: int
    failures: int
    reason: str
    started_at: datetime | None  # first claim
    moved_at: datetime | None  # last claim, begin or pack
    ended_at: datetime | None
    correct_norm: int = 0  # by log-probability per character
    partial: float = 0.0  # points of those Answers that have some of them
    scoring: Scoring = Scoring.LETTERS
    noise: Noise | None = None
    shots: ShotsShown | None = None  # None: it has not begun, or an earlier release did not record it
    judged: tuple[Lane, ...] = ()  # of a judge's Run, whose replies it judges: one, or a pair
    unjudged: bool = False  # a judge alone can tell its answers apart, and none has yet
    fared: Fared | None = None  # how written answers fared; `proctor.written_answers.with_counts` knows
    per_character: bool = True  # whether the exam has a figure by log-probability per character
    programs: bool = False  # whether its answers are programs, which `proctor mark --run-code` alone runs
    parts: tuple[RunProgress, ...] = ()  # of a large Run, in order: what several workers sit at once
    being_written: tuple[int, int] = (0, 0)  # of the pack under way: replies at their end, and how many there are to be

    @property
    def not_run(self) -> int:
        """Programs that wait to be run: all of a Run's are at once, and until then none is an answer."""
        return self.answered if self.programs and self.tied == self.answered else 0

    @property
    def points(self) -> float:
        """Of all Answers so far: as many as are correct, and some more where there are parts of a point."""
        return self.correct + self.partial

    @property
    def told(self) -> int:
        """The Answers that points are of: of a judge's verdicts not those that are missing, else all."""
        return self.answered - self.tied if self.scoring is Scoring.JUDGED else self.answered


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is, Run by Run in the order of the request."""

    sweep_id: int
    name: str
    priority: int
    created_at: datetime
    cancelled_at: datetime | None
    read_at: datetime
    runs: tuple[RunProgress, ...]
    paused_at: datetime | None = None

    @property
    def parts(self) -> tuple[RunProgress, ...]:
        """What a worker takes at a time: the parts of large Runs, each other Run whole."""
        return tuple(part for run in self.runs for part in run.parts or (run,))

    def count(self, status: RunStatus) -> int:
        """How many Runs are in this state."""
        return sum(run.status is status for run in self.runs)

    @property
    def over(self) -> bool:
        """Whether nothing is pending or running any more."""
        return all(run.status not in (RunStatus.PENDING, RunStatus.RUNNING) for run in self.runs)


@dataclass(frozen=True)
class SweepSummary:
    """A line of the list of sweeps. `runs` counts all Runs, the others those in a state."""

    id: int
    name: str
    priority: int
    created_at: datetime
    cancelled_at: datetime | None
    paused_at: datetime | None
    runs: int
    pending: int
    running: int
    done: int
    failed: int
    cancelled: int
    questions: int
    answered: int


@dataclass(frozen=True)
class RunRecord:
    """Everything about a Run but its Answers."""

    run_id: int
    sweep_id: int
    sweep_name: str
    spec: RunSpec
    status: RunStatus
    attempt: int
    worker: str | None
    answered: int
    correct: int
    tied: int
    failures: int
    reason: str
    traceback: str
    started_at: datetime | None
    ended_at: datetime | None
    provenance: Provenance | None
    measures: Measures | None
    attempts: tuple[Attempt, ...]
    correct_norm: int = 0  # by log-probability per character
    noise: Noise | None = None
    partial: float = 0.0  # points of those Answers that have some of them
    judged: tuple[RunRecord, ...] = ()  # of a judge's Run, those whose replies it judges, without their attempts
    parts: tuple[RunRecord, ...] = ()  # of a large Run, in order; `attempts` are those of all of them

    @property
    def points(self) -> float:
        """Of all Answers so far."""
        return self.correct + self.partial


def progress(store: Store, sweep_id: int) -> SweepProgress:
    """How far the sweep is: one query over its Runs, whose counts are kept up to date as packs are recorded.

    Raises
    ------
    UnknownName
        where there is no such sweep.
    """
    with store.read() as session:
        sweep = session.get(SweepRow, sweep_id)
        if sweep is None:
            raise UnknownName("sweep", str(sweep_id), [])
        lane = cache(lane_of)
        rows = session.connection().execute(
            columns(*PROGRESS)
            .join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id))
            .where(col(RunRow.sweep_id) == sweep_id)
            .order_by(col(RunRow.id))
        )
        parts: dict[int, list[RunProgress]] = {}
        for whole, *row in rows:
            parts.setdefault(whole, []).append(_progress_of(tuple(row), lane))
        runs = _with_judges(session, tuple(_whole_progress(theirs) for theirs in parts.values()))
        return SweepProgress(
            sweep_id,
            sweep.name,
            sweep.priority,
            sweep.created_at,
            sweep.cancelled_at,
            store.now(session),
            runs,
            sweep.paused_at,
        )


def _progress_of(row: tuple[Any, ...], lane: Callable[[str], Lane]) -> RunProgress:
    """A row of `PROGRESS`."""
    run_id, text, benchmark, subject, status, *rest = row
    *counts, scoring, noise, fewest, most, short, per_character, programs, pack_made, pack_size = rest
    made = RunProgress(run_id, lane(text), benchmark, subject, RunStatus(status), *counts)
    return replace(
        made,
        scoring=Scoring(scoring or Scoring.LETTERS),
        noise=noise_of(noise),
        shots=None if fewest is None else ShotsShown(fewest, most, short),
        per_character=bool(per_character),
        programs=bool(programs),
        being_written=(pack_made, pack_size) if made.status is RunStatus.RUNNING else (0, 0),
    )


def overview(store: Store) -> list[SweepSummary]:
    """All sweeps with their counts, the one submitted last first."""
    with store.read() as session:
        sums = [func.sum(RunRow.questions).label("questions"), func.sum(RunRow.answered).label("answered")]
        of_sweep = col(RunRow.sweep_id)
        wholes = columns(of_sweep, STATE.label("state"), *sums).group_by(of_sweep, WHOLE).subquery()
        counts = [func.count().filter(wholes.c.state == FOREMOST.index(status)) for status in RunStatus]
        rows = session.connection().execute(
            columns(*SUMMARY, *counts, *(cast(func.sum(wholes.c[each.name]), BigInteger) for each in sums))
            .join(wholes, wholes.c.sweep_id == col(SweepRow.id))
            .group_by(col(SweepRow.id))
            .order_by(col(SweepRow.submitted_at).desc(), col(SweepRow.id).desc())
        )
        return [SweepSummary(*tuple(row)) for row in rows]


def runs(store: Store, sweep_ids: Sequence[int], run_ids: Sequence[int] | None = None) -> list[RunRecord]:
    """Everything about the Runs of these sweeps but their Answers, in the order in which they were planned.

    With `run_ids`, only those among them. Of a large Run the record is that of all its parts together.
    """
    with store.read() as session:
        chosen = [col(RunRow.sweep_id).in_(sweep_ids)]
        if run_ids is not None:
            chosen.append(WHOLE.in_(run_ids))
        attempts: dict[int, list[Attempt]] = {}
        for row in session.exec(
            select(AttemptRow)
            .join(RunRow, col(RunRow.id) == col(AttemptRow.run_id))
            .where(*chosen)
            .order_by(col(AttemptRow.number))
        ):
            attempt = Attempt(
                row.number, row.worker, row.started_at, row.ended_at, row.outcome, row.reason, row.traceback
            )
            attempts.setdefault(row.run_id, []).append(attempt)
        found = session.exec(
            select(RunRow, ExamRow, SweepRow)
            .join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id))
            .join(SweepRow, col(SweepRow.id) == col(RunRow.sweep_id))
            .where(*chosen)
            .order_by(col(RunRow.id))
        )
        parts: dict[int, list[RunRecord]] = {}
        for run, exam, sweep in found:
            record = _record(run, exam, sweep, attempts.get(run.id or 0, ()))
            parts.setdefault(run.part_of or record.run_id, []).append(record)
        records = [_whole_record(theirs) for theirs in parts.values()]
        judges = [record.run_id for record in records if record.spec.conditions.brief]
        judged = _records_judged(session, judges) if judges else {}
        return [replace(one, judged=judged[one.run_id]) if one.run_id in judged else one for one in records]


def _records_judged(session: Session, run_ids: Sequence[int]) -> dict[int, tuple[RunRecord, ...]]:
    """By a judge's Run, those whose replies it judges."""
    briefs = session.exec(select(BriefRow).where(col(BriefRow.run_id).in_(run_ids))).all()
    wanted = {one for brief in briefs for one in (brief.candidate_id, brief.against_id) if one is not None}
    found = session.exec(
        select(RunRow, ExamRow, SweepRow)
        .join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id))
        .join(SweepRow, col(SweepRow.id) == col(RunRow.sweep_id))
        .where(WHOLE.in_(wanted))
        .order_by(col(RunRow.id))
    )
    parts: dict[int, list[RunRecord]] = {}
    for run, exam, sweep in found:
        parts.setdefault(run.part_of or run.id or 0, []).append(_record(run, exam, sweep, ()))
    records = {whole: _whole_record(theirs) for whole, theirs in parts.items()}
    return {
        brief.run_id: tuple(records[one] for one in (brief.candidate_id, brief.against_id) if one in records)
        for brief in briefs
    }


def run(store: Store, run_id: int) -> RunRecord:
    """Everything about one Run but its Answers; of a large Run also by the number of any part.

    Raises
    ------
    UnknownName
        where there is no such Run.
    """
    with store.read() as session:
        at = session.exec(select(RunRow.sweep_id, WHOLE).where(col(RunRow.id) == run_id)).one_or_none()
    if at is None:
        raise UnknownName("Run", str(run_id), [], "`proctor status SWEEP --json` lists those of a sweep.")
    sweep_id, whole = at
    (found,) = runs(store, [sweep_id], [whole])
    return found


def _whole_progress(parts: Sequence[RunProgress]) -> RunProgress:
    """A Run in these parts; of one part, that."""
    first, *others = parts
    if not others:
        return first
    moved = [part.moved_at for part in parts if part.moved_at is not None]
    return replace(
        first,
        parts=tuple(parts),
        questions=sum(part.questions for part in parts),
        moved_at=max(moved, default=None),
        shots=total(part.shots for part in parts),
        being_written=(sum(part.being_written[0] for part in parts), sum(part.being_written[1] for part in parts)),
        **in_common(parts),
    )


def _whole_record(parts: Sequence[RunRecord]) -> RunRecord:
    """A Run in these parts; of one part, that."""
    first, *others = parts
    if not others:
        return first
    made = [part.provenance for part in parts if part.provenance is not None]
    measured = [part.measures for part in parts if part.measures is not None]
    return replace(
        first,
        parts=tuple(parts),
        spec=replace(first.spec, questions=sum(part.spec.questions for part in parts)),
        traceback=next((part.traceback for part in parts if part.traceback), ""),
        provenance=joined(made) if made else None,
        measures=sum_of(measured) if measured else None,
        attempts=tuple(attempt for part in parts for attempt in part.attempts),
        **in_common(parts),
    )


def _record(run: RunRow, exam: ExamRow, sweep: SweepRow, attempts: Sequence[Attempt]) -> RunRecord:
    assert run.id is not None
    return RunRecord(
        run_id=run.id,
        sweep_id=run.sweep_id,
        sweep_name=sweep.name,
        spec=spec_of(run, exam),
        status=RunStatus(run.status),
        attempt=run.attempt,
        worker=run.worker,
        answered=run.answered,
        correct=run.correct,
        tied=run.tied,
        failures=run.failures,
        reason=run.reason,
        traceback=run.traceback,
        started_at=run.started_at,
        ended_at=run.ended_at,
        provenance=None if run.provenance is None else provenance_of(run.provenance),
        measures=None if run.measures is None else measures_of(run.measures),
        attempts=tuple(attempts),
        correct_norm=run.correct_norm,
        noise=noise_of(run.noise),
        partial=run.partial,
    )


def _with_judges(session: Session, runs: tuple[RunProgress, ...]) -> tuple[RunProgress, ...]:
    """The same with whose replies judges judge, and which answers no judge has told apart yet."""
    judges = [run.run_id for run in runs if run.scoring is Scoring.JUDGED]
    judged = _lanes_judged(session, judges) if judges else {}
    open_ = [run.run_id for run in runs if run.scoring is Scoring.OPEN]
    done = set()
    if open_:
        about = (
            select(BriefRow.candidate_id, BriefRow.against_id)
            .join(RunRow, col(RunRow.id) == col(BriefRow.run_id))
            .group_by(WHOLE, col(BriefRow.candidate_id), col(BriefRow.against_id))
            .having(FOREMOST.index(RunStatus.DONE) == STATE)
        )
        done = {run_id for pair in session.exec(about) for run_id in pair}
    return tuple(
        replace(run, judged=judged.get(run.run_id, ()), unjudged=run.scoring is Scoring.OPEN and run.run_id not in done)
        for run in runs
    )


def _lanes_judged(session: Session, run_ids: Sequence[int]) -> dict[int, tuple[Lane, ...]]:
    one, other = aliased(RunRow), aliased(RunRow)
    rows = session.exec(
        select(BriefRow.run_id, one.lane, other.lane)
        .join(one, col(one.id) == col(BriefRow.candidate_id))
        .outerjoin(other, col(other.id) == col(BriefRow.against_id))
        .where(col(BriefRow.run_id).in_(run_ids))
    )
    return {run_id: tuple(lane_of(lane) for lane in lanes if lane) for run_id, *lanes in rows}
