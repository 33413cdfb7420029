"""Marks of stored Answers, given again: by another filter chain, or by a release that judges otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, or_, update
from sqlmodel import Session, col, select

from proctor.errors import BadInput, UnknownName
from proctor.nouns.exams import Mark
from proctor.nouns.runs import RunStatus
from proctor.store.database.session import Store
from proctor.store.runs.codec import storable
from proctor.store.runs.parts import status_of
from proctor.store.runs.tables import AnswerRow, QuestionRow, RunRow

_MARKED = (
    update(AnswerRow)
    .where(col(AnswerRow.run_id) == bindparam("of_run"), col(AnswerRow.question_id) == bindparam("of_question"))
    .values(
        picked=bindparam("given_pick"),
        correct=bindparam("is_correct"),
        partial=bindparam("some_points"),
        extracted=bindparam("read_out"),
    )
)


def remark(store: Store, run_id: int, marks: Mapping[str, Mark], judged_by: str) -> None:
    """Give the Answers of a done Run these marks, by question id, and count the Run anew: in one transaction.

    `judged_by` stands in its provenance from then on: the filter chain, "" for the one of its exam's form.

    Raises
    ------
    UnknownName
        for a Run that isn't there.
    BadInput
        where it isn't done, or the marks aren't those of its Answers.
    """
    with store.write() as session:
        parts = session.exec(
            select(RunRow)
            .where(or_(col(RunRow.id) == run_id, col(RunRow.part_of) == run_id))
            .order_by(col(RunRow.id))
            .with_for_update()
        ).all()
        if not parts:
            raise UnknownName("Run", str(run_id), [])
        status = status_of(RunStatus(part.status) for part in parts)
        if status is not RunStatus.DONE or any(part.provenance is None for part in parts):
            raise BadInput(f"Run {run_id} is {status}.", "Only the Answers of a done Run are marked again.")
        answered = {content for part in parts for content, _ in _answered(session, part)}
        if answered != set(marks):
            raise BadInput(f"Run {run_id} has {len(answered)} Answers, and {len(marks)} others were marked.")
        for part in parts:
            _remark(session, part, marks, judged_by)


def _answered(session: Session, run: RunRow) -> Sequence[tuple[str, int | None]]:
    """The questions that a Run, or this part of one, has answered: content id and row id."""
    return session.exec(
        select(QuestionRow.content_id, QuestionRow.id)
        .join(AnswerRow, col(AnswerRow.question_id) == col(QuestionRow.id))
        .where(col(AnswerRow.run_id) == run.id)
    ).all()


def _remark(session: Session, run: RunRow, marks: Mapping[str, Mark], judged_by: str) -> None:
    rows = _answered(session, run)
    values = [_values(run.id, row_id, marks[content]) for content, row_id in rows]
    session.connection().execute(_MARKED, values)
    given = [marks[content] for content, _ in rows]
    run.correct = sum(mark.correct is True for mark in given)
    run.tied = sum(not mark.answered for mark in given)
    run.correct_norm = sum(mark.correct_norm for mark in given)
    run.partial = math.fsum(mark.points for mark in given if 0 < mark.points < 1)
    kept = {name: value for name, value in (run.provenance or {}).items() if name != "judged_by"}
    run.provenance = kept | ({"judged_by": judged_by} if judged_by else {})
    session.add(run)


def _values(run_id: int | None, question: int | None, mark: Mark) -> dict[str, object]:
    return {
        "of_run": run_id,
        "of_question": question,
        "given_pick": mark.picked,
        "is_correct": mark.correct is True,
        "some_points": mark.points if 0 < mark.points < 1 else None,
        "read_out": None if mark.extracted is None else storable(mark.extracted),
    }
