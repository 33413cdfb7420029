"""Makes what a worker's child works with, once. torch, the device and the engines come with this module."""

from __future__ import annotations

import logging
import time

from celery import Celery

from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.settings import Settings
from proctor.store.database.session import Store
from workers.allowed_models import AllowedModels
from workers.channel import Channel
from workers.context import WorkerContext
from workers.conversation.duty import ChatDuty, NoChatDuty
from workers.conversation.server import ConversationServer
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams
from workers.engines.devices import own_device
from workers.models.held import Models
from workers.models.loading import engine_loader
from workers.run.liveness import Liveness
from workers.run.task_events import TaskEvents

OUTAGE_S = 3600.0  # how long a worker waits for what is away, with a scored pack in its hands or before a load

log = logging.getLogger(__name__)


def make_context(settings: Settings, me: WorkerCard, channel: Channel, app: Celery) -> WorkerContext:
    """Own the device of this process. Raises `BadInput` where torch can't see it."""
    began = time.monotonic()
    device = own_device(me.device, me.memory_bytes)
    channel.hold(None)
    log.info("%s is ready after %.1f s", device.name, time.monotonic() - began)
    liveness = Liveness(channel.beat)

    def wait_for(what: str) -> None:
        channel.wait_for(what)
        liveness.beat()  # a wait is bounded by its own patience

    models = Models(device, engine_loader(device, settings.cache, progress=log.info, moved=liveness.beat))
    store = Store(settings.database_url, timeout_s=settings.lease_s)
    retry = OutageRetry(channel.wait, OUTAGE_S, wait_for)
    chat: ChatDuty = NoChatDuty()
    if settings.broker_url is not None:
        allowed = AllowedModels(settings.allow_models, settings.cache)
        means = ServerContext(me, models, store, channel, retry, liveness, settings.lease_s, allowed)
        chat = ConversationServer(means, ReplyStreams(settings.broker_url))
    return WorkerContext(
        me=me,
        device=device,
        models=models,
        store=store,
        channel=channel,
        retry=retry,
        events=TaskEvents(app, me.name),
        lease_s=settings.lease_s,
        liveness=liveness,
        chat=chat,
    )
