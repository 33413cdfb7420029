"""A row as a Question of an exam in a form: one that is asked, or one that is shown as an example. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from proctor.errors import BadExam
from proctor.exams.reading.identity import question_id
from proctor.exams.reading.problems import shown
from proctor.exams.tasks.definition import Row, Task
from proctor.exams.tasks.fields import Fields, Target
from proctor.exams.tasks.form import Kind
from proctor.nouns.exams import Question


@dataclass(frozen=True)
class Shape:
    """What lm-evaluation-harness decides on the first row, for all."""

    contexts: bool  # each choice is a context, and the text is the index of the right one
    several: bool  # the target is a list of right answers


def shape_of(task: Task, fields: Fields, row: Row) -> Shape:
    """The shape of a task by its first row. Raises `BadExam`."""
    contexts = task.kind is Kind.CHOOSE and isinstance(fields.text(row), int)
    return Shape(contexts, isinstance(fields.target(row), list | tuple))


def question_of(task: Task, fields: Fields, row: Row, index: int, shape: Shape) -> Question:
    """The Question of a row that is asked, its examples left out. Raises `BadExam`, naming the row."""
    target, opening = fields.target(row), fields.opening(row)
    text = fields.text(row) if task.kind is not Kind.ROLLING else _only(task, target, index)
    if task.kind is Kind.CHOOSE and shape.contexts:
        return _in_contexts(task, fields, row, index)
    if not isinstance(text, str):
        raise _bad(task, index, f"its text is {text!r}, and others' is none that is a number")
    if task.kind is Kind.CHOOSE:
        choices = fields.choices(row)
        named = task.judging.right(row) if task.judging.right else target
        answer, *further = _right(task, named, choices, index)
        identity = question_id(task.name, text, choices, (), (), opening)
        return Question(identity, index, text, choices, answer, further=tuple(further), opening=opening)
    turns = _turns(task, row, index)
    identity = question_id(task.name, text, (), turns, (), opening)
    reference = _reference(task, fields, row, shape, text)
    return Question(identity, index, text, reference=reference, turns=turns, opening=opening)


def example_of(task: Task, fields: Fields, row: Row, index: int) -> Question:
    """The Question of a row that is shown with its answer; `index` is its place in the pool. Raises `BadExam`."""
    text, target, choices, opening = fields.text(row), fields.target(row), fields.choices(row), fields.opening(row)
    if isinstance(text, int):
        if not 0 <= text < len(choices):
            raise _bad(task, index, f"{text} is the place of none of its {len(choices)} contexts")
        text, choices = choices[text], ()
    first = target[0] if isinstance(target, list | tuple) and target else target
    place = choices.index(first) if first in choices else first
    if choices and isinstance(place, int):
        if not 0 <= place < len(choices):
            raise _bad(task, index, f"{place} is the place of none of its {len(choices)} choices")
        return Question(question_id(task.name, text, choices), index, text, choices, int(place), opening=opening)
    return Question(question_id(task.name, text, ()), index, text, reference=str(first), opening=opening)


def _in_contexts(task: Task, fields: Fields, row: Row, index: int) -> Question:
    right, behind, contexts, opening = fields.text(row), fields.target(row), fields.choices(row), fields.opening(row)
    if not isinstance(right, int) or not 0 <= right < len(contexts):
        raise _bad(task, index, f"{right!r} is the place of none of its {len(contexts)} contexts")
    text = _only(task, behind, index)
    identity = question_id(task.name, text, contexts, (), contexts, opening)
    return Question(identity, index, text, contexts, right, contexts=contexts, opening=opening)


def _right(task: Task, target: object, choices: Sequence[str], index: int) -> list[int]:
    """Places of the right choices, the first first."""
    named = target if isinstance(target, list | tuple) else [target]
    places = [choices.index(one) if isinstance(one, str) and one in choices else one for one in named]
    right = [int(one) for one in places if isinstance(one, int) and 0 <= one < len(choices)]
    if not right:
        raise _bad(task, index, f"its right answer {shown(target)} is none of its {len(choices)} choices")
    return list(dict.fromkeys(right))


def _reference(task: Task, fields: Fields, row: Row, shape: Shape, text: str) -> str:
    if task.judging.reference:
        return json.dumps(task.judging.reference(row), ensure_ascii=False)
    if task.kind is Kind.ROLLING:
        return json.dumps({"words": len(re.split(r"\s+", text)), "bytes": len(text.encode())})
    right = _right_texts(fields, row, shape)
    if offered := _offered(task, row):
        return json.dumps({"right": right, "choices": offered}, ensure_ascii=False)
    return right if isinstance(right, str) else json.dumps(right, ensure_ascii=False)


def _right_texts(fields: Fields, row: Row, shape: Shape) -> str | list[str]:
    target, choices = fields.target(row), fields.choices(row)
    if choices and isinstance(target, int) and 0 <= target < len(choices):
        return choices[target]
    if shape.several:
        return [str(one) for one in (target if isinstance(target, list | tuple) else [target])]
    return str(target)


def _offered(task: Task, row: Row) -> list[str]:
    """The row's `choices`, where a filter looks for their wording in the reply; else none."""
    named = any(step.function == "multi_choice_regex" for chain in task.judging.chains for step in chain.steps)
    choices = row.get("choices")
    return [str(one) for one in choices] if named and isinstance(choices, list) else []


def _turns(task: Task, row: Row, index: int) -> tuple[str, ...]:
    """What is said after the text; only of what is written."""
    said = task.asking.turns(row) if task.asking.turns else ()
    if not isinstance(said, list | tuple) or not all(isinstance(one, str) and one.strip() for one in said):
        raise _bad(task, index, f"its further messages are {shown(said)}, and no list of texts")
    return tuple(said)


def _only(task: Task, target: Target, index: int) -> str:
    if not isinstance(target, str):
        raise _bad(task, index, f"{shown(target)} stands where one text is scored")
    return target


def _bad(task: Task, index: int, cause: str) -> BadExam:
    return BadExam(f"Row {index + 1} of {task.name!r} can't be asked: {cause}.", "Mend the row, or leave it out.")
