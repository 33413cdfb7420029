"""What a worker's child works with. `workers.child` makes it, once."""

from __future__ import annotations

from dataclasses import dataclass, field

from proctor.nouns.models import Lane
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.store.database.session import Store
from workers.channel import Channel
from workers.conversation.duty import ChatDuty, NoChatDuty
from workers.engines.base import ComputeDevice
from workers.models.held import Models
from workers.run.liveness import Liveness
from workers.run.task_events import TaskEvents


@dataclass(frozen=True)
class WorkerContext:
    """One child's device, the model on it, and its ways to the database, the parent and the broker."""

    me: WorkerCard
    device: ComputeDevice
    models: Models
    store: Store
    channel: Channel
    retry: OutageRetry
    events: TaskEvents
    lease_s: float
    liveness: Liveness = field(default_factory=Liveness)
    chat: ChatDuty = field(default_factory=NoChatDuty)

    @property
    def held(self) -> Lane | None:
        """The lane that needs no load now."""
        held = self.models.held
        return Lane(self.me.device, str(held.ref), held.quant) if held is not None else None
