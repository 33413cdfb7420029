"""What a worker's child lends to its conversations."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from proctor.nouns.models import Lane
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.store.database.session import Store
from workers.allowed_models import ANYTHING, AllowedModels
from workers.channel import Channel
from workers.engines.base import Engine
from workers.models.held import Models
from workers.run.liveness import Liveness


@dataclass(frozen=True)
class ServerContext:
    """The child's model, and its ways to the database and to its parent."""

    me: WorkerCard
    models: Models
    store: Store
    channel: Channel
    retry: OutageRetry
    liveness: Liveness
    lease_s: float
    allowed: AllowedModels = ANYTHING
    clock: Callable[[], float] = time.monotonic  # by which turns are taken

    @property
    def held(self) -> Lane | None:
        """The lane whose replies can be made without a load."""
        return self.lane(self.models.held) if self.models.held is not None else None

    def lane(self, engine: Engine) -> Lane:
        """The lane of a loaded model, on this worker's device."""
        return Lane(self.me.device, str(engine.ref), engine.quant)
