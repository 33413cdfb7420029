"""MBPP (Austin et al. 2021, CC BY 4.0): small programs by a sentence and three tests, 500 rows; judging runs them.

A row: {"task_id": 11, "text": "Write a python function to …", "code": "def …", "test_list": ["assert …", …]}. Three
solved ones are shown, which are read out of lm_eval's task files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import benchmark_of
from proctor.exams.tasks.borrowed import borrowed, rows_in
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Settings, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step

_EXAMPLES = "c78a8c83b939836cf53fa849ae4de62605c5b2e2d7213f4c87dfab1666f2eda6"
_TESTS = "{{test_list[0]}}\n{{test_list[1]}}\n{{test_list[2]}}"


def program(row: Row) -> object:
    """What a reply is run with."""
    return {"test_list": row["test_list"]}


TASK = Task(
    "mbpp",
    Kind.WRITE,
    Rows("google-research-datasets/mbpp", "full", test="test", licence="CC BY 4.0"),
    Asking(
        "You are an expert Python programmer, and here is your task: {{text}} Your code should pass these tests:\n\n"
        f"{_TESTS}\n[BEGIN]\n",
        "{% if is_fewshot is defined %}{{code}}\n[DONE]{% else %}" + _TESTS + "{% endif %}",
        target_delimiter="",
        first_shots=True,
        shots=3,
        generation={"until": ["[DONE]"], "do_sample": False},
    ),
    Judging((Metric("pass_at_1"),), reference=program),
    "1.0",
    LM_EVAL,
    runs_code=True,
)


INSTRUCT = replace(
    TASK,
    name="mbpp_instruct",
    asking=replace(
        TASK.asking,
        text="You are an expert Python programmer, and here is your task:\n{{text}}\n"
        f"Your code should pass these tests:\n{_TESTS}",
        target="{% if is_fewshot is defined %}{{code}}\n```{% else %}" + _TESTS + "{% endif %}",
        opening="\n```python\n",
        generation={"max_gen_toks": 256, "until": [], "do_sample": False},
    ),
    judging=replace(TASK.judging, chains=(Chain("extract_code", (Step("code_block"),)),)),
)


def _solved(task: Task) -> Callable[[Settings], Sequence[Task]]:
    """The task with the three solutions that it shows."""

    def tasks(settings: Settings) -> Sequence[Task]:
        ((samples,),) = borrowed(settings.tasks, ["mbpp/mbpp.yaml"], ["fewshot_config.samples"], _EXAMPLES)
        return [replace(task, rows=replace(task.rows, samples=rows_in(samples)))]

    return tasks


MBPP = benchmark_of("mbpp", Kind.WRITE, _solved(TASK))
MBPP_INSTRUCT = benchmark_of("mbpp_instruct", Kind.WRITE, _solved(INSTRUCT))
