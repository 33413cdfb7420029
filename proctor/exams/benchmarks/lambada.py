"""LAMBADA (Paperno et al. 2016) as OpenAI prepared it (MIT): the last word of a passage. 5,153 rows of test.

A row: {"text": "…"}. Words are what single spaces separate; line breaks stay. The word that is scored brings its space.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Headline, Kind, Metric

TASK = Task(
    "lambada_openai",
    Kind.LOGLIKELIHOOD,
    Rows("EleutherAI/lambada_openai", "default", test="test", licence="MIT"),
    Asking("{{text.split(' ')[:-1]|join(' ')}}", "{{' ' + text.split(' ')[-1]}}"),
    Judging(
        (Metric("perplexity", aggregation="perplexity", higher_is_better=False), Metric("acc")),
        headline=Headline("acc", "none"),
    ),
    "1.0",
    LM_EVAL,
)
LAMBADA_OPENAI = fixed(TASK)
