"""HumanEval (Chen et al. 2021, MIT): 164 functions of Python to be written from their heads; judging runs them.

A row: {"task_id": "HumanEval/0", "prompt": "def has_close_elements(…", "canonical_solution": "…", "test": "def
check(candidate): …", "entry_point": "has_close_elements"}.
"""

from __future__ import annotations

from dataclasses import replace

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step


def program(row: Row) -> object:
    """What a reply is run with: the head that it goes on from, the tests and the function's name."""
    return {name: row[name] for name in ("prompt", "test", "entry_point")}


TASK = Task(
    "humaneval",
    Kind.WRITE,
    Rows("openai/openai_humaneval", test="test", licence="MIT"),
    Asking(
        "{{prompt}}",
        "{{test}}\ncheck({{entry_point}})",
        shots=0,
        generation={
            "until": ["\nclass", "\ndef", "\n#", "\nif", "\nprint"],
            "max_gen_toks": 1024,
            "do_sample": False,
        },
    ),
    Judging(
        (Metric("pass_at_k", {"k": [1]}),), (Chain("create_test", (Step("code_behind_prompt"),)),), reference=program
    ),
    "1.0",
    LM_EVAL,
    runs_code=True,
)
INSTRUCT = replace(
    TASK,
    name="humaneval_instruct",
    asking=replace(
        TASK.asking,
        text="Write a solution to the following problem and make sure that it passes the tests:\n"
        "```python\n{{prompt}}\n```\n",
        opening="Here is the completed function:\n```python\n{{prompt}}\n",
    ),
    judging=replace(TASK.judging, chains=(Chain("create_test", (Step("code_behind_prompt_to_fence"),)),)),
    version="4.0",
)
HUMANEVAL, HUMANEVAL_INSTRUCT = fixed(TASK), fixed(INSTRUCT)
