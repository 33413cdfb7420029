"""Files that `proctor export` wrote, read back: Runs with all that was recorded of them, and imported results.

A Run's first row bears it as a whole in its last columns; a row of imported results, or of an earlier release's export,
says who answered and what, and becomes a sheet like other people's. Text to which a CSV gave an apostrophe is told by
the question's id, a hash of it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from analysis.data.files import lines_of
from analysis.data.panel import UNKNOWN, Terms
from analysis.data.panel_rows import Row, Sheet, check_size
from analysis.data.tables import harmless
from proctor.contestants import Contestant
from proctor.errors import BadInput
from proctor.exams.benchmarks.mmlu_prompts import characters
from proctor.exams.marking.choice import best_of, per_character
from proctor.exams.reading.identity import question_id
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Answer, Mark, Question, Scoring, Written
from proctor.store.runs.copies import AnswerCopy, RunCopy, SatCopy, pack_of, run_of

OURS = {"question_id", "prompt_hash", "options_logprob", "picked", "run_id", "attempt"}  # no other file has them all
LISTS = ("choices", "options_logprob", "turns", "replies", "reply_ends", "reply_tokens")
OBJECTS = ("conditions", "measures", "provenance", "run", "pack")
NUMBERS = ("question_index", "answer", "shots", "picked", "sweep_id", "run_id", "attempt")
ROWS_AT_A_TIME = 1000  # of Parquet
LONGEST_CELL = 16 << 20  # characters
Cells = dict[str, Any]


@dataclass(frozen=True)
class Export:
    """What an exported file holds: Runs with their Answers in the file's order, and what has no Run, as sheets."""

    sat: tuple[SatCopy, ...]
    sheets: tuple[Sheet, ...]


def is_export(path: Path) -> bool:
    """Whether a file is one that `proctor export` wrote, by its columns; a Parquet file can be no other import."""
    if path.is_dir():
        return False
    if _kind(path) == "parquet":
        return True
    first = next(iter(lines_of(path)), "")
    if _kind(path) == "csv":
        return set(next(csv.reader([first]), [])) >= OURS
    try:
        found = json.loads(first) if _kind(path) == "jsonl" else None
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and set(found) >= OURS


def read_export(path: Path) -> Export:
    """All that an exported file holds.

    Raises
    ------
    BadInput
        for a row that is none of an export, or whose question isn't the one that its id says, with its number.
    """
    reading = _Reading()
    for number, cells in enumerate(_rows(path), start=1):
        check_size(number)
        try:
            reading.take(_typed(cells) if _kind(path) == "csv" else cells)
        except BadInput as error:
            raise BadInput(f"{path}, row {number}: {error.problem}", error.next_step or "") from error
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise BadInput(f"{path}, row {number}: it is no row of an export ({error!r}).") from error
    headless = [str(run_id) for run_id in reading.answers if run_id not in reading.runs]
    if headless:
        raise BadInput(
            f"{path} lacks the first row of Run {', '.join(headless)}, which describes it.", "Export it again."
        )
    for run_id, run in reading.runs.items():
        if len(reading.answers[run_id]) < run.answered:
            raise BadInput(
                f"{path} holds {len(reading.answers[run_id])} of the {run.answered} answers of Run {run_id}.",
                "It was broken off, or rows were left out: export it again.",
            )
    sat = tuple(SatCopy(reading.runs[run_id], tuple(answers)) for run_id, answers in reading.answers.items())
    sheets = tuple(Sheet(who, terms, path.name, tuple(rows)) for (who, terms), rows in reading.foreign.items())
    if not sat and not sheets:
        raise BadInput(f"{path} has no row.")
    return Export(sat, sheets)


@dataclass
class _Reading:
    """What was read so far."""

    runs: dict[int, RunCopy] = field(default_factory=dict)
    answers: dict[int, list[AnswerCopy]] = field(default_factory=dict)
    foreign: dict[tuple[Contestant, Terms], list[Row]] = field(default_factory=dict)
    questions: dict[object, Question] = field(default_factory=dict)  # by their cells: rows repeat them

    def take(self, cells: Cells) -> None:
        question = self._question(cells)
        if cells.get("exam_hash") is None:
            contestant, terms = _who(cells)
            self.foreign.setdefault((contestant, terms), []).append(_foreign(cells, question, contestant))
            return
        run_id = int(cells["run_id"])
        if cells["run"] is not None and run_id in self.runs:
            raise BadInput(f"it describes Run {run_id}, as a row above does.", "Import files one by one.")
        if cells["run"] is not None:
            self.runs[run_id] = run_of(cells | {name: _object(cells[name]) for name in OBJECTS})
        self.answers.setdefault(run_id, []).append(_answer(cells, question))

    def _question(self, cells: Cells) -> Question:
        names = ("subject", "question", "question_index", "answer", "question_id")
        key = (*(cells[name] for name in names), cells.get("reference"), *cells["choices"], *(cells.get("turns") or ()))
        if key not in self.questions:
            self.questions[key] = _question(cells)
        return self.questions[key]


def _kind(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").rpartition(".")[-1]


def _rows(path: Path) -> Iterator[Cells]:
    """The rows as the file has them: the objects of a Run may still be text, and in a CSV all is."""
    kind = _kind(path)
    if kind == "jsonl":
        for number, line in enumerate(lines_of(path), start=1):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadInput(f"{path}, row {number}: it is no JSON ({error}).") from error
            if not isinstance(found, dict):
                raise BadInput(f"{path}, row {number}: it is no JSON object.")
            yield found
    elif kind == "csv":
        csv.field_size_limit(LONGEST_CELL)
        try:
            yield from csv.DictReader(lines_of(path, newline=""))
        except csv.Error as error:
            raise BadInput(f"{path} can't be read as CSV: {error}.") from error
    else:
        yield from _of_parquet(path)


def _of_parquet(path: Path) -> Iterator[Cells]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            check_size(file.metadata.num_rows)
            missing = sorted(OURS - set(file.schema_arrow.names))
            if missing:
                raise BadInput(
                    f"{path} lacks the columns {', '.join(missing)}.",
                    "Parquet is imported where `proctor export` wrote it.",
                )
            for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path} can't be read as Parquet: {error}.") from error


def _typed(cells: Mapping[str, str]) -> Cells:
    """A CSV's cells as JSON has them: an empty one is None. Raises `BadInput` where some are missing."""
    if None in cells or None in cells.values():
        raise BadInput("it has not as many cells as the header.")
    found: Cells = {name: value or None for name, value in cells.items()}
    for name in LISTS:
        if found.get(name) is not None:
            found[name] = json.loads(found[name])
    for name in ("reference", "extracted"):
        if found.get(name) is not None:
            found[name] = _bare(found[name])
    for name in NUMBERS:
        found[name] = None if found[name] is None else int(found[name])
    return found


def _object(value: object) -> Any:
    """A JSON object that may still be text."""
    return json.loads(value) if isinstance(value, str) else value


def _question(cells: Cells) -> Question:
    """The question of a row, with the text that its id is a hash of."""
    text, subject, choices = cells["question"] or "", cells["subject"] or "", tuple(map(str, cells["choices"]))
    turns = tuple(map(str, cells.get("turns") or ()))
    for one, of in ((text, subject), (_bare(text), subject), (text, _bare(subject)), (_bare(text), _bare(subject))):
        if question_id(of, one, choices, turns) == cells["question_id"]:
            reference = cells.get("reference") or ""
            return Question(
                cells["question_id"], cells["question_index"], one, choices, cells["answer"], reference, turns
            )
    raise BadInput("its question isn't the one that its id says.", "Leave the columns as they were exported.")


def _bare(text: str) -> str:
    """Without the apostrophe that an export put before what a spreadsheet would run."""
    return text[1:] if text[:1] == "'" and harmless(text[1:]) == text else text


def _scores(cells: Cells) -> tuple[float, ...] | None:
    found = cells["options_logprob"]
    return None if found is None else tuple(-inf if score is None else float(score) for score in found)


def _answer(cells: Cells, question: Question) -> AnswerCopy:
    pack = pack_of(_object(cells["pack"]), int(cells["attempt"]))
    if cells.get("replies"):
        return AnswerCopy(question, _written(cells, question), pack)
    scores = _scores(cells)
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


def _written(cells: Cells, question: Question) -> Answer:
    """An Answer in words, as it was marked. Raises ValueError for points that no mark can have."""
    mark = Mark(float(cells["points"]), cells["picked"], cells["extracted"])
    written = tuple(
        Written(str(text), tuple(map(int, tokens)), Finish(end))
        for text, tokens, end in zip(cells["replies"], cells["reply_tokens"], cells["reply_ends"], strict=True)
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


def _who(cells: Cells) -> tuple[Contestant, Terms]:
    """Who answered a row without a Run, and how it was asked, as far as the row says."""
    said = _object(cells.get("conditions")) or {}
    contestant = Contestant(
        _bare(cells["model"]), cells["revision"] or "", cells["quant"] or "none", cells.get("device") or "",
        cells["dtype"] or "",
    )  # fmt: skip
    scoring = cells.get("scoring") or UNKNOWN
    if scoring not in (*Scoring, UNKNOWN):
        raise ValueError(scoring)
    template = said.get("chat_template")
    return contestant, Terms(_bare(cells["benchmark"]), UNKNOWN, cells["shots"], template, str(scoring))


def _foreign(cells: Cells, question: Question, contestant: Contestant) -> Row:
    if question.answer is None:
        raise ValueError(question.id)
    return Row(
        contestant, _subject(cells, question), question.index, question.text, question.choices, question.answer,
        cells["picked"], _scores(cells), cells["prompt_hash"] or "",
    )  # fmt: skip


def _subject(cells: Cells, question: Question) -> str:
    """The subject that the question's id is a hash of."""
    said = cells["subject"] or ""
    return said if question_id(said, question.text, question.choices) == question.id else _bare(said)


def by_sweep(sat: Sequence[SatCopy]) -> list[tuple[SatCopy, ...]]:
    """The Runs of each sweep, in the file's order."""
    found: dict[object, list[SatCopy]] = {}
    for each in sat:
        sweep = each.run.sweep
        found.setdefault((sweep.name, sweep.created_at), []).append(each)
    return [tuple(runs) for runs in found.values()]
