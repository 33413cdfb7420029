"""Sweeps and Runs: what was asked for, what was claimed, what it cost, and how it was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, Lane, ModelRef, Quant

# The versions on which numbers depend in their last digits.
ROUNDING = ("torch", "transformers", "bitsandbytes", "cuda", "driver", "compute_capability", "decode")


class RunStatus(StrEnum):
    """A Run's state. The chart of the arrows is the docstring of `proctor.store.runs.runs`."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class RunSpec:
    """One Run as it is planned: one model, at one quantization, on one subject."""

    model: ModelRef
    quant: Quant
    device: Device
    dtype: DType
    benchmark: str
    subject: str
    exam_hash: str
    questions: int  # how many will be asked, after duplicates and limit
    conditions: Conditions

    @property
    def lane(self) -> Lane:
        return Lane(self.device, str(self.model), self.quant)


@dataclass(frozen=True)
class Judges:
    """Which models judge the replies, and how."""

    models: tuple[str, ...]
    quants: tuple[Quant, ...] = (Quant.NONE,)
    pairs: bool = False  # every two contestants against each other, instead of a rating each
    baseline: str = ""  # of pairs: each against this one alone


@dataclass(frozen=True)
class SweepRequest:
    """What a person asked for, as they said it: kept with the Sweep, shown by `proctor status`."""

    models: tuple[str, ...]
    quants: tuple[Quant, ...]
    benchmark: str
    subjects: tuple[str, ...]
    device: str  # auto, cuda or cpu
    dtype: DType
    conditions: Conditions
    priority: int = 0  # higher goes first
    name: str = ""
    check_noise: bool = False  # score a slice of each Run again, in other packs; changes no Answer
    further: tuple[str, ...] = ()  # benchmarks beside the first
    judges: Judges | None = None  # who judges the replies; None: nobody

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """All that were named, each with its own subjects where it was said so (`mmlu:stem,law`)."""
        return (self.benchmark, *self.further)


@dataclass(frozen=True)
class Claim:
    """A worker's hold on a Run: the attempt is the fencing number that guards every write."""

    run_id: int
    attempt: int
    spec: RunSpec
    lease_s: float
    dtype: DType  # the type that an earlier attempt computed in, else what the sweep asked for
    check_noise: bool = False  # asked for, and not yet known
    template_date: date | None = None  # what a chat template is told, the same in all Runs of a sweep
    judged: tuple[int, ...] = ()  # of a judge's Run, those whose replies are judged: the candidate's, another's
    first_question: int = 0  # place in the exam; above 0 in parts of a large Run, whose spec counts their questions

    @property
    def asked(self) -> range:
        """The places in the exam of the questions that are asked."""
        return range(self.first_question, self.first_question + self.spec.questions)


@dataclass(frozen=True)
class Cost:
    """Time spent on one piece of work, such as a load or a pack."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    gpu_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, self.gpu_s + other.gpu_s)


@dataclass(frozen=True)
class Measures:
    """What one Run cost. Memory figures are peaks of this Run alone, not of the process's life."""

    load: Cost = Cost()  # zero where the model was already loaded
    score: Cost = Cost()  # the packs; in rows from before `prefix` and `tokenize` were measured apart, those too
    write: Cost = Cost()
    peak_rss_bytes: int = 0
    peak_device_bytes: int = 0  # of tensors on the GPU; 0 on the CPU
    tokens_computed: int = 0
    tokens_saved: int = 0  # computed once for several questions
    tokenize: Cost = Cost()
    prefix: Cost = Cost()  # the forward pass over what all prompts begin with
    peak_reserved_bytes: int = 0  # of the GPU's memory that torch held, in use or not; 0: not recorded, or on the CPU
    tokens_written: int = 0  # of those computed, what was generated

    @property
    def scoring(self) -> Cost:
        """From prompts to log-probabilities: all but the load and the database."""
        return self.tokenize + self.prefix + self.score


@dataclass(frozen=True)
class Noise:
    """How far the numbers of a slice of a Run moved when it was scored again in other packs."""

    questions: int  # in the slice
    flips: int  # of them: another option was picked, or a tie came or went
    largest: float  # difference of an option's log-probability, nats
    mean: float  # difference of an option's log-probability, nats
    pack_tokens: int  # budget of the other packs
    wall_s: float

    def __add__(self, other: Noise) -> Noise:
        questions = self.questions + other.questions
        mean = (self.mean * self.questions + other.mean * other.questions) / max(1, questions)
        return Noise(
            questions,
            self.flips + other.flips,
            max(self.largest, other.largest),
            mean,
            self.pack_tokens,
            self.wall_s + other.wall_s,
        )


@dataclass(frozen=True)
class ShotsShown:
    """How many examples stood before a Run's questions: fewer than asked for, where the model's window held no more."""

    fewest: int
    most: int
    short: int  # questions with fewer than asked for

    def __add__(self, other: ShotsShown) -> ShotsShown:
        return ShotsShown(min(self.fewest, other.fewest), max(self.most, other.most), self.short + other.short)


@dataclass(frozen=True)
class Fared:
    """Counts over written answers on one filter chain; those without one are in one of the four before `unfinished`."""

    answers: int = 0
    nothing: int = 0  # ended by themselves, and no filter found an answer
    empty: int = 0
    cut: int = 0  # cut by the limit, and nothing extracted
    thinking: int = 0  # cut by the limit within the thought
    unfinished: int = 0  # with a reply that was cut by the limit, extracted from or not
    finished_points: float = 0.0  # of those whose replies ended by themselves

    def __add__(self, other: Fared) -> Fared:
        return Fared(
            self.answers + other.answers,
            self.nothing + other.nothing,
            self.empty + other.empty,
            self.cut + other.cut,
            self.thinking + other.thinking,
            self.unfinished + other.unfinished,
            self.finished_points + other.finished_points,
        )

    @property
    def finished(self) -> int:
        """Answers whose replies ended by themselves."""
        return self.answers - self.unfinished

    @property
    def unanswered(self) -> int:
        """Answers of which nothing was extracted."""
        return self.nothing + self.empty + self.cut + self.thinking

    def __str__(self) -> str:
        """`3 with nothing extracted, 2 empty, 1 cut by the limit`; "" where an answer was extracted from all."""
        parts = (
            (self.nothing, "with nothing extracted"),
            (self.empty, "empty"),
            (self.cut, "cut by the limit"),
            (self.thinking, "with thinking unfinished"),
        )
        return ", ".join(f"{count:,} {what}" for count, what in parts if count)


@dataclass(frozen=True)
class Provenance:
    """What produced a Run's numbers, fixed by the first attempt of which a pack is kept."""

    dtype: DType
    attention: str  # "plain", or the name of the fast path
    device_name: str
    host: str
    versions: Mapping[str, str] = field(default_factory=dict)  # library -> version; `decode`: how, if not by torch
    notes: tuple[str, ...] = ()  # what a reader must know, such as why the fast path was not taken
    cut_tokens: int | None = None  # packs went through the model in parts of at most this; None: whole
    products: str = "torch"  # what multiplies matrices: torch, or onednn where weights were laid out for it
    template_date: str = ""  # YYYY-MM-DD, where the chat template writes the date into the prompts
    shots: ShotsShown | None = None  # None: not recorded, by an earlier release
    judged_by: str = ""  # filter chain by which written answers were marked again; "": the one of the exam's form

    @property
    def way(self) -> tuple[DType, str, str]:
        """What differs by more than rounding: type, attention, matrix products. One Run is never computed in two."""
        return self.dtype, self.attention, self.products

    def elsewhere(self, there: Provenance) -> str:
        """`on NAME with torch 2.5 instead of 2.4`: device and versions of `there`; "" where both are the same."""
        device = there.device_name if there.device_name != self.device_name else ""
        versions = [
            f"{name} {there.versions.get(name, 'unknown')} instead of {self.versions.get(name, 'unknown')}"
            for name in ROUNDING
            if there.versions.get(name) != self.versions.get(name)
        ]
        told = [f"on {device}"] * bool(device) + [f"with {', '.join(versions)}"] * bool(versions)
        return " ".join(told)


@dataclass(frozen=True)
class Attempt:
    """One worker's try at a Run, for the record."""

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str  # running, done, handed back, failed, lost
    reason: str = ""
    traceback: str = ""  # of a failure that nobody expected
