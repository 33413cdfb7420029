"""Makes what a worker's child works with, once. With a device that computes here torch comes along."""

from __future__ import annotations

import importlib
import logging
import os
import time

from celery import Celery

from proctor.nouns.models import Device
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.settings import Settings
from proctor.store.database.session import Store
from workers.allowed_models import allowed_for
from workers.channel import Channel
from workers.context import WorkerContext
from workers.conversation.duty import ChatDuty, NoChatDuty
from workers.conversation.server import ConversationServer
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams
from workers.engines.base import ComputeDevice
from workers.launcher.identity import read_endpoint, read_vllm
from workers.models.held import Models
from workers.models.loading import engine_loader
from workers.run.liveness import Liveness
from workers.run.task_events import TaskEvents

OUTAGE_S = 3600.0  # how long a worker waits for what is away, with a scored pack in its hands or before a load

log = logging.getLogger(__name__)


def make_context(settings: Settings, me: WorkerCard, channel: Channel, app: Celery) -> WorkerContext:
    """Own the device of this process. Raises `BadInput` where torch can't see it."""
    began = time.monotonic()
    liveness = Liveness(channel.beat)
    device = open_device(me, channel, liveness)
    channel.hold(None)
    log.info("%s is ready after %.1f s", device.name, time.monotonic() - began)

    def wait_for(what: str) -> None:
        channel.wait_for(what)
        liveness.beat()  # a wait is bounded by its own patience

    models = Models(device, engine_loader(device, settings.cache, progress=log.info, moved=liveness.beat))
    store = Store(settings.database_url, timeout_s=settings.lease_s)
    retry = OutageRetry(channel.wait, OUTAGE_S, wait_for)
    chat: ChatDuty = NoChatDuty()
    if settings.broker_url is not None:
        starts_vllm = read_vllm(os.environ) is not None
        allowed = allowed_for(me, settings.allow_models, settings.cache, starts_vllm=starts_vllm)
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


def open_device(me: WorkerCard, channel: Channel, liveness: Liveness) -> ComputeDevice:
    """The device that a worker is to own. Raises `BadInput` where it can't be had."""
    vllm = read_vllm(os.environ)
    if vllm is not None:
        from workers.engines.endpoint.vllm import VllmDevice

        gpus = len([gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu])
        return VllmDevice(vllm, me.device_name, gpus, liveness.beat, lambda: channel.stopped)
    if me.device is Device.NET:
        from workers.engines.endpoint.device import EndpointDevice

        return EndpointDevice(read_endpoint(os.environ), liveness.beat, lambda: channel.stopped)
    from workers.engines.devices import own_device

    return own_device(me.device, me.memory_bytes)


def import_ahead(me: WorkerCard) -> None:
    """Import what the worker's engine takes, which for torch is seconds: before the first bell."""
    importlib.import_module(
        "workers.engines.endpoint.engine" if me.device is Device.NET else "workers.engines.hf.engine"
    )
