"""PIQA (Bisk et al. 2020, AFL 3.0): which of two ways reaches a goal in the physical world. 1,838 rows of validation.

A row: {"goal": "…", "sol1": "…", "sol2": "…", "label": 0}. Spaces at the end of a solution stay, and count.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Kind, Metric

TASK = Task(
    "piqa",
    Kind.CHOOSE,
    Rows("baber/piqa", training="train", validation="validation", licence="AFL 3.0"),
    Asking("Question: {{goal}}\nAnswer:", "label", "{{[sol1, sol2]}}"),
    Judging((Metric("acc"), Metric("acc_norm"))),
    "1.0",
    LM_EVAL,
)
PIQA = fixed(TASK)
