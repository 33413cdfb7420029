"""What a written answer is held against, read out of `Question.reference`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from proctor.nouns.exams import Question


def right_texts(question: Question) -> tuple[str, ...]:
    """All right answers: of a JSON list, or `right` of a mapping; else the reference; else the right choices."""
    if question.reference:
        value = _json(question.reference)
        right = value.get("right") if isinstance(value, dict) else value
        return _texts(right) or (question.reference,)
    if question.answer is None:
        return ("",)
    return tuple(question.choices[index] for index in (question.answer, *question.further))


def choices_of(question: Question) -> tuple[str, ...]:
    """The choices that an answer in words may name: the question's own, else `choices` of its reference."""
    return question.choices or _texts(parts_of(question).get("choices"))


def _texts(value: object) -> tuple[str, ...]:
    """A text, or a list of texts; nothing for another value."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    return ()


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
