"""Runs on their way from one database to another: as values, and as the JSON that an exported row carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from proctor.errors import BadInput
from proctor.nouns.exams import Answer, Question
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Attempt, Cost, Measures, Noise, Provenance, RunSpec, RunStatus, SweepRequest
from proctor.store.database.column_types import JsonObject
from proctor.store.runs.codec import (
    conditions_object,
    conditions_of,
    measures_object,
    measures_of,
    noise_of,
    provenance_object,
    provenance_of,
    request_object,
    request_of,
)

# What an exported row says of its Run, beside what it says of its Answer: each a text or a JSON object.
RUN_COLUMNS = ("exam_hash", "device", "status", "conditions", "measures", "provenance", "run")


PART = ("number", "first", "end")


@dataclass(frozen=True)
class SweepCopy:
    """A sweep as it was submitted elsewhere. Two with the same Runs, submitted at the same instant, are one sweep."""

    name: str
    request: SweepRequest
    priority: int
    created_at: datetime
    submitted_at: datetime
    cancelled_at: datetime | None


@dataclass(frozen=True)
class AttemptCopy:
    """One try at a Run, and what it cost."""

    attempt: Attempt
    measures: Measures | None


@dataclass(frozen=True)
class PartCopy:
    """Which part of a large Run it is: its number, from 1, and the places of its questions from `first` to `end`."""

    number: int
    first: int
    end: int  # of the last one, plus 1

    def __post_init__(self) -> None:
        if self.number < 1 or not 0 <= self.first < self.end:
            raise ValueError(f"part {self.number} from {self.first} to {self.end} is no part")


@dataclass(frozen=True)
class RunCopy:
    """Everything about a Run, or a part of one, but its Answers, and how many of them it had when it was read."""

    sweep: SweepCopy
    spec: RunSpec
    duplicates_dropped: int  # of the exam
    answered: int
    status: RunStatus
    attempt: int
    failures: int
    worker: str | None
    started_at: datetime | None
    ended_at: datetime | None
    reason: str
    traceback: str
    provenance: Provenance | None
    measures: Measures | None
    noise: Noise | None
    attempts: tuple[AttemptCopy, ...]
    form: str = ""  # of the exam, as JSON; "": as MMLU
    judged: tuple[str, ...] = ()  # lanes of the Runs whose replies a judge's judges; for people, links are in the brief
    part: PartCopy | None = None  # of a large Run; `spec` is that of the whole, all else of the part

    @property
    def asked(self) -> range:
        """The places in the exam of the questions that it asks."""
        return range(self.spec.questions) if self.part is None else range(self.part.first, self.part.end)


@dataclass(frozen=True)
class PackCopy:
    """The pack with which an Answer was recorded."""

    index: int
    attempt: int
    recorded_at: datetime
    cost: Cost
    part: int = 0  # of a large Run, the number of the part in which it is a pack


@dataclass(frozen=True)
class AnswerCopy:
    """An Answer with its question and its pack."""

    question: Question
    answer: Answer
    pack: PackCopy


@dataclass(frozen=True)
class SatCopy:
    """A Run, or a part of one, with all its Answers, in the order of the exam."""

    run: RunCopy
    answers: tuple[AnswerCopy, ...]


def pack_object(pack: PackCopy) -> JsonObject:
    """A pack as JSON; its attempt is a column of its own."""
    part = {"part": pack.part} if pack.part else {}
    return {"index": pack.index, "recorded_at": pack.recorded_at.isoformat(), **asdict(pack.cost), **part}


def pack_of(stored: Mapping[str, Any], attempt: int) -> PackCopy:
    """The pack that `pack_object` wrote."""
    cost = Cost(float(stored["wall_s"]), float(stored["cpu_s"]), float(stored["gpu_s"]))
    return PackCopy(int(stored["index"]), attempt, _time(stored["recorded_at"]), cost, int(stored.get("part", 0)))


def run_columns(copy: RunCopy) -> JsonObject:
    """What `RUN_COLUMNS` hold of a Run."""
    spec, sweep = copy.spec, copy.sweep
    return {
        "exam_hash": spec.exam_hash,
        "device": spec.device.value,
        "status": copy.status.value,
        "conditions": conditions_object(spec.conditions),
        "measures": None if copy.measures is None else measures_object(copy.measures),
        "provenance": None if copy.provenance is None else provenance_object(copy.provenance),
        "run": {
            "sweep": {
                "name": sweep.name,
                "request": request_object(sweep.request),
                "priority": sweep.priority,
                "created_at": sweep.created_at.isoformat(),
                "submitted_at": sweep.submitted_at.isoformat(),
                "cancelled_at": _text(sweep.cancelled_at),
            },
            "model": asdict(spec.model),
            "quant": spec.quant.value,
            "dtype": spec.dtype.value,  # that was asked for; the column of that name is what it computed in
            "benchmark": spec.benchmark,
            "subject": spec.subject,
            "questions": spec.questions,
            "answered": copy.answered,
            "duplicates_dropped": copy.duplicates_dropped,
            "attempt": copy.attempt,
            "failures": copy.failures,
            "worker": copy.worker,
            "started_at": _text(copy.started_at),
            "ended_at": _text(copy.ended_at),
            "reason": copy.reason,
            "traceback": copy.traceback,
            "noise": None if copy.noise is None else asdict(copy.noise),
            "attempts": [_attempt_object(each) for each in copy.attempts],
            **({"form": copy.form} if copy.form else {}),
            **({"judges": list(copy.judged)} if copy.judged else {}),
            **({"part": asdict(copy.part)} if copy.part else {}),
        },
    }


def run_of(cells: Mapping[str, Any]) -> RunCopy:
    """The Run that `run_columns` wrote.

    Raises
    ------
    BadInput
        where something is missing, or isn't such a value.
    """
    try:
        return _run(cells, cells["run"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"its Run can't be read ({error!r}).", "Export it again.") from error


def _run(cells: Mapping[str, Any], run: Mapping[str, Any]) -> RunCopy:
    sweep, model = run["sweep"], run["model"]
    measures, provenance = cells["measures"], cells["provenance"]
    return RunCopy(
        sweep=SweepCopy(
            str(sweep["name"]),
            request_of(sweep["request"]),
            int(sweep["priority"]),
            _time(sweep["created_at"]),
            _time(sweep["submitted_at"]),
            _known_time(sweep["cancelled_at"]),
        ),
        spec=RunSpec(
            model=ModelRef(model["name"], ModelSource(model["source"]), model["revision"]),
            quant=Quant(run["quant"]),
            device=Device(cells["device"]),
            dtype=DType(run["dtype"]),
            benchmark=str(run["benchmark"]),
            subject=str(run["subject"]),
            exam_hash=bytes.fromhex(cells["exam_hash"]).hex(),
            questions=int(run["questions"]),
            conditions=conditions_of(cells["conditions"]),
        ),
        duplicates_dropped=int(run["duplicates_dropped"]),
        answered=int(run["answered"]),
        status=RunStatus(cells["status"]),
        attempt=int(run["attempt"]),
        failures=int(run["failures"]),
        worker=None if run["worker"] is None else str(run["worker"]),
        started_at=_known_time(run["started_at"]),
        ended_at=_known_time(run["ended_at"]),
        reason=str(run["reason"]),
        traceback=str(run["traceback"]),
        provenance=None if provenance is None else provenance_of(provenance),
        measures=None if measures is None else measures_of(measures),
        noise=noise_of(run["noise"]),
        attempts=tuple(map(_attempt, run["attempts"])),
        form=str(run.get("form", "")),
        judged=tuple(map(str, run.get("judges", ()))),
        part=None if run.get("part") is None else PartCopy(*(int(run["part"][name]) for name in PART)),
    )


def _attempt_object(copy: AttemptCopy) -> JsonObject:
    attempt = copy.attempt
    return {
        **asdict(attempt),
        "started_at": attempt.started_at.isoformat(),
        "ended_at": _text(attempt.ended_at),
        "measures": None if copy.measures is None else measures_object(copy.measures),
    }


def _attempt(stored: Mapping[str, Any]) -> AttemptCopy:
    attempt = Attempt(
        int(stored["number"]),
        str(stored["worker"]),
        _time(stored["started_at"]),
        _known_time(stored["ended_at"]),
        str(stored["outcome"]),
        str(stored["reason"]),
        str(stored["traceback"]),
    )
    measures = stored["measures"]
    return AttemptCopy(attempt, None if measures is None else measures_of(measures))


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found


def _known_time(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
