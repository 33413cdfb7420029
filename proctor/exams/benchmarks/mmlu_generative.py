"""MMLU (Hendrycks et al. 2021, MIT) with written answers: the letter is written, not scored. A subject a task.

Rows are those of `proctor.exams.benchmarks.mmlu`; of `dev` the first are shown, as many as are asked for.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.reading.hub import REPO, SUBJECTS
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step

_FIRST_LINE = Chain(
    "get_response",
    (
        Step("regex", {"regex_pattern": r"^(.*?)(?=\n|$)"}),
        Step("remove_whitespace"),
        Step("regex", {"regex_pattern": r"^(.*?)\s*$"}),
        Step("take_first"),
    ),
)


def task_of(subject: str) -> Task:
    """The task of one subject."""
    return Task(
        f"mmlu_{subject}_generative",
        Kind.WRITE,
        Rows(REPO, subject, test="test", pool="dev", licence="MIT"),
        Asking(
            "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:",
            "{{['A', 'B', 'C', 'D'][answer]}}",
            description="The following are multiple choice questions (with answers) about "
            f"{subject.replace('_', ' ')}.\n\n",
            first_shots=True,
            generation={"until": ["</s>", "\n"]},
        ),
        Judging((Metric("exact_match", {"ignore_punctuation": True, "ignore_case": True}),), (_FIRST_LINE,)),
        "3.0",
        LM_EVAL,
    )


MMLU_GENERATIVE = fixed(*map(task_of, SUBJECTS), name="mmlu_generative")
