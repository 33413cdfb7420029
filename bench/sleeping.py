"""An engine that only sleeps, and a worker process around it: everything else of a worker's child is the real one.

`python -m bench.queue` measures with it what the queue itself costs: claims, leases, packs, choices.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from proctor.nouns.exams import Pack, Prompt
from proctor.nouns.models import Device, DType, ModelRef, Quant
from proctor.nouns.runs import Cost, Provenance
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.store.database.session import Store
from proctor.store.runs import runs, workers
from workers.channel import Channel
from workers.context import WorkerContext
from workers.drain import drain
from workers.engines.base import Engine, LoadRequest, Skill, Tokenizer
from workers.engines.chat_template import ChatTemplate
from workers.engines.detokenizer import Detokenizer
from workers.engines.devices import own_device
from workers.engines.generation import Generator
from workers.engines.scoring import PackScores, Prepared
from workers.models.held import Load, Models
from workers.run.task_events import TaskEvents

T = TypeVar("T")
QUESTION_TOKENS = 100
IDLE_S = 0.1  # between two looks of an idle worker; the real one is woken by a bell, or looks every 0.5 s


@dataclass(frozen=True)
class Pace:
    """How long everything is slept for."""

    load_s: float
    pack_s: float


class Words:
    """A `Tokenizer` that counts words; there is no model to read for."""

    window = 10**6
    vocabulary_size = 0
    own_ids = True
    template = ChatTemplate(None, "sleeping")

    def ids(self, text: str) -> Sequence[int]:
        return range(self.count(text))

    text_ids = ids

    def count(self, text: str) -> int:
        return len(text.split())

    def size(self, tokens: Sequence[int]) -> int:
        return len(tokens)

    def decode(self, tokens: Sequence[int], *, specials: bool = True) -> str:  # noqa: ARG002 -- the protocol's
        return " ".join("z" for _ in tokens)

    def token_bytes(self, token: int) -> bytes:  # noqa: ARG002 -- the protocol's
        return b"z"


@dataclass(frozen=True, eq=False)
class SleepingEngine:
    """An `Engine` that scores a pack by sleeping; the first option is always the most likely."""

    ref: ModelRef
    quant: Quant
    load_cost: Cost
    pack_s: float
    skills: AbstractSet[Skill] = frozenset({Skill.SCORE, Skill.EXACT})
    tokenizer: Tokenizer = field(default_factory=Words)
    provenance: Provenance = field(default_factory=lambda: Provenance(DType.FLOAT32, "sleeping", "a bed", "here"))
    weight_bytes: int = 0

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        return Prepared(tuple(prompts), (QUESTION_TOKENS,) * len(prompts), Cost())

    def answer(self, _prepared: Prepared, pack: Pack) -> PackScores:
        time.sleep(self.pack_s)
        tokens = QUESTION_TOKENS * len(pack.members)
        return PackScores(((-0.1, -3.0, -3.0, -3.0),) * len(pack.members), tokens, 0, Cost(self.pack_s))

    def score_options(self, _prompt: Sequence[int], options: Sequence[Sequence[int]]) -> tuple[float, ...]:
        return (-1.0,) * len(options)

    def stream(self) -> Generator:
        raise NotImplementedError(f"{Skill.STREAM} is none of its skills")

    def detokenizer(self, stops: Sequence[str] = (), behind: Sequence[int] = ()) -> Detokenizer:
        return Detokenizer(self.tokenizer.decode, stops, behind)

    def close(self) -> None:
        """There is nothing to end."""


def sleeping_loader(pace: Pace) -> Load:
    """Sleeps where a model has to be loaded."""

    def load(request: LoadRequest) -> Engine:
        time.sleep(pace.load_s)
        return SleepingEngine(request.ref, request.quant, Cost(pace.load_s), pace.pack_s)

    return load


class Timed(OutageRetry):
    """Notes how long each claim took, and when, by the monotonic clock of this machine."""

    def __init__(self, pause: Callable[[float], bool]) -> None:
        super().__init__(pause, 60.0)
        self.claims: list[tuple[float, float]] = []

    def __call__(self, work: Callable[[], T], *more: Any, **named: Any) -> T:
        began = time.monotonic()
        done = super().__call__(work, *more, **named)
        if isinstance(work, partial) and work.func is runs.claim_best and done is not None:
            self.claims.append((began, time.monotonic() - began))
        return done


class NoEvents(TaskEvents):
    """Nobody listens."""

    def __init__(self) -> None:
        pass

    def _put(self, *_: Any, **__: Any) -> None:
        pass


@dataclass
class Sleeper:
    """What one worker process did."""

    claims: list[tuple[float, float]] = field(default_factory=list)
    cpu_s: float = 0.0


def work(url: str, number: int, pace: Pace, begin: Callable[[], object], over: Callable[[], bool]) -> Sleeper:
    """A worker's life: wait to `begin` once it is up, drain, look again now and then, until it is over."""
    me = WorkerCard(f"cpu@bench:{number}", "bench", Device.CPU, "a bed", 1 << 34)
    channel = Channel()
    retry = Timed(channel.wait)
    with Store(url) as store:
        workers.register(store, me)
        models = Models(own_device(Device.CPU), sleeping_loader(pace))
        worker = WorkerContext(me, models.device, models, store, channel, retry, NoEvents(), lease_s=30.0)
        runs.waiting(store, me)
        begin()
        while not over():
            if runs.waiting(store, me):
                drain(worker)
            time.sleep(IDLE_S)
    times = os.times()
    return Sleeper(retry.claims, times.user + times.system)
