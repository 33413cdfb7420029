"""Runs whose questions are sat in parts: a row of `run` is a whole Run, or one part of a large one.

Each part is claimed, sat, failed and retried by itself, as any Run is; it has its own attempts, packs and costs. What
people see is the whole: `WHOLE` is its number, that of its first part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, case, func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from proctor.nouns.runs import Provenance, RunStatus
from proctor.store.runs.codec import provenance_of
from proctor.store.runs.tables import RunRow

WHOLE: ColumnElement[int] = func.coalesce(col(RunRow.part_of), col(RunRow.id))
# A Run is in the first of these states that one of its parts is in: it isn't over before all are, nor done but whole.
FOREMOST = (RunStatus.RUNNING, RunStatus.PENDING, RunStatus.CANCELLED, RunStatus.FAILED, RunStatus.DONE)
_PLACE = case({status.value: place for place, status in enumerate(FOREMOST)}, value=col(RunRow.status))
STATE: ColumnElement[int] = func.min(_PLACE)  # in FOREMOST, where rows are grouped by WHOLE


def status_of(parts: Iterable[RunStatus]) -> RunStatus:
    """The state of a Run whose parts are in these."""
    return min(parts, key=FOREMOST.index)


def counts(session: Session, *where: ColumnElement[bool]) -> Counter[RunStatus]:
    """How many Runs are in each state, of the rows for which all of `where` holds."""
    wholes = columns(STATE.label("state")).where(*where).group_by(col(RunRow.sweep_id), WHOLE).subquery()
    rows = session.connection().execute(columns(wholes.c.state, func.count()).group_by(wholes.c.state))
    return Counter({FOREMOST[state]: count for state, count in rows})


def rows_of(session: Session, run_ids: Iterable[int]) -> dict[int, int]:
    """The number of its Run by that of each row of these Runs."""
    wanted = list(run_ids)
    parted = session.exec(select(RunRow.id, RunRow.part_of).where(col(RunRow.part_of).in_(wanted))).all()
    return {run_id: run_id for run_id in wanted} | {row: whole for row, whole in parted if row and whole}


def fellows_way(session: Session, run: RunRow) -> Provenance | None:
    """What the other parts of the same Run are computed with: those with Answers, or at work. None where none is."""
    if run.part_of is None:
        return None
    found: Any = session.exec(
        select(RunRow.provenance)
        .where(col(RunRow.part_of) == run.part_of, col(RunRow.id) != run.id, col(RunRow.provenance).is_not(None))
        .where((col(RunRow.answered) > 0) | (col(RunRow.status) == RunStatus.RUNNING))
        .order_by(col(RunRow.answered).desc(), col(RunRow.id))
        .limit(1)
    ).first()
    return None if found is None else provenance_of(found)
