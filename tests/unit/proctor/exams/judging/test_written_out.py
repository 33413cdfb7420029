"""An exam written out of a task is judged by what its questions carry: the choices that a reply may name, too."""

from __future__ import annotations

from proctor.exams.judging.marking import mark
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step
from proctor.exams.tasks.writing import write_out
from proctor.nouns.exams import GREEDY, Exchange, Mark, Write, Written

ROWS = [
    {"question": "Which is a colour?", "choices": ["a stone", "violet"], "answer": 1},
    {"question": "Which is a tree?", "choices": ["an oak", "a rose"], "answer": 0},
]
NAMED = Chain("flexible", (Step("multi_choice_regex", {"regex_pattern": r"(\([A-Z]\))"}), Step("take_first")))
TASK = Task(
    "choices",
    Kind.WRITE,
    Rows("own", test="test"),
    Asking("{{question}}", "{{['(A)', '(B)'][answer]}}", shots=0),
    Judging((Metric("exact_match"),), (NAMED,)),
    "1.0",
    "",
)


def test_a_reply_may_name_its_choice_by_the_wording() -> None:
    exam = write_out(TASK, lambda _: ROWS, "own", 0).exam
    marks = [mark(exam, one, [Exchange(Write("", GREEDY), Written("It is violet."))]) for one in exam.questions]
    assert marks == [Mark(1.0, extracted="(B)"), Mark(0.0)]
