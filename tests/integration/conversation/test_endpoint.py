"""Conversations with a model that a server has: its chat template writes them out, and its counts are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chat.client.client import Client, Reply, ReplySettings, new_id
from chat.protocol.turns import Ending, Progress, TurnRequest
from proctor.catalog.endpoint import Endpoint
from proctor.nouns.conversations import Fault as Cause
from proctor.nouns.conversations import Finish, History, Role, Sampling, Utterance
from proctor.nouns.models import Device
from proctor.settings import Settings
from proctor.store.conversations import conversations
from proctor.store.database.session import Store
from proctor.store.runs import workers
from tests.faulty_endpoint import MODEL, Fault, FaultyEndpoint, spoken
from tests.integration.desks import ME, make_desk
from workers.allowed_models import allowed_for
from workers.context import WorkerContext
from workers.conversation.server import ConversationServer
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams
from workers.drain import drain
from workers.engines.endpoint.device import EndpointDevice
from workers.engines.endpoint.retries import Patience
from workers.models.held import Models
from workers.models.loading import engine_loader
from workers.parent.requests import ChatRequests

NET = replace(ME, name="net@here:1", device=Device.NET, memory_bytes=0, lanes=(f"net/{MODEL}/none",))
SAID = Sampling(temperature=0, max_tokens=12)


@pytest.fixture
def server() -> Iterator[FaultyEndpoint]:
    with FaultyEndpoint() as found:
        yield found


@pytest.fixture
def desk(store: Store, settings: Settings, server: FaultyEndpoint, tmp_path: Path) -> Iterator[WorkerContext]:
    """A worker's child that asks the server."""
    assert settings.broker_url is not None
    device = EndpointDevice(Endpoint(server.url), patience=Patience(20.0, first_wait_s=0.01))
    made = replace(make_desk(store, settings, None, Models(device, engine_loader(device, tmp_path / "unused"))), me=NET)
    allowed = allowed_for(NET, None, tmp_path)
    means = ServerContext(
        NET, made.models, store, made.channel, made.retry, made.liveness, made.lease_s, allowed
    )  # fmt: skip
    yield replace(made, chat=ConversationServer(means, ReplyStreams(settings.broker_url)))
    made.models.unload()


@pytest.fixture
def client(broker: str, settings: Settings, store: Store, tmp_path: Path) -> Iterator[Client]:
    """A client of a fleet whose only worker is this one."""
    with Client(broker) as found:
        found.redis.flushdb()
        chat_requests = ChatRequests(broker, store, NET, lambda _: None, allowed_for(NET, None, tmp_path))
        chat_requests.start()
        yield found
        chat_requests.stop()
        chat_requests.join()


def request(
    said: str, sampling: Sampling = SAID, history: History = History.SUMMARY, model: str = MODEL
) -> TurnRequest:
    settings = ReplySettings(model, sampling=sampling, history=history)
    return settings.request(new_id(), [Utterance(Role.USER, said)])


def begun(client: Client, request: TurnRequest) -> Reply:
    """A reply that was asked for and accepted."""
    reply = client.ask(request)
    assert isinstance(next(reply.entries()), Progress)
    return reply


def heard(reply: Reply) -> Ending:
    for _ in reply.entries():
        pass
    assert reply.ending is not None
    return reply.ending


def answer_to(said: str) -> str:
    return "".join(text for text, _, _ in spoken(said, 12))


def test_a_conversation_goes_out_as_messages_and_the_server_s_counts_are_told(
    client: Client, store: Store, server: FaultyEndpoint, desk: WorkerContext
) -> None:
    first = begun(client, request("The moon"))
    drain(desk)
    ending = heard(first)
    assert (first.text, ending.finish) == (answer_to("The moon"), Finish.LENGTH)
    assert (ending.counts.tokens_in, ending.counts.tokens_out) == (len("The moon"), 12)
    second = begun(client, replace(request("And?"), conversation=first.request.conversation))
    drain(desk)
    heard(second)
    assert second.text == answer_to("And?")
    assert server.requests[-1]["messages"] == [
        {"role": "user", "content": "The moon"},
        {"role": "assistant", "content": first.text},
        {"role": "user", "content": "And?"},
    ]
    kept = conversations.find_turn(store, second.turn)
    assert kept is not None
    assert (kept.content, kept.token_ids, kept.lane) == (second.text, (), f"net/{MODEL}/none")


def test_a_text_is_gone_on_with_as_it_stands(client: Client, server: FaultyEndpoint, desk: WorkerContext) -> None:
    reply = begun(client, request("Answer:", history=History.RAW))
    drain(desk)
    heard(reply)
    assert reply.text == answer_to("Answer:")
    assert server.requests[-1]["prompt"] == "Answer:"


def test_a_reply_that_the_server_refuses_fails_alone(
    client: Client, server: FaultyEndpoint, desk: WorkerContext
) -> None:
    warm = begun(client, request("Hello"))
    drain(desk)
    heard(warm)
    server.faults.append(Fault(400))
    several = [begun(client, request(f"The moon {number}")) for number in range(3)]
    drain(desk)
    endings = [heard(reply) for reply in several]
    assert sorted(str(ending.finish) for ending in endings) == ["failed", "length", "length"]
    (refused,) = [ending for ending in endings if ending.finish is Finish.FAILED]
    assert refused.fault is Cause.BAD_MODEL
    assert "its server refuses: a fault that was asked for" in refused.error


def test_a_stop_string_ends_a_reply_where_it_begins(
    client: Client, server: FaultyEndpoint, desk: WorkerContext
) -> None:
    server.says = "one STOP two"
    reply = begun(client, request("Count", replace(SAID, stop=("STOP",), max_tokens=50)))
    drain(desk)
    assert (heard(reply).finish, reply.text) == (Finish.STOP, "one ")


def test_a_model_that_the_worker_was_not_started_for_is_not_served(client: Client) -> None:
    reply = client.ask(request("Hello", model="another"))
    ending = heard(reply)
    assert (ending.finish, ending.fault) == (Finish.FAILED, Cause.BAD_MODEL)


def test_on_a_fleet_the_worker_of_another_device_files_it_for_the_server_s(
    broker: str, store: Store, settings: Settings, desk: WorkerContext
) -> None:
    workers.register(store, NET)
    with Client(broker) as client:
        client.redis.flushdb()
        of_the_cpu = ChatRequests(broker, store, ME, lambda _: None)
        of_the_cpu.start()
        try:
            reply = begun(client, request("The moon"))
            drain(desk)
            assert heard(reply).finish is Finish.LENGTH
        finally:
            of_the_cpu.stop()
            of_the_cpu.join()
