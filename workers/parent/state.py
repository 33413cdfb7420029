"""What a worker's parent is made with, and what its child finds after the fork: settings, who it is, the channel.

Reads the environment, as the start of a process does. Torch-free; `workers.celery` adds the child's own.
"""

from __future__ import annotations

import functools
import logging
import os

from celery import Celery

from proctor.broker.app import make_app
from proctor.broker.bell import BROKER_ERRORS, wake
from proctor.nouns.models import Device
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.session import Store
from workers.allowed_models import allowed_for
from workers.channel import Channel
from workers.launcher.identity import read_card, read_vllm
from workers.parent.requests import ChatRequests

log = logging.getLogger(__name__)


@functools.cache
def settings() -> Settings:
    """The settings of this process, from its environment."""
    return Settings.read(os.environ)


@functools.cache
def app() -> Celery:
    """The application of Celery that this worker is."""
    return make_app(settings())


@functools.cache
def me() -> WorkerCard:
    """Who this worker is."""
    return read_card(os.environ)


@functools.cache
def channel() -> Channel:
    """What parent and child share; the parent makes it before it forks."""
    return Channel()


@functools.cache
def chat_requests() -> ChatRequests:
    """The parent's ear for clients."""
    ours = settings()
    assert ours.broker_url is not None  # else there is no app
    starts_vllm = read_vllm(os.environ) is not None
    allowed = allowed_for(me(), ours.allow_models, ours.cache, starts_vllm=starts_vllm)
    return ChatRequests(ours.broker_url, Store(ours.database_url, timeout_s=ours.lease_s), me(), ring, allowed)


def ring(device: Device) -> None:
    """Wake a worker for a reply that was asked for. `ParentLoop` makes up for a bell that is lost."""
    try:
        wake(app(), device, me().name)
    except BROKER_ERRORS as error:
        log.info("no bell was rung for a reply: %s", error)
