"""Sweeps that were run elsewhere into this database: with their Answers, costs and provenance, in one transaction.

What comes in never starts work: a Run that wasn't done where it was exported is cancelled here, until somebody retries
it. An exam comes with the questions that were answered; the whole one fills it when its sweep is submitted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from math import fsum
from typing import Any

import sqlmodel
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from proctor.errors import BadInput
from proctor.nouns.runs import RunSpec, RunStatus
from proctor.store.database.session import Store
from proctor.store.runs import briefs
from proctor.store.runs.codec import (
    answer_columns,
    measures_object,
    provenance_object,
    request_object,
    spec_columns,
    spec_of,
    written_rows,
)
from proctor.store.runs.copies import AnswerCopy, PackCopy, SatCopy, SweepCopy
from proctor.store.runs.exams import TEST, find_exam, question_rows
from proctor.store.runs.parts import status_of
from proctor.store.runs.sweeps import fingerprint_of, identity_of
from proctor.store.runs.tables import (
    NO_KEY,
    AnswerRow,
    AttemptRow,
    ExamRow,
    PackRow,
    QuestionRow,
    RunRow,
    SweepRow,
    WrittenRow,
)

NOT_DONE = "It was not done when it was exported."
ENDED = (RunStatus.DONE, RunStatus.FAILED, RunStatus.CANCELLED)


@dataclass(frozen=True)
class TakenIn:
    """What became of a sweep that came in: its number here, and whether it was here already."""

    sweep_id: int
    name: str
    known: bool
    runs: int
    answers: int
    not_done: int  # Runs that were neither done nor failed; they are cancelled here


def take_in(store: Store, sweep: SweepCopy, sat: Sequence[SatCopy]) -> TakenIn:
    """Write a sweep with these Runs; one that is here already (the same Runs, submitted at the same time) stays.

    Raises
    ------
    BadInput
        where its questions contradict those of an exam that is here.
    """
    wholes: dict[RunSpec, list[SatCopy]] = {}
    for each in sat:
        wholes.setdefault(each.run.spec, []).append(each)
    fingerprint = fingerprint_of(list(wholes))
    answers = sum(len(each.answers) for each in sat)
    not_done = sum(not _ended(parts) for parts in wholes.values())
    try:
        with store.write() as session:
            store.lock(session, f"proctor sweep {fingerprint}")
            known = session.exec(
                select(SweepRow).where(
                    col(SweepRow.fingerprint) == fingerprint, col(SweepRow.created_at) == sweep.created_at
                )
            ).first()
            if known is not None:
                assert known.id is not None
                return TakenIn(known.id, known.name, True, len(wholes), answers, not_done)
            row = _sweep_row(sweep, fingerprint)
            session.add(row)
            session.flush()
            assert row.id is not None
            positions = count(1)
            added = [
                (each, spec)
                for spec, parts in wholes.items()
                for each in _add_parts(store, session, row.id, parts, positions)
            ]
            _add_briefs(session, added)
            row.feed = next(positions) - 1
            found = TakenIn(row.id, row.name, False, len(wholes), answers, not_done)
    except IntegrityError as error:
        raise BadInput(f"Sweep {sweep.name} contradicts itself or an exam that is here: {error.orig}.") from error
    store.take_stock(RunRow)
    return found


def _sweep_row(sweep: SweepCopy, fingerprint: str) -> SweepRow:
    return SweepRow(
        name=sweep.name,
        fingerprint=fingerprint,
        request=request_object(sweep.request),
        priority=sweep.priority,
        created_at=sweep.created_at,
        submitted_at=sweep.submitted_at,
        cancelled_at=sweep.cancelled_at,
    )


def _ended(parts: Sequence[SatCopy]) -> bool:
    """Whether a Run was done or failed as a whole."""
    if sum(len(each.run.asked) for each in parts) < parts[0].run.spec.questions:
        return False
    return status_of([each.run.status for each in parts]) in (RunStatus.DONE, RunStatus.FAILED)


def _add_parts(
    store: Store, session: Session, sweep_id: int, sat: Sequence[SatCopy], positions: count[int]
) -> list[RunRow]:
    """A Run's rows, written. Of a large one, what came without any Answer waits to be retried."""
    exam_id, _ = _questions(store, session, sat[0])
    rows: list[RunRow] = []
    for stretch, part in _stretches(sat):
        if part is not None:
            rows.append(_add_run(store, session, sweep_id, part, positions))
            continue
        of_spec = spec_columns(sat[0].run.spec, stretch)
        rows.append(RunRow(sweep_id=sweep_id, exam_id=exam_id, status=RunStatus.CANCELLED, reason=NOT_DONE, **of_spec))
        session.add(rows[-1])
        session.flush()
    if len(rows) > 1:
        for row in rows:
            row.part_of = rows[0].id
    return rows


def _stretches(sat: Sequence[SatCopy]) -> Iterator[tuple[range, SatCopy | None]]:
    """A Run's parts in order, and between them the questions of which no part is there. Raises `BadInput`."""
    questions, end = sat[0].run.spec.questions, 0
    for each in sorted(sat, key=lambda one: one.run.asked.start):
        asked = each.run.asked
        if asked.start < end or asked.stop > questions:
            raise BadInput(f"A Run on {each.run.spec.subject} comes in parts that don't make one.", "Export it again.")
        if asked.start > end:
            yield range(end, asked.start), None
        yield asked, each
        end = asked.stop
    if end < questions:
        yield range(end, questions), None


def _add_run(store: Store, session: Session, sweep_id: int, sat: SatCopy, positions: count[int]) -> RunRow:
    exam_id, questions = _questions(store, session, sat)
    row = _run_row(sweep_id, exam_id, sat)
    session.add(row)
    session.flush()
    assert row.id is not None
    for each in sat.run.attempts:
        measures = None if each.measures is None else measures_object(each.measures)
        session.add(AttemptRow(run_id=row.id, measures=measures, **asdict(each.attempt)))
    packs: dict[int, list[AnswerCopy]] = {}
    for answer in sat.answers:
        packs.setdefault(answer.pack.index, []).append(answer)
    session.flush()
    session.connection().execute(insert(AnswerRow), [_answer(row.id, questions, each) for each in sat.answers])
    replies = [
        reply for each in sat.answers for reply in written_rows(row.id, questions[each.answer.question_id], each.answer)
    ]
    if replies:
        session.connection().execute(insert(WrittenRow), replies)
    session.connection().execute(
        insert(PackRow),
        [
            _pack(row.id, sweep_id, next(positions), members[0].pack, len(members))
            for _, members in sorted(packs.items(), key=lambda item: item[1][0].pack.recorded_at)
        ],
    )
    return row


def _add_briefs(session: Session, added: Sequence[tuple[RunRow, RunSpec]]) -> None:
    """Whose replies judges' Runs are about: of the same sweep, else of the latest that is here of that identity.

    Raises `BadInput` where that is none.
    """
    judges = [(row, spec) for row, spec in added if spec.conditions.brief]
    if not judges:
        return
    known: dict[str, int] = {}
    exams = {spec.exam_hash for _, spec in judges}
    wholes: dict[int, list[RunSpec]] = {}
    for run, exam in session.exec(
        sqlmodel.select(RunRow, ExamRow)
        .join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id))
        .where(col(ExamRow.content_hash).in_(exams))
        .order_by(col(RunRow.id))
    ):
        wholes.setdefault(run.part_of or run.id or 0, []).append(spec_of(run, exam))
    for whole, parts in wholes.items():
        known[identity_of(replace(parts[0], questions=sum(part.questions for part in parts)))] = whole
    known |= {identity_of(spec): row.part_of or row.id or 0 for row, spec in added}
    session.add_all([briefs.row_of(row.id or 0, spec, known) for row, spec in judges])


def _questions(store: Store, session: Session, sat: SatCopy) -> tuple[int, dict[str, int]]:
    """The row of a Run's exam, and of each of its questions by content id; those that aren't here are written."""
    spec = sat.run.spec
    store.lock(session, f"proctor exam {spec.exam_hash}")
    exam = find_exam(session, spec.benchmark, spec.subject, spec.exam_hash)
    if exam is None:
        exam = ExamRow(
            benchmark=spec.benchmark,
            subject=spec.subject,
            content_hash=spec.exam_hash,
            duplicates_dropped=sat.run.duplicates_dropped,
            form=sat.run.form,
        )
        session.add(exam)
        session.flush()
    assert exam.id is not None
    known = _known(session, exam.id)
    missing = [each.question for each in sat.answers if each.question.id not in known]
    if missing:
        # Its place among those that are missing still isn't known: the place in the split keeps the same order.
        rows = question_rows(exam.id, TEST, missing, [question.index for question in missing])
        session.connection().execute(insert(QuestionRow), rows)
        known = _known(session, exam.id)
    for each in sat.answers:
        if known[each.question.id][1] != (NO_KEY if each.question.answer is None else each.question.answer):
            raise BadInput(f"{spec.subject}:{each.question.index} has another answer key here, in the same exam.")
    return exam.id, {content_id: row_id for content_id, (row_id, _) in known.items()}


def _known(session: Session, exam_id: int) -> dict[str, tuple[int, int]]:
    """Row id and key of an exam's questions that are here, by content id."""
    found = session.exec(
        select(QuestionRow.content_id, QuestionRow.id, QuestionRow.answer).where(
            col(QuestionRow.exam_id) == exam_id, col(QuestionRow.split) == TEST
        )
    )
    return {content_id: (row_id, answer) for content_id, row_id, answer in found if row_id is not None}


def _run_row(sweep_id: int, exam_id: int, sat: SatCopy) -> RunRow:
    run = sat.run
    ended = run.status in ENDED
    return RunRow(
        sweep_id=sweep_id,
        exam_id=exam_id,
        status=run.status if ended else RunStatus.CANCELLED,
        attempt=run.attempt,
        failures=run.failures,
        answered=len(sat.answers),
        correct=sum(each.answer.correct for each in sat.answers),
        tied=sum(not each.answer.answered for each in sat.answers),
        correct_norm=sum(each.answer.correct_norm for each in sat.answers),
        partial=fsum(each.answer.partial or 0.0 for each in sat.answers),
        worker=run.worker if ended else None,
        moved_at=max((each.pack.recorded_at for each in sat.answers), default=None),
        started_at=run.started_at,
        ended_at=run.ended_at,
        reason=run.reason if ended else NOT_DONE,
        traceback=run.traceback,
        provenance=None if run.provenance is None else provenance_object(run.provenance),
        measures=None if run.measures is None else measures_object(run.measures),
        check_noise=run.noise is not None,
        noise=None if run.noise is None else asdict(run.noise),
        **spec_columns(run.spec, None if run.part is None else run.asked),
    )


def _answer(run_id: int, questions: dict[str, int], copy: AnswerCopy) -> dict[str, Any]:
    answer = copy.answer
    return {
        "run_id": run_id,
        "question_id": questions[answer.question_id],
        "pack_index": copy.pack.index,
        **answer_columns(answer),
    }


def _pack(run_id: int, sweep_id: int, position: int, pack: PackCopy, questions: int) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "pack_index": pack.index,
        "sweep_id": sweep_id,
        "position": position,
        "attempt": pack.attempt,
        "questions": questions,
        "recorded_at": pack.recorded_at,
        **asdict(pack.cost),
    }
