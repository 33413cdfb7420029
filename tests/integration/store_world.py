"""The small world of the store's tests: exams, specs, workers and answers, and a clock that is set by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from proctor.exams.reading.identity import content_hash, question_id
from proctor.nouns.exams import Answer, Conditions, Exam, Question
from proctor.nouns.models import Device, DType, Lane, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Claim, Cost, Measures, Provenance, RunSpec, SweepRequest
from proctor.nouns.workers import LaneLoad, WorkerCard
from proctor.store.database.session import Store
from proctor.store.runs import exams, runs, sweeps

LEASE_S = 30.0
SIZE = 6  # questions of an exam
PACKS = (range(3), range(3, 6))  # which question stands in which pack


@dataclass
class HandClock:
    """A clock that stands still until it is told to go on."""

    now: datetime = field(default_factory=lambda: datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def question(subject: str, index: int) -> Question:
    text = f"Question {index} of {subject}: which one? \N{GREEK SMALL LETTER ALPHA}"
    choices = ("one", "two", "three", "four")
    return Question(question_id(subject, text, choices), index, text, choices, index % 4)


def exam(subject: str = "astronomy", size: int = SIZE) -> Exam:
    asked = tuple(question(subject, index) for index in range(size))
    dev = (question(f"dev of {subject}", 0),)
    return Exam("demo", subject, dev, asked, content_hash(subject, dev, asked), 1)


def spec(model: str = "org/a", subject: str = "astronomy", quant: Quant = Quant.NONE, size: int = SIZE) -> RunSpec:
    return RunSpec(
        model=ModelRef(model, ModelSource.HUB, "rev1"),
        quant=quant,
        device=Device.CPU,
        dtype=DType.AUTO,
        benchmark="demo",
        subject=subject,
        exam_hash=exam(subject, size).content_hash,
        questions=size,
        conditions=Conditions(shots=1, limit=size),
    )


def request(name: str = "", priority: int = 0) -> SweepRequest:
    return SweepRequest(
        ("org/a",), (Quant.NONE,), "demo", ("astronomy",), "auto", DType.AUTO, Conditions(), priority, name
    )


def card(name: str = "cpu@host:1", lanes: tuple[str, ...] = (), sweep_id: int | None = None) -> WorkerCard:
    return WorkerCard(name, "host", Device.CPU, "two cores", 8_000_000_000, lanes, sweep_id)


def submit(
    store: Store,
    *specs: RunSpec,
    name: str = "",
    priority: int = 0,
    fresh: bool = False,
    split: sweeps.Split = sweeps.unsplit,
) -> sweeps.Submission:
    """Save the exams that the specs name and submit them."""
    for one in dict.fromkeys((one.subject, one.questions) for one in specs):
        exams.save_exam(store, exam(*one))
    return sweeps.submit(store, request(name, priority), specs, fresh=fresh, split=split)


def first_lane(_held: Lane | None, loads: Sequence[LaneLoad]) -> Lane | None:
    """The simplest choice: whatever is there."""
    return loads[0].lane if loads else None


def seen_loads(store: Store, sweep_id: int | None = None) -> list[LaneLoad]:
    """What a worker without a model, started for this sweep or for all, is told of the lanes; it claims nothing."""
    told: list[LaneLoad] = []

    def look(_held: Lane | None, loads: Sequence[LaneLoad]) -> Lane | None:
        told.extend(loads)
        return None

    assert runs.claim_best(store, card("cpu@host:9", sweep_id=sweep_id), None, look, LEASE_S) is None
    return told


def claim(store: Store, worker: str = "cpu@host:1", lease_s: float = LEASE_S) -> Claim:
    got = runs.claim_best(store, card(worker), None, first_lane, lease_s)
    assert got is not None, "nothing to claim"
    return got


def answer(asked: Question, picked: int | None = 0) -> Answer:
    return Answer(asked.id, digest(asked.text), 1, (-0.1, -1.5, -2.25, -1 / 3), picked, picked == asked.answer)


def pack_of(held: Claim, index: int, picked: int | None = 0) -> list[Answer]:
    asked = exam(held.spec.subject, held.spec.questions).questions
    return [answer(asked[place], picked) for place in PACKS[index]]


def record(store: Store, held: Claim, *packs: int, picked: int | None = 0) -> None:
    for index in packs:
        runs.record(store, held, index, pack_of(held, index, picked), Cost(1.0, 2.0, 0.5))


def provenance(dtype: DType = DType.FLOAT32, host: str = "host") -> Provenance:
    return Provenance(dtype, "plain", "two cores", host, {"torch": "2.13", "alembic": "1"}, ("a note",))


def sit(store: Store, held: Claim) -> None:
    """All that a worker does with a Run that it has claimed."""
    runs.begin(store, held, provenance())
    record(store, held, *sorted({0, 1} - runs.committed_packs(store, held)))
    runs.finish(store, held, Measures(score=Cost(2.0, 4.0, 1.0)))
