"""A worker's child that converses, in this process; and requests to it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from chat.client.client import Client, Reply, ReplySettings, new_id
from chat.protocol.turns import Ending, Progress, TurnRequest
from proctor.nouns.conversations import Role, Sampling, Utterance
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.settings import Settings
from proctor.store.database.session import Store
from tests.integration.desks import ME
from tests.models import on_cpu
from workers.channel import Channel
from workers.conversation.server import ConversationServer
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams
from workers.run.liveness import Liveness

ANOTHER = dataclasses.replace(ME, name="cpu@here:2")
GREEDY = Sampling(temperature=0, max_tokens=20)


class Clock:
    """A clock that moves as it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A worker's child without its parent: `work` does what waits."""

    def __init__(
        self, settings: Settings, store: Store, me: WorkerCard = ME, clock: Callable[[], float] = time.monotonic
    ) -> None:
        assert settings.broker_url is not None
        self.channel, self.models = Channel(), on_cpu(settings.cache)
        retry = OutageRetry(self.channel.wait, 5.0)
        context = ServerContext(me, self.models, store, self.channel, retry, Liveness(), lease_s=30.0, clock=clock)
        self.chat = ConversationServer(context, ReplyStreams(settings.broker_url))

    def work(self) -> None:
        self.chat.answer_waiting()
        while self.chat.load_wanted():
            pass


def request(model: str, said: str = "Why does the moon turn?", **more: object) -> TurnRequest:
    plain = ReplySettings(model, sampling=GREEDY).request(new_id(), [Utterance(Role.USER, said)])
    return dataclasses.replace(plain, **more)  # type: ignore[arg-type] # fields of TurnRequest


def accepted(client: Client, *requests: TurnRequest) -> list[Reply]:
    """The Turns, filed."""
    replies = [client.ask(one) for one in requests]
    for reply in replies:
        first = next(reply.entries())
        assert isinstance(first, Progress), first
    return replies


def ended(client: Client, desk: Desk, *requests: TurnRequest) -> list[Reply]:
    replies = accepted(client, *requests)
    desk.work()
    for reply in replies:
        for _ in reply.entries():
            pass
    return replies


def ending(reply: Reply) -> Ending:
    assert reply.ending is not None
    return reply.ending
