"""Natural Questions, open (Lee et al. 2019, CC BY-SA 3.0): short answers from memory. 3,610 rows of validation.

A row: {"question": "when was the last time anyone was on the moon", "answer": ["14 December 1972 UTC", …]}.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step

_ARTICLES = r"\b(?:The |the |An |A |The |a |an )"
TASK = Task(
    "nq_open",
    Kind.WRITE,
    Rows("google-research-datasets/nq_open", training="train", validation="validation", licence="CC BY-SA 3.0"),
    Asking(
        "Q: {{question}}?\nA:",
        "{{answer}}",
        description="Answer these questions:\n\n",
        fewshot_delimiter="\n",
        generation={"until": ["\n", ".", ","], "do_sample": False, "temperature": 0.0},
    ),
    Judging(
        (Metric("exact_match", {"ignore_case": True, "ignore_punctuation": True, "regexes_to_ignore": [_ARTICLES]}),),
        (Chain("remove_whitespace", (Step("remove_whitespace"), Step("take_first"))),),
    ),
    "4.0",
    LM_EVAL,
)
NQ_OPEN = fixed(TASK)
