"""Panels from rows of Answers, as files of other people's results are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.panel import Panel, Terms
from proctor.contestants import Contestant
from proctor.exams.identity import question_id


@dataclass(frozen=True)
class Row:
    """One contestant's Answer, with its question; what an import has to know."""

    contestant: Contestant
    subject: str
    question_index: int
    question: str
    choices: tuple[str, ...]
    answer: int
    picked: int | None  # None: no answer
    options_logprob: tuple[float, ...] | None = None
    prompt_hash: str = ""  # sha256 of the prompt; "" where it isn't known

    @cached_property
    def question_id(self) -> str:
        """The id that the same question has in an exam of ours."""
        return question_id(self.subject, self.question, self.choices)


def panel_from_rows(rows: Sequence[Row], terms: Terms) -> Panel:
    """A panel of all rows; a contestant's second Answer to the same question of a subject is dropped.

    Log-probabilities are kept where every row has them.
    """
    contestants = tuple(dict.fromkeys(row.contestant for row in rows))
    seat = {contestant: place for place, contestant in enumerate(contestants)}
    first: dict[tuple[str, str], Row] = {}
    keys = [(row.subject, row.question_id) for row in rows]
    for key, row in zip(keys, rows, strict=True):
        first.setdefault(key, row)
    column = {key: place for place, key in enumerate(first)}
    shape = (len(contestants), len(column))
    asked, picked = np.zeros(shape, dtype=bool), np.full(shape, -1, dtype=np.int8)
    widest = max((len(row.choices) for row in first.values()), default=0)
    whole = bool(rows) and all(row.options_logprob is not None for row in rows)
    logprob = np.full((*shape, widest), -np.inf, dtype=np.float32) if whole else None
    for key, row in zip(keys, rows, strict=True):
        place = seat[row.contestant], column[key]
        if asked[place]:
            continue
        asked[place] = True
        picked[place] = -1 if row.picked is None else row.picked
        if logprob is not None and row.options_logprob is not None:
            logprob[(*place, slice(len(row.options_logprob)))] = row.options_logprob
    questions = pd.DataFrame(
        {
            "subject": [subject for subject, _ in column],
            "question_id": [id for _, id in column],
            "question_index": [row.question_index for row in first.values()],
            "question": [row.question for row in first.values()],
            "choices": pd.Series([row.choices for row in first.values()], dtype=object),
            "answer": np.array([row.answer for row in first.values()], dtype=np.int8),
        }
    )
    correct = (picked == questions["answer"].to_numpy()) & asked
    return Panel(terms, contestants, questions, asked, correct, picked, logprob)
