"""Panels from rows of Answers, as files of other people's results are read: nothing is pooled that may not be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.data.panel import Panel
from analysis.data.phrases import counted, listed
from analysis.data.terms import Terms
from proctor.contestants import Contestant
from proctor.errors import BadInput
from proctor.exams.reading.identity import question_id

MOST_ANSWERS = 2_000_000  # of one import: they are all in memory while they are gathered, about 1 KB each
NO_KEY = -1
Key = tuple[str, str]  # subject and question id: what makes a question that question


@dataclass(frozen=True)
class Row:
    """One contestant's Answer, with its question; what an import has to know."""

    contestant: Contestant
    subject: str
    question_index: int
    question: str
    choices: tuple[str, ...]
    answer: int  # NO_KEY where there are no choices, or it isn't known which is right
    picked: int | None  # None: no answer
    options_logprob: tuple[float, ...] | None = None
    prompt_hash: str = ""  # sha256 of the prompt, hex digits; "" where it isn't known
    points: float | None = None  # what it is worth; None: 1 where the key was picked, else 0
    extracted: bool = False  # an answer was read out of a written text

    @cached_property
    def question_id(self) -> str:
        """The id that the same question has in an exam of ours."""
        return question_id(self.subject, self.question, self.choices)

    @property
    def key(self) -> Key:
        return self.subject, self.question_id


@dataclass(frozen=True)
class Sheet:
    """What one contestant answered in one file, put to it under one set of terms, in the file's order."""

    contestant: Contestant
    terms: Terms
    source: str  # the file's name
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Copies:
    """Rows of a file that were dropped: the same question, of the same subject, was answered above already."""

    source: str
    rows: int
    other_picks: int  # of the rows: with another pick
    other_keys: int  # of the rows: with another answer key
    other_prompts: int  # of the rows: asked in another prompt

    def __str__(self) -> str:
        parts = ((self.other_picks, "pick"), (self.other_keys, "answer key"), (self.other_prompts, "prompt"))
        apart = [f"{count} with another {what}" for count, what in parts if count]
        which = f" ({listed(apart)})" if apart else ""
        be = "is a copy" if self.rows == 1 else "are copies"
        return (
            f"{self.source}: {counted(self.rows, 'row')} dropped, which {be} of a question of the same subject"
            f"{which}; the first one counts"
        )


@dataclass(frozen=True, eq=False)
class Imported:
    """A panel of imported rows, and the whole hash of each prompt (C, Q); "" where it isn't known."""

    panel: Panel
    prompt_hashes: NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Gathered:
    """Panels within which everything may be compared, the largest first, and the rows that were dropped."""

    sets: tuple[Imported, ...]
    copies: tuple[Copies, ...]


def check_size(answers: int) -> None:
    """Raise `BadInput` for more Answers than one import may hold."""
    if answers > MOST_ANSWERS:
        raise BadInput(
            f"There are more than {MOST_ANSWERS:,} answers in these files, each model's counted.",
            "Import a part of them at a time, each under a --name of its own.",
        )


def gather(sheets: Iterable[Sheet]) -> Gathered:
    """Put every sheet into the first panel that it doesn't contradict.

    Within a panel, terms agree, and so do the answer key and the prompt of each question. A chat template is a model's
    own: there, prompts are only held against the same contestant's. A second row for a question within a subject is
    dropped and counted.
    """
    groups: list[_Group] = []
    dropped: dict[str, _Dropped] = {}
    for sheet in sheets:
        own: dict[Key, Row] = {}
        for place, row in enumerate(sheet.rows):
            _put(own, row, dropped.setdefault(sheet.source, _Dropped()), place)
        group = next((group for group in groups if group.takes(sheet, own)), None)
        if group is None:
            group = _Group(sheet.terms)
            groups.append(group)
        group.add(sheet, own, dropped[sheet.source])
    sets = sorted((group.imported() for group in groups), key=lambda one: -int(one.panel.asked.sum()))
    return Gathered(tuple(sets), tuple(one.copies(source) for source, one in dropped.items() if one.rows))


@dataclass
class _Dropped:
    """Places of dropped rows in their file, which are counted once also where the file has several contestants."""

    rows: set[int] = field(default_factory=set)
    picks: set[int] = field(default_factory=set)
    keys: set[int] = field(default_factory=set)
    prompts: set[int] = field(default_factory=set)

    def note(self, place: int, row: Row, first: Row) -> None:
        self.rows.add(place)
        if row.picked != first.picked:
            self.picks.add(place)
        if row.answer != first.answer:
            self.keys.add(place)
        if _differ(row.prompt_hash, first.prompt_hash):
            self.prompts.add(place)

    def copies(self, source: str) -> Copies:
        return Copies(source, len(self.rows), len(self.picks), len(self.keys), len(self.prompts))


@dataclass
class _Group:
    """A panel while it is gathered."""

    terms: Terms
    rows: dict[Contestant, dict[Key, Row]] = field(default_factory=dict)
    first: dict[Key, Row] = field(default_factory=dict)  # by question: the first row there is
    prompts: dict[Key, str] = field(default_factory=dict)  # known ones

    def takes(self, sheet: Sheet, own: dict[Key, Row]) -> bool:
        if sheet.terms != self.terms:
            return False
        theirs = self.rows.get(sheet.contestant, {})
        for key, row in own.items():
            if key in self.first and self.first[key].answer != row.answer:
                return False
            before = theirs[key].prompt_hash if key in theirs else ""
            known = before if self.terms.chat_template else self.prompts.get(key, "")
            if _differ(known, row.prompt_hash):
                return False
        return True

    def add(self, sheet: Sheet, own: dict[Key, Row], dropped: _Dropped) -> None:
        mine = self.rows.setdefault(sheet.contestant, {})
        places = {id(row): place for place, row in enumerate(sheet.rows)}
        for key, row in own.items():
            self.first.setdefault(key, row)
            if row.prompt_hash:
                self.prompts.setdefault(key, row.prompt_hash)
            _put(mine, row, dropped, places[id(row)])

    def imported(self) -> Imported:
        rows = [row for theirs in self.rows.values() for row in theirs.values()]
        column = {key: place for place, key in enumerate(self.first)}
        hashes = np.full((len(self.rows), len(column)), "", dtype=object)
        for seat, theirs in enumerate(self.rows.values()):
            for key, row in theirs.items():
                hashes[seat, column[key]] = row.prompt_hash
        return Imported(_panel(list(self.rows), list(self.first.values()), rows, self.terms), hashes)


def _put(rows: dict[Key, Row], row: Row, dropped: _Dropped, place: int) -> None:
    first = rows.setdefault(row.key, row)
    if first is not row:
        dropped.note(place, row, first)


def _differ(first: str, second: str) -> bool:
    """Whether two prompts are known to differ."""
    return bool(first and second and first != second)


def _panel(contestants: Sequence[Contestant], questions: Sequence[Row], rows: Sequence[Row], terms: Terms) -> Panel:
    """A panel of rows, one for each contestant and question at most. Log-probabilities: where every row has them."""
    seat = {contestant: place for place, contestant in enumerate(contestants)}
    column = {row.key: place for place, row in enumerate(questions)}
    shape = (len(contestants), len(column))
    asked, picked = np.zeros(shape, dtype=bool), np.full(shape, -1, dtype=np.int8)
    prompt = np.zeros(shape, dtype=np.uint64)
    widest = max((len(row.choices) for row in questions), default=0) or 1  # without choices, one text may be scored
    whole = bool(rows) and all(row.options_logprob is not None for row in rows)
    logprob = np.full((*shape, widest), -np.inf, dtype=np.float32) if whole else None
    for row in rows:
        place = seat[row.contestant], column[row.key]
        asked[place] = True
        picked[place] = -1 if row.picked is None else row.picked
        prompt[place] = prompt_number(row.prompt_hash)
        if logprob is not None and row.options_logprob is not None:
            logprob[(*place, slice(len(row.options_logprob)))] = row.options_logprob
    frame = questions_frame(questions)
    correct = (picked == frame["answer"].to_numpy()) & asked
    points, answered = correct.astype(np.float64), picked >= 0
    for row in rows:
        place = seat[row.contestant], column[row.key]
        if row.points is not None:
            points[place], answered[place] = row.points, row.extracted or row.picked is not None
            correct[place] = row.points == 1
    return Panel(
        terms, tuple(contestants), frame, asked, correct, picked, logprob, prompt if prompt.any() else None,
        points=points if ((points > 0) & (points < 1)).any() else None,
        answered=answered if (answered != (picked >= 0)).any() else None,
    )  # fmt: skip


def prompt_number(prompt_hash: str) -> int:
    """A prompt's hash as `Panel.prompt` has it: its first 8 bytes, 0 where it isn't known."""
    return int(prompt_hash[:16], 16) if prompt_hash else 0


def questions_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """`Panel.questions` of a row for each question."""
    return pd.DataFrame(
        {
            "subject": [row.subject for row in rows],
            "question_id": [row.question_id for row in rows],
            "question_index": [row.question_index for row in rows],
            "question": [row.question for row in rows],
            "choices": pd.Series([row.choices for row in rows], dtype=object),
            "answer": np.array([row.answer for row in rows], dtype=np.int8),
        }
    )
