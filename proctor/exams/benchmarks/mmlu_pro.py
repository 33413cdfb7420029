"""MMLU-Pro (Wang et al. 2024, MIT): up to ten options, with reasoning, by category. 12,032 rows of test.

A row: {"question": "…", "options": [3 to 10 texts], "answer": "I", "category": "law", "cot_content": "A: Let's think
step by step. …"}. Five worked questions of the same category are shown, the first of validation. A name without a
revision isn't a version: rows and keys of the data set were changed.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Prepare, Row, Rows, Shown, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step

CATEGORIES = (
    "biology",
    "business",
    "chemistry",
    "computer science",
    "economics",
    "engineering",
    "health",
    "history",
    "law",
    "math",
    "other",
    "philosophy",
    "physics",
    "psychology",
)
LETTERS = "ABCDEFGHIJ"
_THINK = "Let's think step by step."


def of_value(column: str, value: object) -> Prepare:
    """The piece that keeps the rows whose column has a value."""
    return lambda rows: [row for row in rows if row[column] == value]


def question(row: Row) -> str:
    """The question with its options, up to where reasoning begins."""
    options = row["options"]
    listed = options if isinstance(options, list) else []
    lines = [f"{letter}. {str(option).strip()}\n" for letter, option in zip(LETTERS, listed, strict=False)]
    return f"Question:\n{row['question']}\nOptions:\n{''.join(lines)}Answer: {_THINK}"


def solution(row: Row) -> str:
    """The worked answer of an example, without the words that the question ends with."""
    return str(row["cot_content"]).replace(f"A: {_THINK} ", "")


def task_of(category: str) -> Task:
    """The task of one category."""
    return Task(
        f"mmlu_pro_{category.replace(' ', '_')}",
        Kind.WRITE,
        Rows(
            "TIGER-Lab/MMLU-Pro",
            test="test",
            pool="validation",
            prepare=of_value("category", category),
            licence="MIT",
        ),
        Asking(
            question,
            "answer",
            description=f"The following are multiple choice questions (with answers) about {category}. Think step by "
            'step and then finish your answer with "the answer is (X)" where X is the correct letter choice.\n',
            shown=Shown(question, solution),
            first_shots=True,
            shots=5,
            generation={"until": ["Question:"], "max_gen_toks": 2048, "do_sample": False, "temperature": 0.0},
        ),
        Judging(
            (Metric("exact_match", {"ignore_case": True, "ignore_punctuation": True}),),
            (
                Chain(
                    "custom-extract",
                    (Step("regex", {"regex_pattern": r"answer is \(?([ABCDEFGHIJ])\)?"}), Step("take_first")),
                ),
            ),
        ),
        "3.1",
        LM_EVAL,
    )


MMLU_PRO = fixed(*map(task_of, CATEGORIES), name="mmlu_pro")
