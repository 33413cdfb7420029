"""Answers as they come, for people who watch: each pack once, in the order of their commits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from proctor.nouns.models import Lane
from proctor.store.database.session import Store
from proctor.store.runs.codec import lane_of
from proctor.store.runs.parts import WHOLE
from proctor.store.runs.tables import NO_KEY, AnswerRow, ExamRow, PackRow, QuestionRow, RunRow, SweepRow

SHOWN: tuple[Any, ...] = (
    WHOLE, RunRow.lane, ExamRow.subject, QuestionRow.source_index, QuestionRow.text, QuestionRow.choices,
    QuestionRow.answer, AnswerRow.picked, AnswerRow.correct, QuestionRow.reference, AnswerRow.extracted,
    AnswerRow.partial,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """An Answer with its question, for people who watch."""

    run_id: int
    lane: Lane
    subject: str
    question_index: int
    question: str
    choices: tuple[str, ...]
    key: int | None  # None where there are no choices
    picked: int | None
    correct: bool
    reference: str = ""
    extracted: str | None = None
    partial: float | None = None  # points between 0 and 1; None: all or none, as `correct` says

    @property
    def answered(self) -> bool:
        """Whether an option was picked or an answer extracted."""
        return self.picked is not None or self.extracted is not None


@dataclass(frozen=True)
class Batch:
    """Answers that came after a cursor, and the cursor to ask on from."""

    cursor: int
    answers: tuple[ShownAnswer, ...]


def latest_cursor(store: Store, sweep_id: int) -> int:
    """The cursor behind everything that is committed so far: `answers_after` it gives what comes from now on."""
    with store.read() as session:
        return session.exec(select(SweepRow.feed).where(col(SweepRow.id) == sweep_id)).one()


def answers_after(store: Store, sweep_id: int, cursor: int, limit: int) -> Batch:
    """The Answers of the packs that were committed after `cursor`, in the order of their commits, none left out.

    Begin with cursor 0 and go on with that of each Batch. About `limit` Answers come at once: packs come whole, and
    at least one does where there is any.
    """
    with store.read() as session:
        last = _last_position(session, sweep_id, cursor, limit)
        lane = cache(lane_of)
        rows = session.connection().execute(
            columns(*SHOWN)
            .select_from(PackRow)
            .join(
                AnswerRow,
                (col(AnswerRow.run_id) == col(PackRow.run_id)) & (col(AnswerRow.pack_index) == col(PackRow.pack_index)),
            )
            .join(QuestionRow, col(QuestionRow.id) == col(AnswerRow.question_id))
            .join(ExamRow, col(ExamRow.id) == col(QuestionRow.exam_id))
            .join(RunRow, col(RunRow.id) == col(AnswerRow.run_id))
            .where(col(PackRow.sweep_id) == sweep_id, col(PackRow.position) > cursor, col(PackRow.position) <= last)
            .order_by(col(PackRow.position), col(QuestionRow.position))
        )
        shown = tuple(
            ShownAnswer(
                run_id, lane(text), subject, index, question, tuple(choices), None if key == NO_KEY else key, *rest
            )
            for run_id, text, subject, index, question, choices, key, *rest in rows
        )
        return Batch(last, shown)


def _last_position(session: Session, sweep_id: int, cursor: int, limit: int) -> int:
    """The last pack after `cursor` with which no more than `limit` Answers come, or the first."""
    packs = session.exec(
        select(PackRow.position, PackRow.questions)
        .where(col(PackRow.sweep_id) == sweep_id, col(PackRow.position) > cursor)
        .order_by(col(PackRow.position))
        .limit(max(1, limit))
    )
    last, answers = cursor, 0
    for position, questions in packs:
        answers += questions
        if answers > limit and last > cursor:
            break
        last = position
    return last
