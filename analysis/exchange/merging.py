"""Exported Runs into a database: sweep by sweep, after their exams were held against those that are here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.exchange.exported import by_sweep
from proctor.errors import BadInput, UnknownName
from proctor.exams.reading.identity import content_hash
from proctor.store.database.session import Store
from proctor.store.runs.copies import SatCopy
from proctor.store.runs.exams import load_exam
from proctor.store.runs.taking_in import TakenIn, take_in


def merge(store: Store, sat: Sequence[SatCopy], name: str | None = None) -> list[TakenIn]:
    """Take these Runs in, a sweep at a time, under their own names or, for a single sweep, another one.

    Raises
    ------
    BadInput
        where several sweeps are to have one name, or a question isn't one of the exam that is here.
    """
    sweeps = by_sweep(sat)
    if name is not None and len(sweeps) > 1:
        raise BadInput(f"The file holds {len(sweeps)} sweeps, which can't all be named {name}.", "Leave --name away.")
    for each in sat:
        check_exam(store, each)
    return [take_in(store, replace(runs[0].run.sweep, name=name or runs[0].run.sweep.name), runs) for runs in sweeps]


def check_exam(store: Store, sat: SatCopy) -> None:
    """Raise `BadInput` where a Run answered a question that its exam, whole as it is here, doesn't have."""
    spec = sat.run.spec
    try:
        exam = load_exam(store, spec.benchmark, spec.subject, spec.exam_hash)
    except UnknownName:
        return
    if content_hash(exam.subject, exam.dev, exam.questions, exam.form) != exam.content_hash:
        return  # it came with Answers, too
    known = {question.id for question in exam.questions}
    strange = next((each.question for each in sat.answers if each.question.id not in known), None)
    if strange is not None:
        raise BadInput(
            f"{spec.subject}:{strange.index} ({strange.id}) is no question of the exam with the hash {spec.exam_hash}.",
            "Export it again.",
        )
