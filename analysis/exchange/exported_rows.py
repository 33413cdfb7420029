"""A row of an export, taken apart: its cells typed, its question, and the Answer with its pack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from math import inf
from typing import Any

from analysis.data.tables import unharmed
from proctor.errors import BadInput
from proctor.exams.benchmarks.mmlu_prompts import characters
from proctor.exams.judging.choices import right_places
from proctor.exams.marking.choice import best_of, per_character
from proctor.exams.reading.identity import question_id
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Answer, Mark, Question, Scoring, Written
from proctor.store.runs.copies import AnswerCopy, pack_of

LISTS = (
    "choices", "options_logprob", "turns", "replies", "reply_ends", "reply_tokens", "reply_think_ends", "further",
    "contexts", "examples",
)  # fmt: skip
NUMBERS = ("question_index", "answer", "shots", "picked", "sweep_id", "run_id", "attempt")
Cells = dict[str, Any]


def typed(cells: Mapping[str, str]) -> Cells:
    """A CSV's cells as JSON has them: an empty one is None. Raises `BadInput` where some are missing."""
    if None in cells or None in cells.values():
        raise BadInput("it has not as many cells as the header.")
    found: Cells = {name: value or None for name, value in cells.items()}
    for name in LISTS:
        if found.get(name) is not None:
            found[name] = json.loads(found[name])
    for name in ("reference", "extracted"):
        if found.get(name) is not None:
            found[name] = bare(found[name])
    for name in NUMBERS:
        found[name] = None if found[name] is None else int(found[name])
    return found


def object_of(value: object) -> Any:
    """A JSON object that may still be text."""
    return json.loads(value) if isinstance(value, str) else value


def question_of(cells: Cells) -> Question:
    """The question of a row, with the text that its id is a hash of."""
    text, subject, choices = cells["question"] or "", cells["subject"] or "", tuple(map(str, cells["choices"]))
    turns, contexts = (tuple(map(str, cells.get(name) or ())) for name in ("turns", "contexts"))
    opening = cells.get("opening") or ""
    for of, one, begun in product(*((each, bare(each)) for each in (subject, text, opening))):
        if question_id(of, one, choices, turns, contexts, begun) == cells["question_id"]:
            further, examples = (tuple(map(int, cells.get(name) or ())) for name in ("further", "examples"))
            return Question(
                cells["question_id"], cells["question_index"], one, choices, cells["answer"],
                cells.get("reference") or "", turns, further, contexts, begun, examples,
            )  # fmt: skip
    raise BadInput("its question isn't the one that its id says.", "Leave the columns as they were exported.")


def bare(text: str) -> str:
    """Without the apostrophe that an export put before what a spreadsheet would run."""
    return unharmed(text)


def scores_of(cells: Cells) -> tuple[float, ...] | None:
    found = cells["options_logprob"]
    return None if found is None else tuple(-inf if score is None else float(score) for score in found)


def answer_of(cells: Cells, question: Question) -> AnswerCopy:
    pack = pack_of(object_of(cells["pack"]), int(cells["attempt"]))
    if cells.get("replies"):
        return AnswerCopy(question, _written(cells, question), pack)
    scores = scores_of(cells)
    if scores is None or len(scores) != len(question.choices):
        raise BadInput("it has no log-probability of each option.", "Export it again.")
    lengths = characters(question.choices, Scoring(cells["scoring"]))
    answer = Answer(
        question_id=question.id,
        prompt_hash=bytes.fromhex(cells["prompt_hash"]).hex(),
        shots=int(cells["shots"]),
        options_logprob=scores,
        picked=cells["picked"],
        correct=cells["picked"] == question.answer,
        correct_norm=best_of(per_character(scores, lengths)) == question.answer,
    )
    if answer.picked != best_of(scores):
        raise BadInput("what was picked isn't the option that scored highest.", "Leave the columns as they were.")
    points = cells.get("points")
    if points is not None and 0 < float(points) < 1:
        answer = replace(answer, partial=float(points), correct=False)
    return AnswerCopy(question, answer, pack)


def answer_in_form(cells: Cells, question: Question) -> AnswerCopy:
    """An Answer to a question of an exam in a form, as it was marked: not every form judges by a key."""
    pack = pack_of(object_of(cells["pack"]), int(cells["attempt"]))
    if cells.get("replies"):
        return AnswerCopy(question, _written(cells, question), pack)
    scores, picked = scores_of(cells), cells["picked"]
    if scores is None or len(scores) != (len(question.choices) or 1):
        raise BadInput("it has no log-probability of each option.", "Export it again.")
    if picked is not None and scores[picked] != max(scores):
        raise BadInput("what was picked isn't the option that scored highest.", "Leave the columns as they were.")
    mark = Mark(float(cells["points"]), picked)
    lengths = characters(question.choices, Scoring.TEXT)
    answer = Answer(
        question_id=question.id,
        prompt_hash=bytes.fromhex(cells["prompt_hash"]).hex(),
        shots=int(cells["shots"]),
        options_logprob=scores,
        picked=picked,
        correct=mark.correct is True,
        correct_norm=bool(lengths) and best_of(per_character(scores, lengths)) in right_places(question),
        partial=mark.points if 0 < mark.points < 1 else None,
    )
    return AnswerCopy(question, answer, pack)


def _written(cells: Cells, question: Question) -> Answer:
    """An Answer in words, as it was marked. Raises ValueError for points that no mark can have."""
    mark = Mark(float(cells["points"]), cells["picked"], cells["extracted"])
    thought = cells.get("reply_think_ends") or [""] * len(cells["replies"])  # releases before had none
    columns = (cells["replies"], cells["reply_tokens"], cells["reply_ends"], thought)
    written = tuple(
        Written(str(text), tuple(map(int, tokens)), Finish(end), str(mark))
        for text, tokens, end, mark in zip(*columns, strict=True)
    )
    return Answer(
        question_id=question.id,
        prompt_hash=bytes.fromhex(cells["prompt_hash"]).hex(),
        shots=int(cells["shots"]),
        options_logprob=(),
        picked=mark.picked,
        correct=mark.correct is True,
        partial=mark.points if 0 < mark.points < 1 else None,
        extracted=mark.extracted,
        written=written,
    )
