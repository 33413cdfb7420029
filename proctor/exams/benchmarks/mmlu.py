"""MMLU: 57 subjects of multiple choice, from the Hugging Face hub (cais/mmlu, MIT licence).

A row: {"question": "What is the embryological origin of the hyoid bone?", "choices": ["The first pharyngeal arch",
"The first and second pharyngeal arches", "The second pharyngeal arch", "The second and third pharyngeal arches"],
"answer": 3, "subject": "anatomy"}. Source: Hendrycks et al. 2021, "Measuring Massive Multitask Language Understanding".
Prompts: `proctor.exams.benchmarks.mmlu_prompts`; files of one's own are put and marked the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

from proctor.exams.benchmarks.base import Benchmark, Examinee, ExamSet
from proctor.exams.benchmarks.mmlu_prompts import PROMPT_VERSION, choose
from proctor.exams.marking.choice import mark
from proctor.exams.reading import hub
from proctor.exams.reading.assembly import Splits, assemble
from proctor.exams.reading.problems import Faults
from proctor.exams.reading.questions import draft
from proctor.exams.reading.subjects import select
from proctor.nouns.exams import Choose, Conditions, Exam, Exchange, Question


def ask(
    exam: Exam, question: Question, conditions: Conditions, examinee: Examinee, so_far: Sequence[Exchange]
) -> Choose | None:
    """One Choose a question (see `choose`)."""
    return None if so_far else choose(exam, question, conditions, examinee)


def rows(subjects: Sequence[str]) -> ExamSet:
    """The dev and test questions of these subjects, from the hub or its cache."""
    faults = Faults()
    splits: dict[str, Splits] = {}
    notes: list[str] = []
    for subject in select(subjects, hub.SUBJECTS):
        dev, test = (
            draft(hub.rows(hub.REPO, subject, split), f"{hub.REPO}/{subject}/{split}", subject, faults, named=True)
            for split in ("dev", "test")
        )
        splits[subject] = Splits(list(dev.questions), list(test.questions))
        notes += dev.notes + test.notes
    faults.raise_any()
    exams, found = assemble("mmlu", splits)
    return ExamSet("mmlu", PROMPT_VERSION, exams, (*notes, *found))


MMLU = Benchmark("mmlu", PROMPT_VERSION, Choose, rows, ask, mark)
