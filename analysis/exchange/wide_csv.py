"""Results as a CSV with a row a question and a column a model."""

from __future__ import annotations

import csv
import string
from collections.abc import Iterator
from pathlib import Path

from analysis.data.files import lines_of
from analysis.data.panel_rows import Row, Sheet, check_size
from analysis.data.terms import UNKNOWN, Terms
from proctor.contestants import Contestant
from proctor.errors import BadInput

FIXED = ("subject", "question", "answer")


def read_wide_csv(path: Path) -> tuple[Sheet, ...]:
    """A sheet a model of a CSV with `subject, question, A, B, …, answer`, and then a column of letters for each.

    An empty cell is a question on which the model gave no answer. How the questions were put is not known.

    Raises
    ------
    BadInput
        for a file without those columns, without a model, or with an answer that is no letter of its options.
    """
    try:
        reader = csv.DictReader(lines_of(path, newline=""))
        header = list(reader.fieldnames or [])
        options = [letter for letter in string.ascii_uppercase if letter in header]
        models = [name for name in header if name not in {*FIXED, *options}]
        _check(header, options, models, path)
        rows = list(_rows(reader, options, models, path))
    except csv.Error as error:
        raise BadInput(f"{path} can't be read as CSV: {error}.") from error
    if not rows:
        raise BadInput(f"{path} has no question.")
    terms = Terms(path.stem, UNKNOWN, None, None, UNKNOWN)
    return tuple(Sheet(one[0].contestant, terms, path.name, one) for one in zip(*rows, strict=True))


def _check(header: list[str], options: list[str], models: list[str], path: Path) -> None:
    missing = [name for name in FIXED if name not in header]
    if missing or len(options) < 2:
        raise BadInput(
            f"{path} lacks the columns {', '.join(missing) or 'A and B'}.",
            "Columns wanted: subject, question, A, B, …, answer, then one a model.",
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise BadInput(f"{path} has several columns named {', '.join(twice)}.", "Give each model a name of its own.")
    if not models:
        raise BadInput(f"{path} has no column of a model's answers.", "Put one a model beside the column answer.")


def _rows(reader: csv.DictReader[str], options: list[str], models: list[str], path: Path) -> Iterator[list[Row]]:
    """The Answers to each question, one a model in their order."""
    contestants = {model: Contestant(model) for model in models}
    for index, cells in enumerate(reader):
        check_size((index + 1) * len(models))
        if None in cells or None in cells.values():
            raise BadInput(f"{path}: question {index} has not as many cells as the header.")
        choices = [cells[letter] for letter in options]
        while choices and not choices[-1]:  # a question may have fewer options than the widest
            choices.pop()
        letters = options[: len(choices)]
        key = _option(cells["answer"], letters, "answer", path)
        if key is None:
            raise BadInput(f"{path}: question {index} has no answer.")
        yield [
            Row(
                contestants[model], cells["subject"], index, cells["question"], tuple(choices), key,
                _option(cells[model], letters, model, path),
            )
            for model in models
        ]  # fmt: skip


def _option(cell: str, letters: list[str], column: str, path: Path) -> int | None:
    letter = cell.strip().upper()
    if not letter:
        return None
    if letter not in letters:
        raise BadInput(f"{path}: column {column} holds {cell!r}, which is none of {', '.join(letters)}.")
    return letters.index(letter)
