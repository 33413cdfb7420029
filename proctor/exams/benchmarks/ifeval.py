"""IFEval (Zhou et al. 2023, Apache 2.0): instructions that a program can check. 541 rows.

A row: {"key": 1000, "prompt": "…", "instruction_id_list": ["punctuation:no_comma", …], "kwargs": [{…}, …]}. Loaded from
the hub, each of `kwargs` has all names, with None for those that aren't given.
"""

from __future__ import annotations

from collections.abc import Mapping

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Task
from proctor.exams.tasks.form import Kind, Metric


def instructions(row: Row) -> object:
    """The instructions of a prompt, with those arguments that are given."""
    every = row["kwargs"]
    given = [dict(one) for one in every if isinstance(one, Mapping)] if isinstance(every, list) else []
    return {
        "instruction_id_list": row["instruction_id_list"],
        "kwargs": [{name: value for name, value in one.items() if value is not None} for one in given],
        "prompt": row["prompt"],
    }


TASK = Task(
    "ifeval",
    Kind.WRITE,
    Rows("google/IFEval", test="train", licence="Apache 2.0"),
    Asking(
        "prompt",
        0,
        shots=0,
        generation={"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": 1280},
    ),
    Judging(
        tuple(Metric(f"{what}_level_{how}_acc") for how in ("strict", "loose") for what in ("prompt", "inst")),
        reference=instructions,
    ),
    "4.0",
    LM_EVAL,
)
IFEVAL = fixed(TASK)
