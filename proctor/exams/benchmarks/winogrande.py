"""WinoGrande (Sakaguchi et al. 2019, CC BY): which of two names fills a gap. 1,267 rows of validation.

A row: {"sentence": "Sarah was a better surgeon than Maria so _ always got the easier cases.", "option1": "Sarah",
"option2": "Maria", "answer": "2"}. The sentence up to the gap with each name is a context, and the rest is scored
behind each.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Task
from proctor.exams.tasks.form import Kind, Metric


def right(row: Row) -> int:
    """The index of the right option."""
    return {"1": 0, "2": 1}[str(row["answer"])]


def contexts(row: Row) -> list[str]:
    """The sentence up to its gap, with each option in it."""
    before, gap, _ = str(row["sentence"]).partition("_")
    if not gap:
        raise ValueError("its sentence has no gap")
    return [f"{before}{row[option]}" for option in ("option1", "option2")]


def rest(row: Row) -> str:
    """The sentence behind its gap."""
    return str(row["sentence"]).partition("_")[2].strip()


TASK = Task(
    "winogrande",
    Kind.CHOOSE,
    Rows("allenai/winogrande", "winogrande_xl", training="train", validation="validation", licence="CC BY"),
    Asking(right, rest, contexts),
    Judging((Metric("acc"),)),
    "1.0",
    LM_EVAL,
)
WINOGRANDE = fixed(TASK)
