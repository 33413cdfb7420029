"""What a written answer is held against, read out of `Question.reference`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from proctor.nouns.exams import Question


def right_texts(question: Question) -> tuple[str, ...]:
    """All right answers: those of a JSON list, else the reference, else the text of the right choices."""
    if question.reference:
        value = _json(question.reference)
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return tuple(value)
        return (question.reference,)
    if question.answer is None:
        return ("",)
    return tuple(question.choices[index] for index in (question.answer, *question.further))


def parts_of(question: Question) -> Mapping[str, object]:
    """The parts of a reference that is a JSON mapping; none for another."""
    value = _json(question.reference)
    return value if isinstance(value, dict) else {}


def _json(text: str) -> object:
    if not text.startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
