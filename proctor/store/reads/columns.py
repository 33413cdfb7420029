"""Answers in bulk, as columns for the analysis."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlmodel
from sqlalchemy import func, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from proctor.nouns.runs import RunStatus, ShotsShown
from proctor.store.database.session import Store
from proctor.store.runs.exams import TEST
from proctor.store.runs.parts import WHOLE, rows_of
from proctor.store.runs.tables import AnswerRow, ExamRow, QuestionRow, RunRow

IntColumn = npt.NDArray[np.int64]
FloatMatrix = npt.NDArray[np.float64]
FloatColumn = npt.NDArray[np.float64]
BoolColumn = npt.NDArray[np.bool_]
PromptColumn = npt.NDArray[np.uint64]
PORTION = 200  # ids a query
NO_PICK = -1  # in `AnswerColumns.picked`: no single best option


@dataclass(frozen=True)
class AnswerColumns:
    """Answers as columns of one length, a Run's by question. `question` is a row id of QuestionColumns."""

    run_id: IntColumn
    question: IntColumn
    pack: IntColumn
    shots: IntColumn
    picked: IntColumn  # index of an option, or NO_PICK
    correct: BoolColumn
    answered: BoolColumn  # an option was picked, or an answer extracted
    points: FloatColumn  # 0 to 1
    options_logprob: FloatMatrix | None  # (answers, most options), NaN beyond an Answer's last; None: not asked for
    prompt: PromptColumn | None = None  # first 8 bytes of the prompt's SHA-256, big-endian; None: not asked for


@dataclass(frozen=True)
class QuestionColumns:
    """The questions that Answers refer to, as columns of one length, ordered by `question`."""

    question: IntColumn  # row id: stands for (benchmark, subject, exam content, question id)
    benchmark: tuple[str, ...]
    subject: tuple[str, ...]
    exam_hash: tuple[str, ...]
    question_id: tuple[str, ...]  # hash of the content: with benchmark and subject it says "the same question"
    index: IntColumn
    text: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...]
    key: IntColumn  # NO_KEY where there are no choices
    reference: tuple[str, ...]
    further: tuple[tuple[int, ...], ...]  # right choices besides the key
    form: tuple[str, ...]  # of the exam, as JSON; "": as MMLU
    behind: tuple[bool, ...]  # whether the choices are contexts, and the text is scored behind each


ANSWER: tuple[Any, ...] = (
    AnswerRow.run_id, AnswerRow.question_id, AnswerRow.pack_index, AnswerRow.shots,
    func.coalesce(AnswerRow.picked, NO_PICK), AnswerRow.correct,
    or_(col(AnswerRow.picked).is_not(None), col(AnswerRow.extracted).is_not(None)),
)  # fmt: skip
QUESTION: tuple[Any, ...] = (
    QuestionRow.id, ExamRow.benchmark, ExamRow.subject, ExamRow.content_hash, QuestionRow.content_id,
    QuestionRow.source_index, QuestionRow.text, QuestionRow.choices, QuestionRow.answer, QuestionRow.reference,
    QuestionRow.further, QuestionRow.contexts, ExamRow.form,
)  # fmt: skip


def answer_columns(
    store: Store, run_ids: Sequence[int], *, options_logprob: bool = False, prompt: bool = False
) -> AnswerColumns:
    """All Answers of these Runs, those of unfinished ones included, and those of all parts of a large one."""
    wanted = [*ANSWER, AnswerRow.partial, *([AnswerRow.prompt_hash] if prompt else ())]
    wanted += [AnswerRow.options_logprob] if options_logprob else []
    parts: list[list[IntColumn]] = [[] for _ in ANSWER]
    partial: list[FloatColumn] = []
    packed: list[bytes] = []
    hashes: list[bytes] = []
    with store.read() as session:
        rows = rows_of(session, run_ids)
        for some in _portions(sorted(rows)):
            result = session.connection().execute(
                select(*wanted)
                .where(col(AnswerRow.run_id).in_(some))
                .order_by(col(AnswerRow.run_id), col(AnswerRow.question_id))
            )
            assert result.cursor is not None
            fetched = list(zip(*result.cursor.fetchall(), strict=True))  # the driver's own values: a third of the time
            for part, values in zip(parts, fetched, strict=False):
                part.append(np.array(values, dtype=np.int64))
            if fetched:
                partial.append(np.array(fetched[len(ANSWER)], dtype=np.float64))  # NaN for NULL
            if options_logprob and fetched:
                packed.extend(fetched[-1])
            if prompt and fetched:
                hashes.extend(fetched[len(ANSWER) + 1])
    run_id, question, pack, shots, picked, correct, answered = (
        np.concatenate(part) if part else np.empty(0, dtype=np.int64) for part in parts
    )
    logprob = _matrix(packed) if options_logprob else None
    prompts = np.frombuffer(b"".join(one[:8] for one in hashes), dtype=">u8").astype(np.uint64) if prompt else None
    if any(row != whole for row, whole in rows.items()):
        run_id = np.array([rows[row] for row in run_id.tolist()], dtype=np.int64)
    parts_of_points = np.concatenate(partial) if partial else np.empty(0)
    points = np.where(np.isnan(parts_of_points), correct, parts_of_points)
    return AnswerColumns(
        run_id, question, pack, shots, picked, correct.astype(bool), answered.astype(bool), points, logprob, prompts
    )


def _matrix(packed: Sequence[bytes]) -> FloatMatrix:
    """Rows of doubles of unequal length as one matrix, NaN where a row has ended."""
    lengths = np.array([len(row) // 8 for row in packed], dtype=np.int64)
    there = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (answers, options)
    matrix = np.full(there.shape, np.nan)
    matrix[there] = np.frombuffer(b"".join(packed), dtype="<f8")
    return matrix


def question_columns(store: Store, run_ids: Sequence[int]) -> QuestionColumns:
    """The questions of these Runs' Exams, asked or not (a limit leaves some out)."""
    with store.read() as session:
        exams: set[int] = set()
        for some in _portions(sorted(set(run_ids))):
            exams.update(session.exec(sqlmodel.select(RunRow.exam_id).where(col(RunRow.id).in_(some)).distinct()))
        rows = [
            row
            for some in _portions(sorted(exams))
            for row in session.connection().execute(
                select(*QUESTION)
                .join(ExamRow, col(ExamRow.id) == col(QuestionRow.exam_id))
                .where(col(QuestionRow.exam_id).in_(some), col(QuestionRow.split) == TEST)
                .order_by(col(QuestionRow.id))
            )
        ]
    ids, benchmarks, subjects, hashes, contents, indexes, texts, choices, keys, references, further, contexts, forms = (
        zip(*sorted(rows, key=lambda row: row[0]), strict=True) if rows else [()] * len(QUESTION)
    )
    return QuestionColumns(
        question=np.array(ids, dtype=np.int64),
        benchmark=benchmarks,
        subject=subjects,
        exam_hash=hashes,
        question_id=contents,
        index=np.array(indexes, dtype=np.int64),
        text=texts,
        choices=tuple(map(tuple, choices)),
        key=np.array(keys, dtype=np.int64),
        reference=references,
        further=tuple(tuple(one or ()) for one in further),
        behind=tuple(bool(one) for one in contexts),
        form=forms,
    )


def prompts_apart(store: Store, first: int, second: int) -> int:
    """On how many questions these two Runs put different prompts, counted by the database."""
    mine, theirs = aliased(AnswerRow), aliased(AnswerRow)
    with store.read() as session:
        rows, others = (list(rows_of(session, [run_id])) for run_id in (first, second))
        return session.exec(
            sqlmodel.select(func.count())
            .select_from(mine)
            .join(theirs, col(theirs.question_id) == col(mine.question_id))
            .where(col(mine.run_id).in_(rows), col(theirs.run_id).in_(others))
            .where(col(mine.prompt_hash) != col(theirs.prompt_hash))
        ).one()


def shots_shown(store: Store, run_ids: Sequence[int]) -> dict[int, ShotsShown]:
    """The shots before the questions that these Runs answered so far, by run id; not of those without an Answer."""
    asked = col(RunRow.conditions)["shots"].as_integer()
    found = {}
    with store.read() as session:
        for some in _portions(sorted(set(run_ids))):
            rows = session.connection().execute(
                select(
                    WHOLE,
                    func.min(AnswerRow.shots),
                    func.max(AnswerRow.shots),
                    func.count().filter(col(AnswerRow.shots) < asked),
                )
                .join(RunRow, col(RunRow.id) == col(AnswerRow.run_id))
                .where(or_(col(RunRow.id).in_(some), col(RunRow.part_of).in_(some)))
                .group_by(WHOLE)
            )
            found.update({run_id: ShotsShown(*counts) for run_id, *counts in rows})
    return found


def latest_sweep_with(store: Store, prompt_hashes: Collection[str]) -> int | None:
    """The latest sweep of which a done Run put one of these prompts to a model; None where none did.

    Sweeps are looked through from the latest on, by the primary key: prompts have no index of their own.
    """
    wanted = frozenset(prompt_hashes)
    with store.read() as session:
        done = session.exec(
            sqlmodel.select(RunRow.sweep_id, RunRow.id)
            .where(col(RunRow.status) == RunStatus.DONE)
            .order_by(col(RunRow.sweep_id).desc())
        ).all()
        for sweep_id, runs in groupby(done, key=_sweep_of):
            for some in _portions([run_id for _, run_id in runs if run_id is not None]):
                put = session.exec(
                    sqlmodel.select(AnswerRow.prompt_hash).where(col(AnswerRow.run_id).in_(some)).distinct()
                )
                if any(prompt in wanted for prompt in put):
                    return sweep_id
    return None


def _sweep_of(run: tuple[int, int | None]) -> int:
    return run[0]


def _portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """A few ids at a time: SQLite takes only so many parameters, and memory only so many rows."""
    for start in range(0, len(ids), PORTION):
        yield ids[start : start + PORTION]
