"""CommonsenseQA (Talmor et al. 2019, MIT): five options, asked for by letter. 1,221 rows of validation.

A row: {"question": "…", "choices": {"label": ["A", …, "E"], "text": [5 texts]}, "answerKey": "A"}.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Kind, Metric

LETTERS = ("A", "B", "C", "D", "E")
TASK = Task(
    "commonsense_qa",
    Kind.CHOOSE,
    Rows("tau/commonsense_qa", training="train", validation="validation", licence="MIT"),
    Asking(
        "Question: {{question.strip()}}\n{% for letter in ['A', 'B', 'C', 'D', 'E'] %}"
        "{{letter}}. {{choices['text'][loop.index0]}}\n{% endfor %}Answer:",
        "answerKey",
        LETTERS,
    ),
    Judging((Metric("acc"),)),
    release=LM_EVAL,
)
COMMONSENSE_QA = fixed(TASK)
