"""What a worker's child works with. Made once, in the child: torch and the device come with this module."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from celery import Celery

from proctor.nouns.models import Lane
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.session import Store
from workers.allowed_models import AllowedModels
from workers.channel import Link
from workers.conversation.duty import Chat, NoChat
from workers.conversation.server import Conversing, Means
from workers.conversation.streams import Replies
from workers.engines.devices import TorchDevice, own_device
from workers.models.held import Models
from workers.run.liveness import Pulse
from workers.run.task_events import TaskEvents
from workers.waiting import Patience

OUTAGE_S = 3600.0  # how long a worker waits for what is away, with a scored pack in its hands or before a load

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Desk:
    """One child's device, the model on it, and its ways to the database, the parent and the broker."""

    me: WorkerCard
    device: TorchDevice
    models: Models
    store: Store
    link: Link
    patience: Patience
    events: TaskEvents
    lease_s: float
    pulse: Pulse = field(default_factory=Pulse)
    chat: Chat = field(default_factory=NoChat)

    @property
    def held(self) -> Lane | None:
        """The lane that needs no load now."""
        held = self.models.held
        return Lane(self.me.device, str(held.ref), held.quant) if held is not None else None


def make_desk(settings: Settings, me: WorkerCard, link: Link, app: Celery) -> Desk:
    """Own the device of this process. Raises `BadInput` where torch can't see it."""
    began = time.monotonic()
    device = own_device(me.device, me.memory_bytes)
    link.hold(None)
    log.info("%s is ready after %.1f s", device.name, time.monotonic() - began)
    pulse = Pulse(link.beat)

    def wait_for(what: str) -> None:
        link.wait_for(what)
        pulse.beat()  # a wait is bounded by its own patience

    models = Models(device, settings.cache, progress=log.info, moved=pulse.beat)
    store = Store(settings.database_url, timeout_s=settings.lease_s)
    patience = Patience(link.wait, OUTAGE_S, wait_for)
    chat: Chat = NoChat()
    if settings.broker_url is not None:
        allowed = AllowedModels(settings.allow_models, settings.cache)
        means = Means(me, models, store, link, patience, pulse, settings.lease_s, allowed)
        chat = Conversing(means, Replies(settings.broker_url))
    return Desk(
        me=me,
        device=device,
        models=models,
        store=store,
        link=link,
        patience=patience,
        events=TaskEvents(app, me.name),
        lease_s=settings.lease_s,
        pulse=pulse,
        chat=chat,
    )
