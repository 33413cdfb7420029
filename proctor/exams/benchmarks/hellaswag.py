"""HellaSwag (Zellers et al. 2019, MIT): which of four endings goes on with a scene. 10,042 rows of validation.

A row: {"activity_label": "Roof shingle removal", "ctx_a": "A man is sitting on a roof.", "ctx_b": "he", "endings":
[…], "label": "3"}. Scenes from WikiHow carry marks in square brackets, which are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Task
from proctor.exams.tasks.form import Kind, Metric

_MARK = re.compile(r"\[.*?\]")


def cleaned(text: str) -> str:
    """A text without WikiHow's marks; a title's becomes a full stop, of three spaces two stay."""
    return _MARK.sub("", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def prepared(rows: Sequence[Row]) -> list[Row]:
    """The rows with `query`, `choices` and `gold`. Of `ctx_b` the first letter is made upper, all others lower."""
    return [
        {
            **row,
            "query": cleaned(f"{row['activity_label']}: {row['ctx_a']} {str(row['ctx_b']).capitalize()}"),
            "choices": [cleaned(ending) for ending in _texts(row["endings"])],
            "gold": int(str(row["label"])),
        }
        for row in rows
    ]


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


TASK = Task(
    "hellaswag",
    Kind.CHOOSE,
    Rows("Rowan/hellaswag", training="train", validation="validation", prepare=prepared, licence="MIT"),
    Asking("query", "gold", "choices"),
    Judging((Metric("acc"), Metric("acc_norm"))),
    "1.0",
    LM_EVAL,
)
HELLASWAG = fixed(TASK)
