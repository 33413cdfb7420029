"""An engine that only sleeps, and a worker process around it: everything else of a worker's child is the real one.

`python -m bench.queue` measures with it what the queue itself costs: claims, leases, packs, choices.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from proctor.nouns.exams import Pack, Prompt
from proctor.nouns.models import Device, DType, ModelRef, Quant
from proctor.nouns.runs import Cost, Provenance
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.store.database.session import Store
from proctor.store.runs import runs, workers
from workers.channel import Channel
from workers.context import WorkerContext
from workers.engines.devices import own_device
from workers.engines.hf.model import CausalModel
from workers.engines.hf.tokens import Tokenizer
from workers.engines.scoring import PackScores, Prepared
from workers.models.held import Loaded, Models
from workers.run.task_events import TaskEvents
from workers.sit import drain

T = TypeVar("T")
QUESTION_TOKENS = 100
IDLE_S = 0.1  # between two looks of an idle worker; the real one is woken by a bell, or looks every 0.5 s


@dataclass(frozen=True)
class Pace:
    """How long everything is slept for."""

    load_s: float
    pack_s: float


class SleepingScorer:
    """Scores a pack by sleeping; the first option is always the most likely."""

    name = "sleeping"

    def __init__(self, pack_s: float) -> None:
        self.pack_s = pack_s

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        return Prepared((), (QUESTION_TOKENS,) * len(prompts), Cost())

    def score(self, _prepared: Prepared, pack: Pack) -> PackScores:
        time.sleep(self.pack_s)
        tokens = QUESTION_TOKENS * len(pack.members)
        return PackScores(((-0.1, -3.0, -3.0, -3.0),) * len(pack.members), tokens, 0, Cost(self.pack_s))


class Words(Tokenizer):
    """Counts words; there is no model to read for."""

    def __init__(self) -> None:
        self.window = 10**6

    def count(self, text: str) -> int:
        return len(text.split())


class SleepingModels(Models):
    """Holds one model, and sleeps where it has to be loaded."""

    def __init__(self, load_s: float, pack_s: float) -> None:
        super().__init__(own_device(Device.CPU), Path("unused"))
        self._load_s, self._pack_s = load_s, pack_s

    def get(self, ref: ModelRef, quant: Quant, dtype: DType, pack_tokens: int = 0) -> Loaded:  # noqa: ARG002 -- as the real one's
        if self._loaded is None or (self._loaded.ref, self._loaded.quant) != (ref, quant):
            time.sleep(self._load_s)
            provenance = Provenance(DType.FLOAT32, "sleeping", "a bed", "here")
            self._loaded = Loaded(
                ref, quant, cast("CausalModel", None), SleepingScorer(self._pack_s), Words(), provenance,
                Cost(self._load_s), 0,
            )  # fmt: skip
        return self._loaded


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
        models = SleepingModels(pace.load_s, pace.pack_s)
        worker = WorkerContext(me, models.device, models, store, channel, retry, NoEvents(), lease_s=30.0)
        runs.waiting(store, me)
        begin()
        while not over():
            if runs.waiting(store, me):
                drain(worker)
            time.sleep(IDLE_S)
    times = os.times()
    return Sleeper(retry.claims, times.user + times.system)
