"""The words of Proctor as values: frozen, checked when made, free of any library.

Rows of the database are `proctor.store.tables`; what travels between the rooms is here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from proctor.errors import BadInput

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SHOTS = 5  # examples before a question, where nobody says how many: the usual number for MMLU


class Quant(StrEnum):
    """Quantization of the weights: as stored, LLM.int8, or NF4 with double quantization."""

    NONE = "none"
    EIGHT_BIT = "8bit"
    FOUR_BIT = "4bit"


class Device(StrEnum):
    """The class of device that a Run wants; also the name of the Celery queue that carries its bell."""

    GPU = "gpu"
    CPU = "cpu"


class DType(StrEnum):
    """The type that a model computes in; `auto` is the checkpoint's own where the device has it."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Scoring(StrEnum):
    """What of an option is scored: the letter before which it stands in the prompt, or its own text."""

    LETTERS = "letters"
    TEXT = "text"


class RunStatus(StrEnum):
    """A Run's state. The chart of the arrows is the docstring of `proctor.store.runs`."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ModelSource(StrEnum):
    """Where a model's files come from."""

    HUB = "hub"
    FOLDER = "folder"
    GGUF = "gguf"
    DEMO = "demo"


# Of a GGUF file, and of one of the several of a split model.
_ENDING = re.compile(r"(-\d{5}-of-\d{5})?\.gguf$")


def without_ending(model: str) -> str:
    """A hub id or path without `.gguf`, or `-00001-of-00002.gguf`, at its end."""
    return _ENDING.sub("", model.rstrip("/"))


def short_name(model: str) -> str:
    """The last part of a hub id or path, without the ending of a file: what tables and graphs call a model."""
    return without_ending(model).rsplit("/", 1)[-1]


@dataclass(frozen=True)
class ModelRef:
    """A model by name. `revision` is a hub commit or a fingerprint of local files; "" until it is known."""

    name: str  # hub id, absolute path of a folder or GGUF file, or a demo model's short name
    source: ModelSource
    revision: str = ""

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip() or any(ord(c) < 32 for c in self.name):
            raise BadInput(f"{self.name!r} is no model name.", "Give a hub id, a folder or a GGUF file.")

    @property
    def label(self) -> str:
        """Short and readable, for tables and graphs: the last part of the name."""
        return short_name(self.name)

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


@dataclass(frozen=True)
class Lane:
    """What a worker can do without loading anything: device class, model (with revision), quantization."""

    device: Device
    model: str
    quant: Quant

    def __str__(self) -> str:
        return f"{self.device}/{self.model}/{self.quant}"


@dataclass(frozen=True)
class Question:
    """One item of an Exam. Within a benchmark it is known by (subject, id); `id` is a hash of its content."""

    id: str  # 16 hex digits, see `proctor.exams.identity.question_id`
    index: int  # place in its split, from 0, before duplicates were dropped
    text: str
    choices: tuple[str, ...]
    answer: int  # index into choices

    def __post_init__(self) -> None:
        if not 2 <= len(self.choices) <= len(LETTERS):
            raise BadInput(
                f"Question {self.index} has {len(self.choices)} choices; 2 to {len(LETTERS)} can be lettered."
            )
        if not 0 <= self.answer < len(self.choices):
            raise BadInput(f"Question {self.index}: answer {self.answer} is not among its {len(self.choices)} choices.")


@dataclass(frozen=True)
class Exam:
    """A benchmark's subject: its questions, and the dev questions that are shown as examples (shots)."""

    benchmark: str
    subject: str
    dev: tuple[Question, ...]
    questions: tuple[Question, ...]
    content_hash: str  # sha256 over dev and questions, 64 hex digits
    duplicates_dropped: int = 0


@dataclass(frozen=True)
class Conditions:
    """How an Exam is put to a model. Runs are compared only where these agree."""

    shots: int = SHOTS
    chat_template: bool = False
    limit: int | None = None  # the first so many questions; None is all
    pack_tokens: int = 2048  # budget of a Pack, in tokens
    prompt_version: str = "mmlu-1.0"
    scoring: Scoring = Scoring.LETTERS
    template_date: str = ""  # YYYY-MM-DD, what a chat template is told; "": the day on which the sweep was submitted

    def __post_init__(self) -> None:
        if self.template_date and not self.chat_template:
            raise BadInput(f"--template-date {self.template_date} is for chat templates.", "Add --chat-template.")
        if self.template_date and not _is_day(self.template_date):
            raise BadInput(f"--template-date {self.template_date!r} is no date.", "Write it as 2026-11-30.")
        if self.shots < 0:
            raise BadInput(f"--shots {self.shots} is below 0.")
        if self.limit is not None and self.limit < 1:
            raise BadInput(f"--limit {self.limit} is below 1.")
        if self.pack_tokens < 1:
            raise BadInput(f"A pack of {self.pack_tokens} tokens holds nothing.")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


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


@dataclass(frozen=True)
class Prompt:
    """One Question as a model reads it, up to and including `Answer:`."""

    question: Question
    text: str
    hash: str  # sha256 of text in UTF-8, 64 hex digits: the field lm-evaluation-harness calls prompt_hash
    shots: int  # examples shown; fewer than asked for where the window was too small
    options: tuple[str, ...]  # what is scored after text: " A", " B", … or "A", "B", …, or the options' own texts
    characters: tuple[int, ...] = ()  # of each option, without the space before it; empty: all have as many


@dataclass(frozen=True)
class Pack:
    """Questions that go through the model together: the unit that is committed and resumed."""

    index: int
    members: tuple[int, ...]  # indexes into the Run's prompts


@dataclass(frozen=True)
class Answer:
    """One Run's result on one Question."""

    question_id: str
    prompt_hash: str
    shots: int
    options_logprob: tuple[float, ...]  # natural logarithms, one an option
    picked: int | None  # None: no single best option (an exact tie)
    correct: bool
    correct_norm: bool = False  # whether the best log-probability per character is the key's


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
    peak_device_bytes: int = 0  # 0 on the CPU
    tokens_computed: int = 0
    tokens_saved: int = 0  # computed once for several questions
    tokenize: Cost = Cost()
    prefix: Cost = Cost()  # the forward pass over what all prompts begin with

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


@dataclass(frozen=True)
class ShotsShown:
    """How many examples stood before a Run's questions: fewer than asked for, where the model's window held no more."""

    fewest: int
    most: int
    short: int  # questions with fewer than asked for


@dataclass(frozen=True)
class Provenance:
    """What produced a Run's numbers, fixed by the first attempt of which a pack is kept."""

    dtype: DType
    attention: str  # "plain", or the name of the fast path
    device_name: str
    host: str
    versions: Mapping[str, str] = field(default_factory=dict)  # library -> version
    notes: tuple[str, ...] = ()  # what a reader must know, such as why the fast path was not taken
    cut_tokens: int | None = None  # packs went through the model in parts of at most this; None: whole
    products: str = "torch"  # what multiplies matrices: torch, or onednn where weights were laid out for it
    template_date: str = ""  # YYYY-MM-DD, where the chat template writes the date into the prompts
    shots: ShotsShown | None = None  # None: not recorded, by an earlier release


@dataclass(frozen=True)
class WorkerCard:
    """Who a worker is: one process that owns one device."""

    name: str  # unique while it lives: cpu@host:pid
    host: str
    device: Device
    device_name: str
    memory_bytes: int  # what its models may take, all its GPUs together
    lanes: tuple[str, ...] = ()  # patterns (fnmatch) of lanes that it may serve; empty: all
    sweep_id: int | None = None  # the one sweep that it was started for; None: any
    quants: tuple[Quant, ...] = tuple(Quant)  # what its libraries and its device can do
    versions: Mapping[str, str] = field(default_factory=dict)  # library -> version


@dataclass(frozen=True)
class LaneLoad:
    """What waits on one lane, as the choice of the next lane sees it."""

    lane: Lane
    priority: int  # the highest among its waiting Runs; higher goes first
    waiting: int
    workers: int  # other workers that hold this lane now
    mean_run_s: float | None = None  # None: none has finished yet
    mean_load_s: float | None = None
    share: int = 0  # other workers that serve the sweep that waits here; of several, the one that is served least
    turn: int = 0  # that sweep's place among those that wait, the one that a worker went to longest ago first
    needs_bytes: int | None = None  # what the lane's model is predicted to need; None: not known


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
