"""Answers a row at a time, each with all that is needed to read it alone and to take it into another database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlmodel
from sqlalchemy import select
from sqlmodel import Session, col

from proctor.nouns.exams import Scoring, Written
from proctor.nouns.runs import Attempt, Cost, RunSpec, RunStatus
from proctor.store.database.session import Store
from proctor.store.reads.replies import replies_of
from proctor.store.runs.briefs import judged_by
from proctor.store.runs.codec import (
    conditions_of,
    first_question,
    measures_of,
    noise_of,
    provenance_of,
    request_of,
    spec_of,
)
from proctor.store.runs.copies import AttemptCopy, PackCopy, PartCopy, RunCopy, SweepCopy
from proctor.store.runs.parts import WHOLE
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

EXPORT: tuple[Any, ...] = (
    QuestionRow.content_id, QuestionRow.source_index, QuestionRow.text, QuestionRow.choices, QuestionRow.answer,
    AnswerRow.prompt_hash, AnswerRow.shots, AnswerRow.options_logprob, AnswerRow.picked, AnswerRow.correct,
    QuestionRow.id, QuestionRow.reference, QuestionRow.turns, QuestionRow.further, QuestionRow.contexts,
    QuestionRow.opening, QuestionRow.shots, AnswerRow.extracted, AnswerRow.partial,
    PackRow.attempt, PackRow.pack_index, PackRow.recorded_at, PackRow.wall_s, PackRow.cpu_s, PackRow.gpu_s,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportRow:
    """An Answer with all that is needed to read it alone."""

    benchmark: str
    subject: str
    question_id: str
    question_index: int
    question: str
    choices: tuple[str, ...]
    answer: int | None  # the key, an index into choices; None where there are none
    prompt_hash: str
    model: str
    revision: str
    quant: str
    dtype: str  # what was computed in
    scoring: Scoring
    shots: int
    options_logprob: tuple[float, ...]
    picked: int | None
    correct: bool
    sweep_id: int
    run_id: int
    attempt: int  # that recorded it
    pack: PackCopy
    run: RunCopy
    reference: str = ""
    extracted: str | None = None
    points: float = 0.0
    turns: tuple[str, ...] = ()  # of the question, behind its text
    written: tuple[Written, ...] = ()  # replies, one a turn
    further: tuple[int, ...] = ()  # right choices besides `answer`
    contexts: tuple[str, ...] = ()  # one a choice, where each has its own
    opening: str = ""  # how the answer begins
    examples: tuple[int, ...] = ()  # places in the exam's dev questions of those drawn for this one

    @property
    def right(self) -> tuple[int, ...]:
        """Indexes of all right choices, the first first; none where there are no choices."""
        return () if self.answer is None else (self.answer, *self.further)


def export_rows(store: Store, sweep_ids: Sequence[int], run_ids: Sequence[int] | None = None) -> Iterator[ExportRow]:
    """Every Answer of these sweeps, by Run and question. Streamed: a Run at a time is in memory and in a transaction.

    With `run_ids`, only those of these Runs. What is recorded while this goes on may or may not be among them. Of a
    large Run one part comes after the other, each row with what is known of its part.
    """
    with store.read() as session:
        parts = _parts(session, sweep_ids)
        statement = (
            sqlmodel.select(RunRow, ExamRow, SweepRow)
            .join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id))
            .join(SweepRow, col(SweepRow.id) == col(RunRow.sweep_id))
            .where(col(RunRow.sweep_id).in_(sweep_ids), col(RunRow.answered) > 0)
            .order_by(WHOLE, col(RunRow.id))
        )
        if run_ids is not None:
            statement = statement.where(WHOLE.in_(run_ids))
        found = session.exec(statement).all()
    for run, exam, sweep in found:
        of_run = parts.get(run.part_of or 0, [])
        part = next((one for one in of_run if one.first == first_question(run)), None)
        whole = replace(spec_of(run, exam), questions=of_run[-1].end if of_run else run.questions)
        yield from _export_run(store, run, exam, sweep, whole, part)


def _parts(session: Session, sweep_ids: Sequence[int]) -> dict[int, list[PartCopy]]:
    """The parts of each large Run of these sweeps, by its number."""
    found: dict[int, list[PartCopy]] = {}
    for run in session.exec(
        sqlmodel.select(RunRow)
        .where(col(RunRow.sweep_id).in_(sweep_ids), col(RunRow.part_of).is_not(None))
        .order_by(col(RunRow.id))
    ):
        earlier, first = found.setdefault(run.part_of or 0, []), first_question(run)
        earlier.append(PartCopy(len(earlier) + 1, first, first + run.questions))
    return found


def _copy(
    run: RunRow,
    exam: ExamRow,
    sweep: SweepRow,
    attempts: Sequence[AttemptRow],
    whole: RunSpec,
    part: PartCopy | None,
) -> RunCopy:
    """Everything about a Run, or about this part of one, but its Answers, as an export carries it."""
    return RunCopy(
        sweep=SweepCopy(
            sweep.name, request_of(sweep.request), sweep.priority, sweep.created_at, sweep.submitted_at,
            sweep.cancelled_at,
        ),
        spec=whole,
        duplicates_dropped=exam.duplicates_dropped,
        form=exam.form,
        answered=run.answered,
        status=RunStatus(run.status),
        attempt=run.attempt,
        failures=run.failures,
        worker=run.worker,
        started_at=run.started_at,
        ended_at=run.ended_at,
        reason=run.reason,
        traceback=run.traceback,
        provenance=None if run.provenance is None else provenance_of(run.provenance),
        measures=None if run.measures is None else measures_of(run.measures),
        noise=noise_of(run.noise),
        attempts=tuple(
            AttemptCopy(
                Attempt(
                    each.number, each.worker, each.started_at, each.ended_at, each.outcome, each.reason, each.traceback
                ),
                None if each.measures is None else measures_of(each.measures),
            )
            for each in attempts
        ),
        part=part,
    )  # fmt: skip


def _judged(session: Session, run_id: int) -> tuple[str, ...]:
    """The lanes of the Runs whose replies a judge's Run judges; none for another."""
    found = [session.get_one(RunRow, one).lane for one in judged_by(session, run_id)]
    return tuple(found)


def _export_run(
    store: Store, run: RunRow, exam: ExamRow, sweep: SweepRow, whole: RunSpec, part: PartCopy | None
) -> list[ExportRow]:
    assert run.id is not None
    dtype = run.dtype if run.provenance is None else provenance_of(run.provenance).dtype
    scoring = conditions_of(run.conditions).scoring
    with store.read() as session:
        attempts = session.exec(
            sqlmodel.select(AttemptRow).where(col(AttemptRow.run_id) == run.id).order_by(col(AttemptRow.number))
        ).all()
        replies = replies_of(session, run.id)
        copy = replace(_copy(run, exam, sweep, attempts, whole, part), judged=_judged(session, run.id))
        rows = session.connection().execute(
            select(*EXPORT)
            .join(AnswerRow, col(AnswerRow.question_id) == col(QuestionRow.id))
            .join(
                PackRow,
                (col(PackRow.run_id) == col(AnswerRow.run_id)) & (col(PackRow.pack_index) == col(AnswerRow.pack_index)),
            )
            .where(col(AnswerRow.run_id) == run.id)
            .order_by(col(QuestionRow.position))
        )
        return [
            ExportRow(
                benchmark=exam.benchmark,
                subject=exam.subject,
                question_id=content_id,
                question_index=index,
                question=text,
                choices=tuple(choices),
                answer=None if key == NO_KEY else key,
                prompt_hash=prompt_hash,
                model=run.model_name,
                revision=run.model_revision,
                quant=run.quant,
                dtype=dtype,
                scoring=scoring,
                shots=shots,
                options_logprob=options_logprob,
                picked=picked,
                correct=correct,
                sweep_id=run.sweep_id,
                run_id=run.part_of or run.id,
                attempt=attempt,
                pack=PackCopy(pack, attempt, recorded_at, Cost(*cost), 0 if part is None else part.number),
                run=copy,
                reference=reference,
                extracted=extracted,
                points=float(correct) if partial is None else partial,
                turns=tuple(turns or ()),
                written=tuple(replies.get(question_id, ())),
                further=tuple(further or ()),
                contexts=tuple(contexts or ()),
                opening=opening,
                examples=tuple(examples or ()),
            )
            for (
                content_id, index, text, choices, key, prompt_hash, shots, options_logprob, picked, correct,
                question_id, reference, turns, further, contexts, opening, examples, extracted, partial, attempt,
                pack, recorded_at, *cost,
            ) in rows
        ]  # fmt: skip


def in_forms(store: Store, sweep_ids: Sequence[int]) -> list[str]:
    """The benchmarks of these sweeps whose exams are in a form, by name."""
    with store.read() as session:
        found = session.exec(
            sqlmodel.select(ExamRow.benchmark)
            .join(RunRow, col(RunRow.exam_id) == col(ExamRow.id))
            .where(col(RunRow.sweep_id).in_(sweep_ids), col(ExamRow.form) != "")
            .distinct()
        )
        return sorted(found)


def forms_of(store: Store, sweep_ids: Sequence[int]) -> dict[str, str]:
    """The forms of these sweeps' exams as JSON, by subject; exams without one are left out."""
    with store.read() as session:
        found = session.exec(
            sqlmodel.select(ExamRow.subject, ExamRow.form)
            .join(RunRow, col(RunRow.exam_id) == col(ExamRow.id))
            .where(col(RunRow.sweep_id).in_(sweep_ids), col(ExamRow.form) != "")
            .distinct()
        )
        return dict(sorted(found))


def tells_of_points(store: Store, sweep_ids: Sequence[int], *, outside_forms: bool = False) -> bool:
    """Whether any Answer of these sweeps, or any to an exam without a form, was written or has a part of a point."""
    of_sweeps = sqlmodel.select(RunRow.id).where(col(RunRow.sweep_id).in_(sweep_ids))
    if outside_forms:
        of_sweeps = of_sweeps.join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id)).where(col(ExamRow.form) == "")
    with store.read() as session:
        if session.exec(of_sweeps.where(col(RunRow.partial) > 0).limit(1)).first() is not None:
            return True
        written = sqlmodel.select(WrittenRow.run_id).where(col(WrittenRow.run_id).in_(of_sweeps)).limit(1)
        return session.exec(written).first() is not None
