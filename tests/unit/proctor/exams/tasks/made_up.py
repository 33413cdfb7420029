"""Tasks and rows that tests make up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Task
from proctor.exams.tasks.form import Form, Kind, Metric, read_form
from proctor.exams.tasks.writing import write_out
from proctor.nouns.exams import Exam, Question

SUMS: list[Row] = [{"sum": f"{n} + {n}", "value": str(2 * n), "wrong": str(n), "place": 0} for n in range(1, 9)]


def task(kind: Kind = Kind.CHOOSE, rows: Rows | None = None, judging: Judging | None = None, **asking: Any) -> Task:
    """A task on `SUMS`; `asking` says what is other than usual."""
    metric = Metric({Kind.CHOOSE: "acc", Kind.WRITE: "exact_match"}.get(kind, "perplexity"))
    usual: dict[str, Any] = {"text": "Sum: {{sum}}\nIs:", "target": "place", "choices": "{{[value, wrong]}}"}
    if kind is not Kind.CHOOSE:
        usual = {"text": "Sum: {{sum}}\nIs:", "target": "{{value}}"}
    return Task(
        "sums",
        kind,
        rows or Rows("own/sums", training="train", test="test"),
        Asking(**(usual | asking)),
        judging or Judging((metric,)),
    )


def exam(made: Task, shots: int | None = None, rows: Sequence[Row] = SUMS, pool: Sequence[Row] = SUMS) -> Exam:
    """The exam of a task, its rows and the pool of its examples given."""
    return write_out(made, lambda name: rows if name == made.rows.asked else pool, "own", shots).exam


def only(made: Task, row: Row) -> Question:
    """The one question of a task on one row."""
    return exam(made, rows=[row]).questions[0]


def form(made: Exam) -> Form:
    return read_form(made.form)
