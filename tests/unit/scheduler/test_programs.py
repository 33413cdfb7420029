"""Exams whose answers are programs are refused before anything is generated, where they could never be judged."""

from __future__ import annotations

import pytest

from proctor.errors import NoIsolation, ProctorError
from proctor.exams.judging.sandbox import isolation
from proctor.exams.tasks.form import Form, Headline, Kind, Metric
from proctor.nouns.exams import Exam
from scheduler.programs import program_notes


def exam(metric: str, subject: str) -> Exam:
    form = Form(Kind.WRITE, (Metric(metric),), Headline(metric, "none")).json()
    return Exam("own", subject, (), (), "0" * 64, form=form)


EXAMS = (exam("pass_at_1", "code"), exam("exact_match", "sums"), Exam("mmlu", "law", (), (), "1" * 64))


@pytest.mark.parametrize("reason", ["", "no namespaces"])
def test_programs_are_told_of_and_refused_where_there_is_no_isolation(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "isolation", lambda: reason)
    faults: list[ProctorError] = []
    (note,) = program_notes(EXAMS, faults)
    assert note.startswith("code: replies are programs")
    assert [type(fault) for fault in faults] == [NoIsolation] * bool(reason)


def test_of_other_exams_nothing_is_said_and_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "isolation", lambda: pytest.fail("tried"))
    faults: list[ProctorError] = []
    assert program_notes(EXAMS[1:], faults) == ()
    assert faults == []
