"""OpenBookQA (Mihaylov et al. 2018, Apache 2.0): elementary science, without the book of facts. 500 rows of test.

A row: {"question_stem": "…", "choices": {"text": [4 texts], "label": ["A", "B", "C", "D"]}, "answerKey": "C"}. Two
thirds of the stems are beginnings of a sentence, which the choices end.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Kind, Metric

TASK = Task(
    "openbookqa",
    Kind.CHOOSE,
    Rows("allenai/openbookqa", "main", training="train", validation="validation", test="test", licence="Apache 2.0"),
    Asking("question_stem", "{{choices.label.index(answerKey.lstrip())}}", "{{choices.text}}"),
    Judging((Metric("acc"), Metric("acc_norm"))),
    "1.0",
    LM_EVAL,
)
OPENBOOKQA = fixed(TASK)
