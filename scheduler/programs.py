"""Exams whose answers are programs: refused where they could never be judged, and what is to be known of them."""

from __future__ import annotations

from collections.abc import Sequence

from proctor.errors import NoIsolation, ProctorError
from proctor.exams.judging.sandbox.isolation import require_isolation
from proctor.exams.tasks.form import read_form
from proctor.nouns.exams import Exam
from proctor.written_answers import runs_programs


def program_notes(exams: Sequence[Exam], faults: list[ProctorError]) -> tuple[str, ...]:
    """What is to be said of exams whose answers are programs; nothing where there are none.

    Adds a fault where this machine, which is to judge them, gives no isolation.
    """
    subjects = sorted({exam.subject for exam in exams if exam.form and runs_programs(read_form(exam.form))})
    if not subjects:
        return ()
    try:
        require_isolation()
    except NoIsolation as fault:
        faults.append(fault)
    return (f"{', '.join(subjects)}: replies are programs; they are run by `proctor mark --run-code`, nothing else.",)
