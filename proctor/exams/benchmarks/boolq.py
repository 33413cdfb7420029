"""BoolQ (Clark et al. 2019, CC BY-SA 3.0): yes or no to a question on a passage. 3,270 rows of validation.

A row: {"question": "is house tax and property tax are same", "passage": "Property tax -- …", "label": 1}; the question
has no mark at its end.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Kind, Metric

TASK = Task(
    "boolq",
    Kind.CHOOSE,
    Rows("aps/super_glue", "boolq", training="train", validation="validation", licence="CC BY-SA 3.0"),
    Asking("{{passage}}\nQuestion: {{question}}?\nAnswer:", "label", ("no", "yes")),
    Judging((Metric("acc"),)),
    "2.0",
    LM_EVAL,
)
BOOLQ = fixed(TASK)
