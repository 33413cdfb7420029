"""ARC (Clark et al. 2018, CC BY-SA 4.0): questions of school science, two sets. 2,376 and 1,172 rows of test.

A row: {"question": "…", "choices": {"text": [3 to 5 texts], "label": ["A", "B", …]}, "answerKey": "B"}. Some rows have
the labels 1 to 4: the right choice is where the key stands among the labels.
"""

from __future__ import annotations

from dataclasses import replace

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Kind, Metric

EASY = Task(
    "arc_easy",
    Kind.CHOOSE,
    Rows(
        "allenai/ai2_arc",
        "ARC-Easy",
        training="train",
        validation="validation",
        test="test",
        licence="CC BY-SA 4.0",
    ),
    Asking("Question: {{question}}\nAnswer:", "{{choices.label.index(answerKey)}}", "{{choices.text}}"),
    Judging((Metric("acc"), Metric("acc_norm"))),
    "1.0",
    LM_EVAL,
)
CHALLENGE = replace(EASY, name="arc_challenge", rows=replace(EASY.rows, config="ARC-Challenge"))
ARC_EASY, ARC_CHALLENGE = fixed(EASY), fixed(CHALLENGE)
