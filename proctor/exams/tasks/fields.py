"""What a task's fields say of a row: a column, a rendered template, or what a piece of ours makes of it. Pure.

The rules are those of lm-evaluation-harness 0.4.13 (`ConfigurableTask.doc_to_text` and its neighbours), oddities too.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from proctor.errors import BadExam
from proctor.exams.reading.problems import shown
from proctor.exams.tasks.definition import Asking, Field, Row
from proctor.exams.tasks.templates import read_template

Target = str | int | Sequence[object]


@dataclass(frozen=True)
class Fields:
    """The fields of a question, or of an example, for rows of a data set with these columns."""

    task: str
    text_field: Field
    target_field: Field
    choices_field: Field
    opening_field: Field
    columns: frozenset[str]
    lettered: bool  # whether the task has choices: rendered digits are then ints

    def text(self, row: Row) -> str | int:
        """The text before the answer, or the index of the right context. Raises `BadExam`."""
        value = self._resolved(self.text_field, "text", row)
        if isinstance(value, str) and self.lettered and _is_digits(value) and not self._is_column(self.text_field):
            return int(value)
        if isinstance(value, str | int):
            return value
        raise self._bad("text", value, "a text")

    def target(self, row: Row) -> Target:
        """The right answer: a text, the index of a choice, or a list of several. Raises `BadExam`."""
        value = self._resolved(self.target_field, "target", row)
        if isinstance(value, str) and not self._is_column(self.target_field) and not callable(self.target_field):
            value = self._read(value)
        if isinstance(value, str | int | list | tuple):
            return value
        if isinstance(value, float):
            return str(value)
        raise self._bad("target", value, "a text, an index or a list")

    def choices(self, row: Row) -> tuple[str, ...]:
        """The choices; none for a task that has none. Raises `BadExam`."""
        if not self.lettered:
            return ()
        field = self.choices_field
        if isinstance(field, Mapping):
            value: object = list(field.values())
        else:
            value = self._resolved(field, "choices", row)
        if isinstance(value, str) and not self._is_column(field):
            value = _literal(value)
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise self._bad("choices", value, "a list of texts")

    def opening(self, row: Row) -> str:
        """How the answer begins; "" where the task doesn't say. Raises `BadExam`."""
        if not self.opening_field:
            return ""
        value = self._resolved(self.opening_field, "opening", row)
        if isinstance(value, str):
            return value
        raise self._bad("opening", value, "a text")

    def _resolved(self, field: Field, name: str, row: Row) -> object:
        if callable(field):
            try:
                return field(row)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise BadExam(
                    f"The {name} of {self.task!r} can't be made of a row: {type(error).__name__}: {error}.",
                    f"The row: {shown(repr(dict(row)), 200)}.",
                ) from error
        if not isinstance(field, str):
            return field
        if field in self.columns:
            if field not in row:
                raise BadExam(f"A row of {self.task!r} has no column {field!r}, which the others have.")
            return row[field]
        return read_template(field, f"The {name} of {self.task!r}").render(row)

    def _is_column(self, field: Field) -> bool:
        return isinstance(field, str) and field in self.columns

    def _read(self, rendered: str) -> object:
        if self.lettered and _is_digits(rendered):
            return int(rendered)
        if len(rendered) >= 2 and rendered[0] == "[" and rendered[-1] == "]":
            read = _literal(rendered)
            return rendered if read is None else read
        return rendered

    def _bad(self, name: str, value: object, wanted: str) -> BadExam:
        return BadExam(f"The {name} of {self.task!r} is {shown(value)} for a row: {wanted} is needed.")


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _literal(text: str) -> object:
    """The value of a literal of Python; None for what is none."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def of_question(task: str, asking: Asking, columns: Collection[str]) -> Fields:
    """The fields of a row that is asked."""
    return Fields(
        task, asking.text, asking.target, asking.choices, asking.opening, frozenset(columns), asking.choices is not None
    )


def of_example(task: str, asking: Asking, columns: Collection[str]) -> Fields:
    """The fields of a row that is shown: its own where they are given, else those of a question."""
    own = asking.shown
    return Fields(
        task,
        asking.text if own.text is None else own.text,
        asking.target if own.target is None else own.target,
        asking.choices if own.choices is None else own.choices,
        asking.opening if own.opening is None else own.opening,
        frozenset(columns),
        asking.choices is not None,
    )
