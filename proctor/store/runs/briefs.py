"""Whose replies a judge's Run is about, and those replies."""

from __future__ import annotations

from collections.abc import Mapping

from sqlmodel import Session, col, select

from proctor.errors import BadInput
from proctor.nouns.exams import Written
from proctor.nouns.runs import RunSpec
from proctor.store.database.session import Store
from proctor.store.runs.codec import written_of
from proctor.store.runs.parts import rows_of
from proctor.store.runs.tables import BriefRow, QuestionRow, WrittenRow


def row_of(run_id: int, spec: RunSpec, runs: Mapping[str, int]) -> BriefRow:
    """The row of a judge's Run; `runs` are those that may be meant, by identity. Raises `BadInput` for another."""
    brief = spec.conditions.brief
    assert brief is not None
    wanted = [one for one in (brief.candidate, brief.against) if one]
    missing = [one for one in wanted if one not in runs]
    if missing:
        raise BadInput(
            f"A judge's Run on {spec.subject} is about a Run that isn't here ({missing[0][:12]}…).",
            "Take the sweep of the candidates with it, or before it.",
        )
    first, *other = (runs[one] for one in wanted)
    return BriefRow(run_id=run_id, candidate_id=first, against_id=other[0] if other else None)


def judged_by(session: Session, run_id: int) -> tuple[int, ...]:
    """The Runs whose replies a judge's Run judges: the candidate's, and the other one of a pair."""
    row = session.get(BriefRow, run_id)
    if row is None:
        return ()
    return (row.candidate_id,) if row.against_id is None else (row.candidate_id, row.against_id)


def replies(store: Store, run_id: int) -> dict[str, tuple[Written, ...]]:
    """The written replies of a Run by question id, one a turn; of a large one those of all its parts."""
    with store.read() as session:
        rows = session.exec(
            select(QuestionRow.content_id, WrittenRow)
            .join(QuestionRow, col(QuestionRow.id) == col(WrittenRow.question_id))
            .where(col(WrittenRow.run_id).in_(rows_of(session, [run_id])))
            .order_by(col(WrittenRow.question_id), col(WrittenRow.turn))
        ).all()
    found: dict[str, list[Written]] = {}
    for question_id, row in rows:
        found.setdefault(question_id, []).append(written_of(row))
    return {question_id: tuple(said) for question_id, said in found.items()}
