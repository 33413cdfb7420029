"""Exams in the database: saved once for each content, loaded by workers that may have no other source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, col, select

from proctor.errors import BadExam, UnknownName
from proctor.nouns.exams import Exam, Question
from proctor.store.database.session import Store
from proctor.store.runs.tables import NO_KEY, ExamRow, QuestionRow

DEV, TEST = "dev", "test"


def save_exam(store: Store, exam: Exam) -> None:
    """Store an Exam; one that is there already (same benchmark, subject and content hash) is left as it is.

    Of one that came with imported Answers, what is missing is filled in.

    Raises
    ------
    BadExam
        for text that a database can't hold (NUL, lone surrogates), or a question that stands there twice.
    """
    _check(exam)
    with store.write() as session:
        store.lock(session, f"proctor exam {exam.content_hash}")
        known = find_exam(session, exam.benchmark, exam.subject, exam.content_hash)
        if known is not None:
            _fill(session, known, exam)
            return
        row = ExamRow(
            benchmark=exam.benchmark,
            subject=exam.subject,
            content_hash=exam.content_hash,
            duplicates_dropped=exam.duplicates_dropped,
            form=exam.form,
        )
        session.add(row)
        session.flush()
        assert row.id is not None
        rows = [*question_rows(row.id, DEV, exam.dev), *question_rows(row.id, TEST, exam.questions)]
        session.connection().execute(insert(QuestionRow), rows)


def load_exam(store: Store, benchmark: str, subject: str, content_hash: str) -> Exam:
    """The Exam as it was saved, equal to it in every field.

    Raises
    ------
    UnknownName
        where no such Exam was saved.
    """
    with store.read() as session:
        found = find_exam(session, benchmark, subject, content_hash)
        if found is None:
            raise UnknownName("exam", f"{benchmark}/{subject}", [], f"None has the content hash {content_hash}.")
        statement = select(QuestionRow).where(col(QuestionRow.exam_id) == found.id).order_by(col(QuestionRow.position))
        rows = session.exec(statement).all()
    return Exam(
        benchmark=found.benchmark,
        subject=found.subject,
        dev=_questions(rows, DEV),
        questions=_questions(rows, TEST),
        content_hash=found.content_hash,
        duplicates_dropped=found.duplicates_dropped,
        form=found.form,
    )


def find_exam(session: Session, benchmark: str, subject: str, content_hash: str) -> ExamRow | None:
    """The row of an Exam; None where it isn't stored."""
    return session.exec(
        select(ExamRow).where(
            col(ExamRow.benchmark) == benchmark,
            col(ExamRow.subject) == subject,
            col(ExamRow.content_hash) == content_hash,
        )
    ).one_or_none()


def _check(exam: Exam) -> None:
    where = f"Exam {exam.benchmark}/{exam.subject}"
    ids = [question.id for question in exam.questions]
    if len(set(ids)) < len(ids):
        raise BadExam(f"{where} holds a question twice.", "Drop the copies first.")
    for question in (*exam.dev, *exam.questions):
        written = (*question.choices, *question.turns, *question.contexts)
        for text in (question.text, question.reference, question.opening, *written):
            if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
                raise BadExam(
                    f"{where}, question {question.index}, holds a character that isn't text: {text[:80]!r}.",
                    "Remove it from the source.",
                )


def _fill(session: Session, known: ExamRow, exam: Exam) -> None:
    """Write what an Exam lacks; its questions were placed by their index, which keeps the order."""
    assert known.id is not None
    known.form = exam.form
    held = session.exec(
        select(QuestionRow.split, QuestionRow.content_id, QuestionRow.position).where(
            col(QuestionRow.exam_id) == known.id
        )
    ).all()
    dev = [each for each in held if each[0] == DEV]
    asked = {content_id for split, content_id, _ in held if split == TEST}
    rows = [] if dev else question_rows(known.id, DEV, exam.dev)
    missing = [question for question in exam.questions if question.id not in asked]
    rows += question_rows(known.id, TEST, missing, [question.index for question in missing])
    if rows:
        session.connection().execute(insert(QuestionRow), rows)


def question_rows(
    exam_id: int, split: str, questions: Sequence[Question], positions: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Rows of these questions of a split; they stand in their order, or at these positions."""
    places = range(len(questions)) if positions is None else positions
    return [
        {
            "exam_id": exam_id,
            "split": split,
            "position": position,
            "source_index": question.index,
            "content_id": question.id,
            "text": question.text,
            "choices": list(question.choices),
            "answer": NO_KEY if question.answer is None else question.answer,
            "reference": question.reference,
            "turns": list(question.turns) or None,
            "further": list(question.further) or None,
            "contexts": list(question.contexts) or None,
            "opening": question.opening,
            "shots": list(question.shots) or None,
        }
        for position, question in zip(places, questions, strict=True)
    ]


def question_of(row: QuestionRow) -> Question:
    """The question of a row."""
    return Question(
        row.content_id,
        row.source_index,
        row.text,
        tuple(row.choices),
        None if row.answer == NO_KEY else row.answer,
        row.reference,
        tuple(row.turns or ()),
        tuple(row.further or ()),
        tuple(row.contexts or ()),
        row.opening,
        tuple(row.shots or ()),
    )


def _questions(rows: Sequence[QuestionRow], split: str) -> tuple[Question, ...]:
    return tuple(question_of(row) for row in rows if row.split == split)
