"""From rows as a file has them to questions that can be asked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proctor.errors import BadRow
from proctor.exams.reading.files import RawRow
from proctor.exams.reading.keys import Key, Style, read_key, resolve
from proctor.exams.reading.problems import Faults, shown
from proctor.nouns.exams import LETTERS

MAX_SUBJECT = 100


@dataclass(frozen=True)
class Draft:
    """A checked question that has no place in an Exam yet."""

    subject: str
    text: str
    choices: tuple[str, ...] = ()
    answer: int | None = None
    reference: str = ""
    turns: tuple[str, ...] = ()


class _Unfit(Exception):
    """A cell that can't be taken: column, cause, next step. It never leaves this module."""

    def __init__(self, column: str, cause: str, next_step: str = "") -> None:
        super().__init__(cause)
        self.column, self.cause, self.next_step = column, cause, next_step


@dataclass(frozen=True)
class Drafts:
    """A file's questions, in order, and what a person must know about how they were read."""

    questions: tuple[Draft, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Options:
    """A row's options, and the labels that it gives them, as ARC does; none where it gives none."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()


def draft(rows: Iterable[RawRow], label: str, subject: str, faults: Faults, *, named: bool = False) -> Drafts:
    """The questions of one file's rows, in order.

    `subject` is whose they are where the file has no such column; with `named`, also where it has one, and a row that
    says otherwise is at fault. Every row that can't be asked is added to `faults`, with its place in the file `label`.
    """
    places: list[str] = []
    parts: list[tuple[str, str, _Options]] = []
    keys: list[Key] = []
    for row in rows:
        try:
            parts.append((_subject(row.subject, subject, named=named), _question(row.question), _options(row.choices)))
        except _Unfit as unfit:
            faults.add(BadRow(label, row.place, unfit.column, unfit.cause, unfit.next_step))
            continue
        places.append(row.place)
        keys.append(read_key(row.answer, parts[-1][2].texts, parts[-1][2].labels))
    drafts: list[Draft] = []
    meant = resolve(keys, [len(options.texts) for _, _, options in parts])
    for place, (own_subject, text, options), key in zip(places, parts, meant.keys, strict=True):
        if key.cause:
            faults.add(BadRow(label, place, "answer", key.cause, "Letters are the safest: A for the first option."))
        else:
            drafts.append(Draft(own_subject, text, options.texts, key.index))
    if drafts:
        faults.fit(label)
    return Drafts(tuple(drafts), () if meant.from_one is None else (_counted(meant.from_one, places, keys, label),))


def _counted(at: int, places: Sequence[str], keys: Sequence[Key], label: str) -> str:
    written, last = shown(keys[at].written), LETTERS[keys[at].readings[Style.NUMBER]]
    return (
        f"Keys of {label} that are numbers are read as counting from 1, since the key {written} of {places[at]} is the "
        f"number of its last option ({last})."
    )


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


def _options(value: object) -> _Options:
    """The options of a row: a list of them, or ARC's form `{"text": [...], "label": [...]}`, or a list of such pairs.

    Source of that form: https://huggingface.co/datasets/allenai/ai2_arc
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _Unfit(
                "choices", f"{shown(value)} is no list", 'Write it as JSON, ["…", "…"], or give columns A, B, C, D.'
            ) from None
    labels: object = None
    if isinstance(value, dict) and {"text", "label"} <= value.keys():
        labels, value = value["label"], value["text"]
    elif isinstance(value, list):
        pairs = [one for one in value if isinstance(one, dict) and {"text", "label"} <= one.keys()]
        if pairs and len(pairs) == len(value):
            value, labels = [pair["text"] for pair in pairs], [pair["label"] for pair in pairs]
    if not isinstance(value, list):
        raise _Unfit("choices", f"{shown(value)} is no list", "Write a list of the options.")
    if not 2 <= len(value) <= len(LETTERS):
        raise _Unfit("choices", f"{len(value)} of them where 2 to {len(LETTERS)} can be asked")
    texts = tuple(_option(option) for option in value)
    return _Options(texts, () if labels is None else _labels(labels, len(texts)))


def _labels(value: object, count: int) -> tuple[str, ...]:
    """The labels of a row's options as texts: a number and its digits are the same label."""
    if not isinstance(value, list) or len(value) != count:
        raise _Unfit("choices", f"{_length(value)} for {count} options", "Give each option its label.")
    labels = tuple(
        str(one).strip()
        for one in value
        if isinstance(one, str | int) and not isinstance(one, bool) and str(one).strip()
    )
    if len(set(labels)) != count:
        raise _Unfit("choices", f"the labels {shown(str(value))} are no {count} different ones")
    return labels


def _length(value: object) -> str:
    return f"{len(value)} labels" if isinstance(value, list) else f"{shown(value)} as labels"


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
