"""Pieces of ours for functions that make a task's rows ready: GPQA, Taiwan's and the Basque exams, translated ARC."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence

from proctor.exams.tasks.definition import Prepare, Row

_MARK = re.compile(r"\[.*?\]")


def gpqa(*, seed: int | None = None, marks: bool = False, choices: bool = False) -> Prepare:
    """GPQA's rows with `choice1` to `choice4` in an order that is drawn, and `answer` as `(A)` to `(D)`.

    With a `seed` it is drawn as the release draws it, row by row from one generator. Without one the release draws from
    a generator that all of its process shares, and no order comes twice; here each question's follows from its text.
    `marks`: what stands in square brackets is taken out; `choices`: the four are a column as well.
    """

    def cleaned(text: object) -> str:
        if text is None:
            return " "
        plain = str(text).strip().replace(" [title]", ". ")
        return (_MARK.sub("", plain) if marks else plain).replace("  ", " ")

    def prepared(rows: Sequence[Row]) -> list[Row]:
        shared = None if seed is None else random.Random(seed)  # noqa: S311 -- no secret
        made: list[Row] = []
        for row in rows:
            right = cleaned(row["Correct Answer"])
            offered = [*(cleaned(row[f"Incorrect Answer {number}"]) for number in (1, 2, 3)), right]
            (shared or _of_text(str(row["Question"]))).shuffle(offered)
            named = {f"choice{number}": one for number, one in enumerate(offered, start=1)}
            more = {"choices": offered} if choices else {}
            made.append({**row, **named, "answer": f"({'ABCD'[offered.index(right)]})", **more})
        return made

    return prepared


def lettered_columns(always: str, perhaps: str) -> Prepare:
    """The rows with `choices` of the columns of these letters, of `perhaps` those that aren't empty; and `goal`."""

    def prepared(rows: Sequence[Row]) -> list[Row]:
        made: list[Row] = []
        for row in rows:
            letters = [*always, *(letter for letter in perhaps if row.get(letter))]
            offered = [row[letter] for letter in letters]
            goal = letters.index(str(row["answer"]))
            made.append({**row, "questions": row["question"], "choices": offered, "goal": goal})
        return made

    return prepared


def answered_rows(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows whose `answer` is 0 to 3 and whose four `candidates` aren't all empty."""
    return [row for row in rows if row["answer"] in (0, 1, 2, 3) and row["candidates"] != [""] * 4]


def translated_arc(rows: Sequence[Row]) -> list[Row]:
    """Okapi's ARC: `query`, the options that aren't empty as `choices`, and `gold`."""

    def cleaned(text: object) -> str:
        return _MARK.sub("", str(text).strip().replace(" [title]", ". ")).replace("  ", " ")

    return [
        {
            **row,
            "query": f"Question: {cleaned(row['instruction'])}\nAnswer:",
            "choices": [cleaned(row[f"option_{letter}"]) for letter in "abcde" if row[f"option_{letter}"]],
            "gold": "ABCDE".index(str(row["answer"])),
        }
        for row in rows
    ]


def _of_text(text: str) -> random.Random:
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))  # noqa: S311 -- no secret
