"""Written replies with their questions, a Run at a time: what is judged again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import sqlmodel
from sqlmodel import Session, col

from proctor.nouns.exams import Question, Scoring, Written
from proctor.store.database.session import Store
from proctor.store.runs.codec import written_of
from proctor.store.runs.exams import question_of
from proctor.store.runs.parts import WHOLE
from proctor.store.runs.tables import AnswerRow, ExamRow, QuestionRow, RunRow, WrittenRow


@dataclass(frozen=True)
class WrittenAnswer:
    """A question, the replies to it, one a turn or repeat, and how they were marked."""

    row: int  # id of the question's row
    question: Question
    replies: tuple[Written, ...]
    points: float
    extracted: str | None


@dataclass(frozen=True)
class WrittenRun:
    """The written answers of a Run on an exam in a form, in the exam's order."""

    run_id: int
    form: str
    judged_by: str  # filter chain by which its Answers are marked; "": the one of the form
    answers: tuple[WrittenAnswer, ...]


def written_runs(store: Store, run_ids: Sequence[int]) -> Iterator[WrittenRun]:
    """Those of these Runs that are on an exam in a form and have written replies; one at a time is in memory."""
    with store.read() as session:
        found = session.exec(
            sqlmodel.select(WHOLE, RunRow.id, ExamRow.form, RunRow.provenance)
            .join(ExamRow, col(ExamRow.id) == col(RunRow.exam_id))
            .where(WHOLE.in_(run_ids), col(ExamRow.form) != "")
            .where(col(RunRow.conditions)["scoring"].as_string().in_((Scoring.WRITTEN, Scoring.OPEN)))
            .order_by(WHOLE, col(RunRow.id))
        ).all()
    for run_id, rows in groupby(found, key=itemgetter(0)):
        parts = list(rows)
        with store.read() as session:
            answers = tuple(one for _, row, _, _ in parts for one in _answers(session, row or 0))
        judged_by = next((made["judged_by"] for *_, made in parts if made and made.get("judged_by")), "")
        if answers:
            yield WrittenRun(run_id, parts[0][2], judged_by, answers)


def replies_of(session: Session, run_id: int) -> dict[int, list[Written]]:
    """The written replies of a Run, one a turn, by row id of their question."""
    found: dict[int, list[Written]] = {}
    for row in session.exec(
        sqlmodel.select(WrittenRow)
        .where(col(WrittenRow.run_id) == run_id)
        .order_by(col(WrittenRow.question_id), col(WrittenRow.turn))
    ):
        found.setdefault(row.question_id, []).append(written_of(row))
    return found


def _answers(session: Session, run_id: int) -> list[WrittenAnswer]:
    replies = replies_of(session, run_id)
    rows = session.exec(
        sqlmodel.select(QuestionRow, AnswerRow)
        .join(AnswerRow, col(AnswerRow.question_id) == col(QuestionRow.id))
        .where(col(AnswerRow.run_id) == run_id)
        .order_by(col(QuestionRow.position))
    )
    return [
        WrittenAnswer(
            answer.question_id,
            question_of(question),
            tuple(replies.get(answer.question_id, ())),
            float(answer.correct) if answer.partial is None else answer.partial,
            answer.extracted,
        )
        for question, answer in rows
    ]
