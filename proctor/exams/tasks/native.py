"""Pieces of ours for functions that many task files have: rows by a column's value, labels, texts with gaps."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from proctor.errors import BadExam
from proctor.exams.tasks.definition import Column, Prepare, Row
from proctor.exams.tasks.literals import assigned_in, constant_of
from proctor.exams.tasks.task_files import Reference

_LETTERS = "ABCDEFGHIJ"


def rows_where(column: str, value: object) -> Prepare:
    """The rows whose column has a value."""
    return lambda rows: [row for row in rows if row[column] == value]


def rows_where_cut(column: str, value: object) -> Prepare:
    """The same, where the column may hold the name of a file: what stands before `_test.csv` or `_test-` counts."""

    def cut(held: object) -> object:
        text = str(held)
        ends = [text.find(mark) for mark in ("_test.csv", "_test-") if mark in text]
        return text[: ends[0]] if ends else held

    return lambda rows: [row for row in rows if cut(row[column]) == value]


def rows_filled(column: str) -> Prepare:
    """The rows whose column holds a list that isn't empty."""
    return lambda rows: [row for row in rows if row[column]]


def labelled(labels: Sequence[str]) -> Column:
    """The name of the row's `label`, from 0."""
    named = dict(enumerate(labels))
    return lambda row: named[_whole(row["label"])]


def literal(column: str) -> Column:
    """The value of a literal of Python that a column holds as text."""
    return lambda row: ast.literal_eval(str(row[column]))


def gaps(reference: Reference, name: str) -> Column:
    """The text that the function assigns to `name`, its gaps filled with columns and `choice1`, `choice2`, …"""
    text = assigned_in(reference, name)

    def filled(row: Row) -> str:
        choices = ast.literal_eval(str(row["choices"])) if "{choice1}" in text else ()
        numbered = {f"choice{number}": choice for number, choice in enumerate(choices, start=1)}
        return text.format_map({**row, **numbered})

    return filled


def four_choices(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows with `choices` of the columns `choice1` to `choice4`, empty ones as "", and a stripped answer."""
    names = ("choice1", "choice2", "choice3", "choice4")
    return [
        {**row, "choices": [row[name] or "" for name in names], "answer": str(row["answer"] or "").strip()}
        for row in rows
    ]


def in_language(reference: Reference, sha256: str, *, solved: bool) -> Column:
    """MMLU-ProX: a question in the language that the task's folder is called after, with its solution where `solved`.

    The language's words stand in `lang_libs.py` above the folder, a file of this sha256.
    """
    words = constant_of(reference.folder.parent / "lang_libs.py", "LANG_LIBS", sha256)
    own = words.get(reference.folder.name) if isinstance(words, Mapping) else None
    if not isinstance(own, list) or len(own) < 5:
        raise BadExam(f"lang_libs.py has no words for the language {reference.folder.name!r}.")
    question, options, think, _, thinks = (str(word) for word in own[:5])

    def text(row: Row) -> str:
        offered = ((letter, row[f"option_{place}"]) for place, letter in enumerate(_LETTERS))
        lines = "".join(f"{letter}. {option}\n" for letter, option in offered if option is not None)
        end = str(row["cot_content"]).replace(thinks, think) + "\n\n" if solved else think
        return f"{question}\n{row['question']}\n{options}\n{lines}{end}"

    return text


def _whole(value: object) -> int:
    if isinstance(value, int):
        return value
    raise TypeError(f"{value!r} is no label")
