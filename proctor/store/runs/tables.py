"""The rows of the database. They stay in this room: what leaves it is a value of `proctor.nouns` or a frozen record.

Exams are rows too, saved when a sweep is submitted, so that a worker on another machine needs the database only.
The primary keys of `pack` and `answer` make "exactly once" a constraint as well as a protocol.
Times are aware and UTC; log-probabilities are kept as the doubles that they are, bit for bit.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    false,
    text,
)
from sqlmodel import Field, UniqueConstraint

from proctor.store.database.column_types import Doubles, HexDigest, JsonObject, Row, TokenIds, UtcDateTime

NO_KEY = -1  # in `question.answer`, which SQLite can't make nullable without copying the table


class ExamRow(Row, table=True):
    """One subject of a benchmark, as it was when somebody submitted it."""

    __tablename__ = "exam"
    __table_args__ = (UniqueConstraint("benchmark", "subject", "content_hash"),)

    id: int | None = Field(default=None, primary_key=True)
    benchmark: str
    subject: str
    content_hash: str
    duplicates_dropped: int
    form: str = Field(default="", sa_column_kwargs={"server_default": ""})


class QuestionRow(Row, table=True):
    """One item of an Exam: of its `test` split, or a `dev` item that is shown as an example."""

    __tablename__ = "question"
    __table_args__ = (
        UniqueConstraint("exam_id", "split", "position"),
        Index(
            "uq_question_exam_id_content_id",
            "exam_id",
            "content_id",
            unique=True,
            sqlite_where=text("split = 'test'"),
            postgresql_where=text("split = 'test'"),
        ),
        CheckConstraint("split IN ('dev', 'test')", name="split"),
    )

    id: int | None = Field(default=None, primary_key=True)
    exam_id: int = Field(foreign_key="exam.id")
    split: str
    position: int  # place in Exam.dev or Exam.questions
    source_index: int  # place in the benchmark's split, before duplicates were dropped
    content_id: str
    text: str
    choices: list[str] = Field(sa_type=JSON)
    answer: int  # index into choices, or NO_KEY
    reference: str = Field(default="", sa_column_kwargs={"server_default": ""})
    turns: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    further: list[int] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    contexts: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    opening: str = Field(default="", sa_column_kwargs={"server_default": ""})
    shots: list[int] | None = Field(default=None, sa_type=JSON(none_as_null=True))


class SweepRow(Row, table=True):
    """What was submitted at once. `fingerprint` is the hash of its set of specs: the same sweep is recognised by it."""

    __tablename__ = "sweep"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True)
    fingerprint: str = Field(index=True)
    request: JsonObject = Field(sa_type=JSON)
    priority: int
    created_at: datetime = Field(sa_type=UtcDateTime)
    submitted_at: datetime = Field(sa_type=UtcDateTime)  # last time: the same sweep may be submitted again
    cancelled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    paused_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    served_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # a worker last went to a lane of it
    feed: int = 0  # packs recorded so far; the next pack's position, taken under this row's lock


class RunRow(Row, table=True):
    """One model, at one quantization, on one subject, or on one part of a large one (`proctor.store.runs.parts`).

    Its life is the docstring of `proctor.store.runs.runs`.
    """

    __tablename__ = "run"
    __table_args__ = (
        Index(None, "status", "lane", "sweep_id", "needs_bytes"),  # the claim: it reads no row to see what waits
        Index(None, "sweep_id"),  # progress
        Index(None, "part_of"),
        CheckConstraint("status IN ('pending', 'running', 'done', 'failed', 'cancelled')", name="status"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="only_running_is_leased"),
    )

    id: int | None = Field(default=None, primary_key=True)
    sweep_id: int = Field(foreign_key="sweep.id")
    exam_id: int = Field(foreign_key="exam.id")
    lane: str
    model_name: str
    model_source: str
    model_revision: str
    quant: str
    device: str
    dtype: str
    conditions: JsonObject = Field(sa_type=JSON)
    questions: int
    needs_bytes: int | None = Field(default=None, sa_type=BigInteger)  # of device memory, predicted; None: not known
    status: str
    attempt: int = 0
    failures: int = 0  # attempts that failed or were lost since the last submit or retry
    losses: int = 0  # those of them that were lost: the worker died or fell silent
    answered: int = 0  # the counts are kept by `runs.record`, in the transaction of the Answers that they count
    correct: int = 0
    tied: int = 0  # no option picked, nothing extracted
    correct_norm: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # by log-probability per character
    partial: float = Field(default=0.0, sa_column_kwargs={"server_default": "0"})  # points of Answers with some of them
    # Of the pack under way, as the last renewal told: replies that are at their end, and how many there are to be.
    pack_made: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    pack_size: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    worker: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    moved_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # claimed, begun, or last pack
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # first claim
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str = ""
    traceback: str = ""
    provenance: JsonObject | None = Field(default=None, sa_type=JSON(none_as_null=True))
    measures: JsonObject | None = Field(default=None, sa_type=JSON(none_as_null=True))
    check_noise: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    noise: JsonObject | None = Field(default=None, sa_type=JSON(none_as_null=True))
    part_of: int | None = None  # of a Run in parts, the id of its first; `conditions` then says which question is first


class BriefRow(Row, table=True):
    """Whose replies a judge's Run, or a part of one, judges; it waits until they are done.

    Of a large Run it names the whole.
    """

    __tablename__ = "brief"

    run_id: int = Field(primary_key=True, foreign_key="run.id")
    candidate_id: int = Field(foreign_key="run.id", index=True)
    against_id: int | None = Field(default=None, foreign_key="run.id", index=True)  # the other Run of a pair


class AttemptRow(Row, table=True):
    """One worker's try at a Run."""

    __tablename__ = "attempt"

    run_id: int = Field(primary_key=True, foreign_key="run.id")
    number: int = Field(primary_key=True)
    worker: str
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    outcome: str
    reason: str = ""
    traceback: str = ""
    measures: JsonObject | None = Field(default=None, sa_type=JSON(none_as_null=True))


class PackRow(Row, table=True):
    """Questions that were answered and committed together."""

    __tablename__ = "pack"
    __table_args__ = (UniqueConstraint("sweep_id", "position"), {"sqlite_with_rowid": False})

    run_id: int = Field(primary_key=True, foreign_key="run.id")
    pack_index: int = Field(primary_key=True)
    sweep_id: int = Field(foreign_key="sweep.id")
    position: int  # from 1, in the order of the sweep's commits
    attempt: int
    questions: int
    recorded_at: datetime = Field(sa_type=UtcDateTime)
    wall_s: float
    cpu_s: float
    gpu_s: float


class AnswerRow(Row, table=True):
    """One Run's result on one Question."""

    __tablename__ = "answer"
    __table_args__ = (
        # Deferred: the pack is written last, so that the sweep's row is locked for an instant only.
        ForeignKeyConstraint(
            ["run_id", "pack_index"], ["pack.run_id", "pack.pack_index"], deferrable=True, initially="DEFERRED"
        ),
        {"sqlite_with_rowid": False},
    )

    run_id: int = Field(primary_key=True)
    question_id: int = Field(primary_key=True, foreign_key="question.id")
    pack_index: int
    shots: int
    picked: int | None
    correct: bool
    prompt_hash: str = Field(sa_type=HexDigest)
    options_logprob: tuple[float, ...] = Field(sa_type=Doubles)  # empty where no option was scored
    partial: float | None = None  # points between 0 and 1; NULL: all or none, as `correct` says
    extracted: str | None = None  # what was read out of the written text; NULL: nothing


class WrittenRow(Row, table=True):
    """One written reply to a Question, raw: a row a turn."""

    __tablename__ = "written"
    __table_args__ = (ForeignKeyConstraint(["run_id", "question_id"], ["answer.run_id", "answer.question_id"]),)

    run_id: int = Field(primary_key=True)
    question_id: int = Field(primary_key=True)
    turn: int = Field(primary_key=True)  # from 0
    text: str
    token_ids: tuple[int, ...] = Field(sa_type=TokenIds)
    finish: str
    think_end: str = ""  # the mark that ends the model's thought; "": it didn't think


class WorkerRow(Row, table=True):
    """A worker, what it holds, and when it was last heard of."""

    __tablename__ = "worker"

    name: str = Field(primary_key=True)
    host: str
    device: str
    device_name: str
    memory_bytes: int = Field(sa_type=BigInteger)
    lanes: list[str] = Field(sa_type=JSON)
    sweep_id: int | None = None  # the one sweep that it was started for
    quants: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # None: all
    versions: dict[str, str] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # library -> version
    waits_for: str = ""  # what is away, in words; "" where nothing is
    held: str | None = None
    registered_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    left_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RefusalRow(Row, table=True):
    """What a worker found that it can't do: a whole lane, or one Run of it. It doesn't claim that again."""

    __tablename__ = "refusal"

    worker: str = Field(primary_key=True)
    lane: str = Field(primary_key=True)
    run_id: int = Field(default=0, primary_key=True)  # 0: all Runs of the lane
    reason: str
    refused_at: datetime = Field(sa_type=UtcDateTime)


class LaneRow(Row, table=True):
    """What Runs and loads of a lane took so far, summed, for the choice of the next lane."""

    __tablename__ = "lane"

    lane: str = Field(primary_key=True)
    runs: int = 0
    run_s: float = 0.0
    loads: int = 0
    load_s: float = 0.0
