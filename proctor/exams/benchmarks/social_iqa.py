"""Social IQa (Sap et al. 2019, CC BY 4.0): what people do, want or feel next. 1,954 rows of validation.

A row: {"context": "…", "question": "…", "answerA": "…", "answerB": "…", "answerC": "…", "label": "1"}.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Kind, Metric

TASK = Task(
    "social_iqa",
    Kind.CHOOSE,
    Rows("lighteval/siqa", training="train", validation="validation", licence="CC BY 4.0"),
    Asking("Q: {{context}} {{question}}\nA:", "{{(label|int) - 1}}", "{{[answerA, answerB, answerC]}}"),
    Judging((Metric("acc"),)),
    "0.0",
    LM_EVAL,
)
SOCIAL_IQA = fixed(TASK)
