"""Files that `proctor export` wrote, read back: Runs with all that was recorded of them, and imported results.

A Run's first row bears it as a whole in its last columns; a row of imported results, or of an earlier release's export,
says who answered and what, and becomes a sheet like other people's. Text to which a CSV gave an apostrophe is told by
the question's id, a hash of it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.data.files import lines_of
from analysis.data.panel_rows import Row, Sheet, check_size
from analysis.data.terms import UNKNOWN, Terms
from analysis.exchange.exported_rows import (
    Cells,
    answer_in_form,
    answer_of,
    bare,
    object_of,
    question_of,
    scores_of,
    typed,
)
from proctor.contestants import Contestant
from proctor.errors import BadInput
from proctor.exams.reading.identity import question_id
from proctor.nouns.exams import Question, Scoring
from proctor.store.runs.copies import AnswerCopy, RunCopy, SatCopy, run_of

OURS = {"question_id", "prompt_hash", "options_logprob", "picked", "run_id", "attempt"}  # no other file has them all
OBJECTS = ("conditions", "measures", "provenance", "run", "pack")
ROWS_AT_A_TIME = 1000  # of Parquet
Sat = tuple[int, int]  # a Run's number, and that of its part; 0 where it has none
LONGEST_CELL = 16 << 20  # characters


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
            reading.take(typed(cells) if _kind(path) == "csv" else cells)
        except BadInput as error:
            raise BadInput(f"{path}, row {number}: {error.problem}", error.next_step or "") from error
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise BadInput(f"{path}, row {number}: it is no row of an export ({error!r}).") from error
    headless = [named(of) for of in reading.answers if of not in reading.runs]
    if headless:
        raise BadInput(
            f"{path} lacks the first row of Run {', '.join(headless)}, which describes it.", "Export it again."
        )
    for of, run in reading.runs.items():
        if len(reading.answers[of]) < run.answered:
            raise BadInput(
                f"{path} holds {len(reading.answers[of])} of the {run.answered} answers of Run {named(of)}.",
                "It was broken off, or rows were left out: export it again.",
            )
    sat = tuple(SatCopy(reading.runs[of], tuple(answers)) for of, answers in reading.answers.items())
    sheets = tuple(Sheet(who, terms, path.name, tuple(rows)) for (who, terms), rows in reading.foreign.items())
    if not sat and not sheets:
        raise BadInput(f"{path} has no row.")
    return Export(sat, sheets)


@dataclass
class _Reading:
    """What was read so far."""

    runs: dict[Sat, RunCopy] = field(default_factory=dict)
    answers: dict[Sat, list[AnswerCopy]] = field(default_factory=dict)
    foreign: dict[tuple[Contestant, Terms], list[Row]] = field(default_factory=dict)
    questions: dict[object, Question] = field(default_factory=dict)  # by their cells: rows repeat them

    def take(self, cells: Cells) -> None:
        question = self._question(cells)
        if cells.get("exam_hash") is None:
            contestant, terms = _who(cells)
            self.foreign.setdefault((contestant, terms), []).append(_foreign(cells, question, contestant))
            return
        of = int(cells["run_id"]), int(object_of(cells["pack"]).get("part", 0))
        if cells["run"] is not None and of in self.runs:
            raise BadInput(f"it describes Run {named(of)}, as a row above does.", "Import files one by one.")
        if cells["run"] is not None:
            self.runs[of] = run_of(cells | {name: object_of(cells[name]) for name in OBJECTS})
        read = answer_in_form if of in self.runs and self.runs[of].form else answer_of
        self.answers.setdefault(of, []).append(read(cells, question))

    def _question(self, cells: Cells) -> Question:
        names = ("subject", "question", "question_index", "answer", "question_id", "reference", "opening")
        lists = ("choices", "turns", "further", "contexts", "examples")
        key = (*(cells.get(name) for name in names), *(tuple(cells.get(name) or ()) for name in lists))
        if key not in self.questions:
            self.questions[key] = question_of(cells)
        return self.questions[key]


def named(sat: Sat) -> str:
    """`17`, or `17, part 2`."""
    run_id, part = sat
    return f"{run_id}, part {part}" if part else str(run_id)


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


def _who(cells: Cells) -> tuple[Contestant, Terms]:
    """Who answered a row without a Run, and how it was asked, as far as the row says."""
    said = object_of(cells.get("conditions")) or {}
    contestant = Contestant(
        bare(cells["model"]), cells["revision"] or "", cells["quant"] or "none", cells.get("device") or "",
        cells["dtype"] or "",
    )  # fmt: skip
    scoring = cells.get("scoring") or UNKNOWN
    if scoring not in (*Scoring, UNKNOWN):
        raise ValueError(scoring)
    template = said.get("chat_template")
    return contestant, Terms(bare(cells["benchmark"]), UNKNOWN, cells["shots"], template, str(scoring))


def _foreign(cells: Cells, question: Question, contestant: Contestant) -> Row:
    if question.answer is None:
        raise ValueError(question.id)
    return Row(
        contestant, _subject(cells, question), question.index, question.text, question.choices, question.answer,
        cells["picked"], scores_of(cells), cells["prompt_hash"] or "",
    )  # fmt: skip


def _subject(cells: Cells, question: Question) -> str:
    """The subject that the question's id is a hash of."""
    said = cells["subject"] or ""
    return said if question_id(said, question.text, question.choices) == question.id else bare(said)


def by_sweep(sat: Sequence[SatCopy]) -> list[tuple[SatCopy, ...]]:
    """The Runs of each sweep, in the file's order."""
    found: dict[object, list[SatCopy]] = {}
    for each in sat:
        sweep = each.run.sweep
        found.setdefault((sweep.name, sweep.created_at), []).append(each)
    return [tuple(runs) for runs in found.values()]
