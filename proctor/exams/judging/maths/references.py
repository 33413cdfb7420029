"""The right answer of a question in mathematics."""

from __future__ import annotations

from proctor.exams.judging.references import parts_of, right_texts
from proctor.nouns.exams import Question


def answer_of(question: Question) -> str:
    """`answer` of the reference, else the reference."""
    return str(parts_of(question).get("answer", right_texts(question)[0]))


def solution_of(question: Question) -> str:
    """`solution` of the reference, with the way to the answer; else the answer alone, in a box."""
    return str(parts_of(question).get("solution", f"\\boxed{{{answer_of(question)}}}"))
