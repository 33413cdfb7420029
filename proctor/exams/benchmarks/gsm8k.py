"""GSM8K (Cobbe et al. 2021, MIT): sums in words, for schools. 1,319 rows of test.

A row: {"question": "Natalia sold clips to 48 …", "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in …⏎…⏎#### 72"}.
`gsm8k` shows five solutions of the training split, others to each question; `gsm8k_cot` shows all the same eight, of
Wei et al. 2022, which are read out of lm_eval's task file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import benchmark_of, fixed
from proctor.exams.tasks.borrowed import borrowed, rows_in
from proctor.exams.tasks.definition import Asking, Judging, Rows, Settings, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step

_FLEXIBLE = Chain(
    "flexible-extract",
    (Step("regex", {"group_select": -1, "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"}), Step("take_first")),
)
_IGNORED = {
    "ignore_case": True,
    "ignore_punctuation": False,
    "regexes_to_ignore": [",", r"\$", "(?s).*#### ", r"\.$"],
}
_SHOTS = "ab17e493c9628582f4d4ba2086780bd1df35af6884e5f00e0efca4f6c012a03b"


def _strict(pattern: str) -> Chain:
    return Chain("strict-match", (Step("regex", {"regex_pattern": pattern}), Step("take_first")))


TASK = Task(
    "gsm8k",
    Kind.WRITE,
    Rows("openai/gsm8k", "main", training="train", test="test", pool="train", licence="MIT"),
    Asking(
        "Question: {{question}}\nAnswer:",
        "{{answer}}",
        shots=5,
        generation={"until": ["Question:", "</s>", "<|im_end|>"], "do_sample": False, "temperature": 0.0},
    ),
    Judging((Metric("exact_match", _IGNORED),), (_strict(r"#### (\-?[0-9\.\,]+)"), _FLEXIBLE)),
    "3.0",
    LM_EVAL,
)
COT = replace(
    TASK,
    name="gsm8k_cot",
    rows=Rows("openai/gsm8k", "main", test="test", licence="MIT"),
    asking=Asking(
        "Q: {{question}}\nA:",
        "{{answer.split('####')[-1].strip() if answer is defined else target}}",
        first_shots=True,
        shots=8,
        generation={"do_sample": False, "until": ["Q:", "</s>", "<|im_end|>"]},
    ),
    judging=replace(TASK.judging, chains=(_strict(r"The answer is (\-?[0-9\.\,]+)."), _FLEXIBLE)),
)


def with_solutions(settings: Settings) -> Sequence[Task]:
    """The task with the eight solutions that it shows."""
    ((samples,),) = borrowed(settings.tasks, ["gsm8k/gsm8k-cot.yaml"], ["fewshot_config.samples"], _SHOTS)
    return [replace(COT, rows=replace(COT.rows, samples=rows_in(samples)))]


GSM8K = fixed(TASK)
GSM8K_COT = benchmark_of("gsm8k_cot", Kind.WRITE, with_solutions)
