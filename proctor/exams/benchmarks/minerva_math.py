r"""MATH (Hendrycks et al. 2021, MIT) as Minerva asks it (Lewkowycz et al. 2022): 5,000 problems of seven kinds.

A row: {"problem": "…", "solution": "… $\boxed{2}$ …", "level": "Level 5", "type": "Algebra"}. Four solved problems are
shown, which are read out of lm_eval's task files. The authors' data set was taken off the hub after a complaint; this
is another's copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import benchmark_of
from proctor.exams.judging.maths.answers import boxed
from proctor.exams.judging.maths.minerva import normalized
from proctor.exams.tasks.borrowed import borrowed, rows_in
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Settings, Task
from proctor.exams.tasks.form import Kind, Metric

KINDS = {
    "algebra": "algebra",
    "counting_and_prob": "counting_and_probability",
    "geometry": "geometry",
    "intermediate_algebra": "intermediate_algebra",
    "num_theory": "number_theory",
    "prealgebra": "prealgebra",
    "precalc": "precalculus",
}
FIGURES = {"exact_match": "minerva_math", "math_verify": "math_verify"}
_EXAMPLES = "df1e8753778815e9497a84b7068e7178b428c183d1bf75fc5e458444ceea23c8"


def problem(row: Row) -> str:
    """The problem, up to where its solution begins."""
    return f"Problem:\n{row['problem']}\n\nSolution:"


def solution(row: Row) -> object:
    """The right answer and the way to it."""
    return {"answer": boxed(str(row["solution"])) or "", "solution": row["solution"]}


def prepared(rows: Sequence[Row]) -> list[Row]:
    """The rows with `answer`, normalized."""
    return [{**row, "answer": normalized(boxed(str(row["solution"])) or "")} for row in rows]


def tasks(settings: Settings) -> Sequence[Task]:
    """The tasks of all kinds, with the four solutions that they show."""
    place = "minerva_math/minerva_math_algebra.yaml"
    ((samples,),) = borrowed(settings.tasks, [place], ["fewshot_config.samples"], _EXAMPLES)
    return [task_of(kind, rows_in(samples)) for kind in KINDS]


def task_of(kind: str, samples: tuple[Row, ...]) -> Task:
    """The task of one kind."""
    return Task(
        f"minerva_math_{kind}",
        Kind.WRITE,
        Rows(
            "EleutherAI/hendrycks_math",
            KINDS[kind],
            training="train",
            test="test",
            samples=samples,
            prepare=prepared,
            licence="MIT",
        ),
        Asking(
            problem,
            "{{answer if few_shot is undefined else solution}}",
            first_shots=True,
            shots=4,
            generation={"until": ["Problem:"], "do_sample": False, "temperature": 0},
        ),
        Judging(
            (Metric("exact_match", {"function": FIGURES["exact_match"]}), Metric("math_verify")), reference=solution
        ),
        "3.1",
        LM_EVAL,
    )


MINERVA_MATH = benchmark_of("minerva_math", Kind.WRITE, tasks)
