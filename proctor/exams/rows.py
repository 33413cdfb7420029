"""From rows as a file has them to questions that can be asked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from proctor.errors import BadRow
from proctor.exams.faults import Faults, shown
from proctor.exams.files import RawRow
from proctor.exams.keys import Key, read_key, resolve
from proctor.nouns import LETTERS

MAX_SUBJECT = 100


@dataclass(frozen=True)
class Draft:
    """A checked question that has no place in an Exam yet."""

    subject: str
    text: str
    choices: tuple[str, ...]
    answer: int


class _Unfit(Exception):
    """A cell that can't be taken: column, cause, next step. It never leaves this module."""

    def __init__(self, column: str, cause: str, next_step: str = "") -> None:
        super().__init__(cause)
        self.column, self.cause, self.next_step = column, cause, next_step


def draft(rows: Iterable[RawRow], label: str, subject: str, faults: Faults, *, named: bool = False) -> list[Draft]:
    """The questions of one file's rows, in order.

    `subject` is whose they are where the file has no such column; with `named`, also where it has one, and a row that
    says otherwise is at fault. Every row that can't be asked is added to `faults`, with its place in the file `label`.
    """
    places: list[str] = []
    parts: list[tuple[str, str, tuple[str, ...]]] = []
    keys: list[Key] = []
    for row in rows:
        try:
            parts.append((_subject(row.subject, subject, named=named), _question(row.question), _choices(row.choices)))
        except _Unfit as unfit:
            faults.add(BadRow(label, row.place, unfit.column, unfit.cause, unfit.next_step))
            continue
        places.append(row.place)
        keys.append(read_key(row.answer, parts[-1][2]))
    drafts: list[Draft] = []
    resolved = resolve(keys, [len(choices) for _, _, choices in parts])
    for place, (own_subject, text, choices), key in zip(places, parts, resolved, strict=True):
        if key.cause:
            faults.add(BadRow(label, place, "answer", key.cause, "Letters are the safest: A for the first option."))
        else:
            drafts.append(Draft(own_subject, text, choices, key.index))
    return drafts


def _subject(value: object, default: str, *, named: bool) -> str:
    name = default if value is None else _text("subject", value).strip()
    if not name or len(name) > MAX_SUBJECT or not name.isprintable() or "/" in name or "\\" in name:
        raise _Unfit(
            "subject",
            f"{shown(value)} is no name of a subject",
            f"Give a name of 1 to {MAX_SUBJECT} letters, no slashes.",
        )
    if named and name != default:
        raise _Unfit(
            "subject", f"{shown(name)} in the file of {default!r}", "Give each subject its own file, or one for all."
        )
    return name


def _question(value: object) -> str:
    text = _text("question", value)
    if not text.strip():
        raise _Unfit("question", "it is blank", "Write the question, or take the row out.")
    return text


def _choices(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _Unfit(
                "choices", f"{shown(value)} is no list", 'Write it as JSON, ["…", "…"], or give columns A, B, C, D.'
            ) from None
    if not isinstance(value, list):
        raise _Unfit("choices", f"{shown(value)} is no list", "Write a list of the options.")
    if not 2 <= len(value) <= len(LETTERS):
        raise _Unfit("choices", f"{len(value)} of them where 2 to {len(LETTERS)} can be asked")
    return tuple(_option(option) for option in value)


def _option(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Unfit("choices", f"the option {shown(value)} is no text")
    if isinstance(value, float) and not math.isfinite(value):
        raise _Unfit("choices", f"the option {shown(value)} is no text")
    return _text("choices", value if isinstance(value, str) else str(value))


def _text(column: str, value: object) -> str:
    if not isinstance(value, str):
        raise _Unfit(column, f"{shown(value)} is no text")
    if "\0" in value:
        raise _Unfit(column, f"{shown(value)} holds the character NUL", "Take it out: databases can't keep it.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Unfit(column, f"{shown(value)} holds half a surrogate pair, which is no UTF-8") from None
    return value
