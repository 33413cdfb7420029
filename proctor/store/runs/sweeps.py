"""Sweeps: submitted in one transaction, known by what they contain, cancelled and retried as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType

from sqlalchemy import ColumnElement, func, insert, update
from sqlmodel import Session, col, select

from proctor.errors import BadInput, UnknownName
from proctor.nouns.exams import Scoring
from proctor.nouns.models import Lane
from proctor.nouns.runs import RunSpec, RunStatus, SweepRequest
from proctor.store.database.column_types import JsonObject
from proctor.store.database.session import Store
from proctor.store.runs import briefs
from proctor.store.runs.codec import conditions_object, request_object, request_of, spec_columns
from proctor.store.runs.exams import TEST
from proctor.store.runs.parts import WHOLE, counts
from proctor.store.runs.tables import AttemptRow, ExamRow, QuestionRow, RunRow, SweepRow

Split = Callable[[int, Scoring], Sequence[range]]  # a number of questions, and what is scored -> the parts


def unsplit(questions: int, _: Scoring) -> tuple[range, ...]:
    """Every Run whole."""
    return (range(questions),)


@dataclass(frozen=True)
class Sweep:
    """A sweep as it was submitted."""

    id: int
    name: str
    request: SweepRequest
    priority: int
    created_at: datetime
    submitted_at: datetime  # the last time
    cancelled_at: datetime | None
    paused_at: datetime | None = None


@dataclass(frozen=True)
class Submission:
    """What became of a submitted sweep. `total` counts its Runs: done, to do (pending or running), or failed."""

    sweep_id: int
    name: str
    continued: bool  # the same sweep was there already
    total: int
    done: int
    to_do: int
    retried: int  # Runs that had failed and are pending again
    resumed: bool = False  # it was paused


def submit(
    store: Store,
    request: SweepRequest,
    specs: Sequence[RunSpec],
    needs_bytes: Mapping[Lane, int] = MappingProxyType({}),
    *,
    fresh: bool = False,
    stored: Mapping[str, int] = MappingProxyType({}),
    split: Split = unsplit,
) -> Submission:
    """Make a sweep of these Runs, or go on with the latest one that has the same set of Runs and isn't cancelled.

    A judge's Run is about Runs of the same sweep, or of those in `stored`, by their identity (`identity_of`).

    `needs_bytes` is the memory that a lane's Runs are predicted to need: workers that have less don't claim them.
    `split` says in which parts the questions of a Run are sat. They are no part of what the sweep is: one that an
    earlier release left goes on with its Runs whole.

    Going on makes its failed Runs pending again, with no failures counted, takes over the request's priority and
    leaves alone what is done, unless the request asks for the noise and that of a done Run isn't known. `fresh` makes
    a new sweep all the same. It is one transaction: of two who submit the same at once, one makes the sweep and the
    other continues it.

    Raises
    ------
    BadInput
        without any Run, or where a Run asks for more questions than its Exam has.
    UnknownName
        where the Exam of a Run isn't stored (`save_exam` comes first).
    """
    wanted = tuple(dict.fromkeys(specs))
    if not wanted:
        raise BadInput("The sweep has no Runs.", "Name at least one model and one subject.")
    fingerprint = fingerprint_of(wanted)
    with store.write() as session:
        store.lock(session, _lock_name(fingerprint))
        now = store.now(session)
        found = None if fresh else _latest_like(session, fingerprint)
        sweep = found or _create(session, request, fingerprint, now)
        resumed = sweep.paused_at is not None
        sweep.submitted_at, sweep.priority, sweep.paused_at = now, request.priority, None
        retried = 0
        if found is None:
            _add_runs(session, sweep, wanted, needs_bytes, split)
            _add_briefs(session, sweep, wanted, stored)
        else:
            retried = _pend(session, sweep, (RunStatus.FAILED,))
        if request.check_noise:
            _ask_for_noise(session, sweep)
        now_are = counts(session, col(RunRow.sweep_id) == _id(sweep))
        submission = Submission(
            sweep_id=_id(sweep),
            name=sweep.name,
            continued=found is not None,
            total=sum(now_are.values()),
            done=now_are[RunStatus.DONE],
            to_do=now_are[RunStatus.PENDING] + now_are[RunStatus.RUNNING],
            retried=retried,
            resumed=resumed,
        )
    if not submission.continued:
        store.take_stock(RunRow)
    return submission


def goes_on(store: Store, specs: Sequence[RunSpec]) -> bool:
    """Whether `submit` of these Runs would go on with a sweep that is there."""
    with store.read() as session:
        return _latest_like(session, fingerprint_of(tuple(dict.fromkeys(specs)))) is not None


def fingerprint_of(specs: Sequence[RunSpec]) -> str:
    """The hash of a set of specs, 64 hex digits: their order doesn't matter."""
    texts = sorted(json.dumps(_identity(spec), sort_keys=True) for spec in specs)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def identity_of(spec: RunSpec) -> str:
    """The hash of one spec, 64 hex digits: by it a judge's Run says whose replies it judges."""
    return fingerprint_of([spec])


def _identity(spec: RunSpec) -> JsonObject:
    """What makes a Run that Run.

    Letters go unsaid, and so does the day of the submission: sweeps of before there was a choice are known by it, and
    the same command goes on with its sweep tomorrow.
    """
    said = {**asdict(spec), "conditions": conditions_object(spec.conditions)}
    if spec.conditions.scoring is Scoring.LETTERS:
        del said["conditions"]["scoring"]
    return said


def cancel(store: Store, sweep_id: int) -> int:
    """Stop a sweep: its pending and running Runs are cancelled; returns how many that were.

    Once this has returned no Answer is written: a running worker's next write, or renewal, raises `LeaseLost`.
    What was answered before stays, and so do done and failed Runs. `retry` resumes the sweep. One that is over stays
    what it is.
    """
    with store.write() as session:
        sweep = locked(store, session, sweep_id)
        now = store.now(session)
        # Runs before the sweep, as `runs.record` does: the other way round two transactions could wait in a circle.
        stopped = _change(
            session,
            [col(RunRow.sweep_id) == sweep_id, col(RunRow.status).in_((RunStatus.PENDING, RunStatus.RUNNING))],
            {"status": RunStatus.CANCELLED, "lease_until": None, "ended_at": now},
        )
        of_sweep = select(RunRow.id).where(col(RunRow.sweep_id) == sweep_id)
        session.exec(
            update(AttemptRow)
            .where(col(AttemptRow.outcome) == "running", col(AttemptRow.run_id).in_(of_sweep))
            .values(outcome="cancelled", ended_at=now)
        )
        if stopped:
            sweep.cancelled_at, sweep.paused_at = now, None
        return stopped


def retry(store: Store, sweep_id: int) -> int:
    """Make a sweep's failed and cancelled Runs pending again, no failures counted; returns how many that were.

    A cancelled sweep goes on by this. What its Runs have answered is kept and not asked again.
    """
    with store.write() as session:
        sweep = locked(store, session, sweep_id)
        pended = _pend(session, sweep, (RunStatus.FAILED, RunStatus.CANCELLED))
        sweep.cancelled_at = None
        return pended


def find(store: Store, name_or_id: str | None) -> Sweep:
    """The latest sweep of that name, else the one of that number; None is the one submitted last.

    Raises
    ------
    UnknownName
        with the nearest names; also (as `BadInput`) where there is no sweep at all.
    """
    with store.read() as session:
        latest = select(SweepRow).order_by(col(SweepRow.submitted_at).desc(), col(SweepRow.id).desc()).limit(1)
        if name_or_id is None:
            row = session.exec(latest).one_or_none()
            if row is None:
                raise BadInput(f"{store.name} has no sweep yet.", "Submit one: submit-sweep --help.")
            return _sweep(row)
        row = session.exec(latest.where(col(SweepRow.name) == name_or_id)).one_or_none()
        if row is None and name_or_id.isascii() and name_or_id.isdigit() and len(name_or_id) < 10:
            row = session.get(SweepRow, int(name_or_id))
        if row is None:
            known = session.exec(select(SweepRow.name).distinct()).all()
            raise UnknownName(
                "sweep", name_or_id, get_close_matches(name_or_id, known), "`proctor status` lists the sweeps."
            )
        return _sweep(row)


def names(store: Store) -> list[str]:
    """The names of all sweeps, each once, the one submitted last first."""
    with store.read() as session:
        rows = session.exec(select(SweepRow.name).order_by(col(SweepRow.submitted_at).desc(), col(SweepRow.id).desc()))
        return list(dict.fromkeys(rows))


def _lock_name(fingerprint: str) -> str:
    return f"proctor sweep {fingerprint}"


def locked(store: Store, session: Session, sweep_id: int) -> SweepRow:
    """The sweep's row, read under the lock that submitting and steering share, within a transaction of the caller's.

    Raises
    ------
    UnknownName
        where there is no such sweep.
    """
    sweep = session.get(SweepRow, sweep_id)
    if sweep is None:
        raise UnknownName("sweep", str(sweep_id), [], "`proctor status` lists the sweeps.")
    store.lock(session, _lock_name(sweep.fingerprint))
    session.refresh(sweep)
    return sweep


def _latest_like(session: Session, fingerprint: str) -> SweepRow | None:
    return session.exec(
        select(SweepRow)
        .where(col(SweepRow.fingerprint) == fingerprint, col(SweepRow.cancelled_at).is_(None))
        .order_by(col(SweepRow.id).desc())
        .limit(1)
    ).one_or_none()


def _create(session: Session, request: SweepRequest, fingerprint: str, now: datetime) -> SweepRow:
    sweep = SweepRow(
        name=request.name,
        fingerprint=fingerprint,
        request=request_object(request),
        priority=request.priority,
        created_at=now,
        submitted_at=now,
    )
    session.add(sweep)
    session.flush()
    sweep.name = request.name or f"sweep-{sweep.id}"
    return sweep


def _add_runs(
    session: Session, sweep: SweepRow, specs: Sequence[RunSpec], needs_bytes: Mapping[Lane, int], split: Split
) -> None:
    exams = _exam_ids(session, specs)
    rows: list[JsonObject] = []
    firsts: dict[int, int] = {}  # place of a part's row -> that of the first part of the same Run
    for spec in specs:
        parts = split(spec.questions, spec.conditions.scoring)
        if len(parts) > 1:
            firsts |= {len(rows) + number: len(rows) for number in range(len(parts))}
        for part in parts:
            of_exam = exams[spec.benchmark, spec.subject, spec.exam_hash]
            row = {"sweep_id": _id(sweep), "exam_id": of_exam, "status": RunStatus.PENDING}
            row["needs_bytes"] = needs_bytes.get(spec.lane)
            rows.append(row | spec_columns(spec, part if len(parts) > 1 else None))
    session.flush()
    if not firsts:
        session.connection().execute(insert(RunRow), rows)
        return
    added = session.connection().execute(insert(RunRow).returning(col(RunRow.id), sort_by_parameter_order=True), rows)
    ids = added.scalars().all()
    session.exec(update(RunRow), params=[{"id": ids[place], "part_of": ids[first]} for place, first in firsts.items()])


def _add_briefs(session: Session, sweep: SweepRow, specs: Sequence[RunSpec], stored: Mapping[str, int]) -> None:
    """Whose replies each judge's Run is about. Raises `BadInput` where that is no Run of the sweep, or of `stored`."""
    if not any(spec.conditions.brief for spec in specs):
        return
    of_sweep = select(RunRow.id, WHOLE).where(col(RunRow.sweep_id) == _id(sweep)).order_by(col(RunRow.id))
    wholes: dict[int, list[int]] = {}
    for run_id, whole in session.exec(of_sweep):
        wholes.setdefault(whole, []).append(run_id or 0)
    own = {identity_of(spec): whole for spec, whole in zip(specs, wholes, strict=True)}
    session.flush()
    rows = [
        briefs.row_of(run_id, spec, {**stored, **own})
        for spec, parts in zip(specs, wholes.values(), strict=True)
        for run_id in parts
        if spec.conditions.brief
    ]
    session.add_all(rows)


def _exam_ids(session: Session, specs: Sequence[RunSpec]) -> dict[tuple[str, str, str], int]:
    """Row ids of the Exams that the specs name, all of which must hold as many questions as are asked."""
    exams = session.exec(select(ExamRow).where(col(ExamRow.content_hash).in_({spec.exam_hash for spec in specs}))).all()
    counts = session.exec(
        select(QuestionRow.exam_id, func.count())
        .where(col(QuestionRow.split) == TEST, col(QuestionRow.exam_id).in_([exam.id for exam in exams]))
        .group_by(col(QuestionRow.exam_id))
    )
    held = dict(counts.all())
    found = {(exam.benchmark, exam.subject, exam.content_hash): exam.id for exam in exams}
    ids = {}
    for spec in specs:
        key = (spec.benchmark, spec.subject, spec.exam_hash)
        if key not in found:
            raise UnknownName("exam", f"{spec.benchmark}/{spec.subject}", [], "It isn't stored.")
        exam_id = found[key]
        assert exam_id is not None
        if not 1 <= spec.questions <= held.get(exam_id, 0):
            raise BadInput(
                f"A Run asks {spec.questions} questions of {spec.subject}, which has {held.get(exam_id, 0)}."
            )
        ids[key] = exam_id
    return ids


def _pend(session: Session, sweep: SweepRow, statuses: Sequence[RunStatus]) -> int:
    anew = {"failures": 0, "losses": 0, "reason": "", "traceback": "", "worker": None, "ended_at": None}
    which = [col(RunRow.sweep_id) == _id(sweep), col(RunRow.status).in_(statuses)]
    return _change(session, which, {"status": RunStatus.PENDING, **anew})


def _change(session: Session, which: Sequence[ColumnElement[bool]], values: JsonObject) -> int:
    """Update rows of Runs; returns of how many Runs they are."""
    changed = session.connection().execute(update(RunRow).where(*which).values(**values).returning(WHOLE))
    return len(set(changed.scalars()))


def _ask_for_noise(session: Session, sweep: SweepRow) -> None:
    """Have the noise of every Run measured where it isn't known; what is done waits again for that alone."""
    unknown = (col(RunRow.sweep_id) == _id(sweep), col(RunRow.noise).is_(None))
    session.exec(update(RunRow).where(*unknown).values(check_noise=True))
    session.exec(
        update(RunRow)
        .where(*unknown, col(RunRow.status) == RunStatus.DONE)
        .values(status=RunStatus.PENDING, worker=None, ended_at=None)
    )


def _sweep(row: SweepRow) -> Sweep:
    return Sweep(
        id=_id(row),
        name=row.name,
        request=request_of(row.request),
        priority=row.priority,
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        cancelled_at=row.cancelled_at,
        paused_at=row.paused_at,
    )


def _id(row: SweepRow) -> int:
    assert row.id is not None
    return row.id
