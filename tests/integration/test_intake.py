"""A worker's ear for clients, on a real broker and without any worker behind it: what is filed, what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chat.client.client import Client, Reply, ReplySettings, new_id
from chat.protocol.inquiries import ANSWER_S, INQUIRIES, Inquiry, InquiryKind, answer_key, load_answer
from chat.protocol.turns import (
    EXPECTED,
    GROUP,
    REQUESTS,
    Ending,
    Piece,
    Progress,
    Stage,
    TurnRequest,
    dump_request,
    load_entry,
    reply_key,
    request_key,
)
from proctor.catalog.resolve import resolve
from proctor.embedded.command import embedded
from proctor.errors import StoreUnavailable
from proctor.nouns.conversations import Counts, Fault, Finish, Role, TurnStatus, Utterance
from proctor.nouns.models import Device, Lane, ModelRef, Quant
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.conversations import conversations, turns
from proctor.store.conversations.filing import MAX_WAITING, Filed, file_turn
from proctor.store.conversations.turns import Outcome, TurnClaim
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs import workers
from proctor.wire import to_json
from tests import tiny
from tests.integration.broker_settings import on_sqlite
from tests.support import wait_until
from workers.allowed_models import AllowedModels
from workers.parent.requests import MOST_DELIVERIES, ChatRequests

ME = WorkerCard("cpu@here:1", "here", Device.CPU, "a CPU", 1 << 40)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama"))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with embedded(on_sqlite(tmp_path_factory.mktemp("fleet")), devices=None) as crew:
        yield crew.settings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(on_sqlite(tmp_path)) as opened:
        yield opened


@pytest.fixture
def client(fleet: Settings) -> Iterator[Client]:
    assert fleet.broker_url is not None
    with Client(fleet.broker_url) as found:
        found.redis.flushdb()
        yield found


@pytest.fixture
def rung() -> list[Device]:
    return []


@pytest.fixture
def chat_requests(fleet: Settings, store: Store, client: Client, rung: list[Device]) -> Iterator[ChatRequests]:
    del client  # it empties the broker
    assert fleet.broker_url is not None
    found = ChatRequests(fleet.broker_url, store, ME, rung.append)
    found.start()
    yield found
    found.stop()
    found.join()


def request(model: str, said: str = "Hello") -> TurnRequest:
    return ReplySettings(model).request(new_id(), [Utterance(Role.USER, said)])


def test_what_is_expected_wakes_a_worker_once(
    client: Client, chat_requests: ChatRequests, rung: list[Device], model: str
) -> None:
    assert chat_requests.broker is None or not rung
    client.expect(ReplySettings(model))
    wait_until(lambda: rung == [Device.CPU], "a worker was woken")
    client.expect(ReplySettings(model))  # somebody else's
    wait_until(lambda: rung == [Device.CPU] * 2, "it was woken for the second")
    assert client.redis.ttl(EXPECTED) > 0  # it stays for whoever was woken


def stream(client: Client, turn: str) -> list[object]:
    """What stands in a reply's stream at this moment; nobody is asked for more."""
    found: Any = client.redis.xrange(reply_key(turn))
    return [load_entry(fields) for _, fields in found]


def first(client: Client, asked: TurnRequest) -> object:
    return next(client.ask(asked).entries())


def claim(store: Store, chat_requests: ChatRequests, lane: str) -> TurnClaim:
    assert chat_requests.broker is not None
    name = Lane(Device.CPU, lane.partition("/")[2].rpartition("/")[0], Quant.NONE)
    (held,) = turns.claim(store, ME, chat_requests.broker, name, 1, 60.0).claims
    return held


@pytest.mark.usefixtures("chat_requests")
def test_a_turn_is_filed_and_a_bell_is_rung(client: Client, store: Store, model: str, rung: list[Device]) -> None:
    asked = request(model)
    told = first(client, asked)
    assert isinstance(told, Progress)
    assert (told.stage, told.ahead) == (Stage.ACCEPTED, 0)
    assert told.lane.startswith(f"cpu/{model}@")
    reply = conversations.find_turn(store, asked.turn)
    assert reply is not None
    assert (reply.status, reply.sampling.seed is not None) == (TurnStatus.PENDING, True)
    wait_until(lambda: rung == [Device.CPU], "the bell was rung")
    wait_until(lambda: client.redis.xlen(REQUESTS) == 0, "the request was acknowledged and is gone")


@pytest.mark.usefixtures("chat_requests")
def test_what_cannot_be_meant_is_refused_in_words(client: Client, model: str, tmp_path: Path) -> None:
    plain = request(model)
    busy = request(model)
    assert isinstance(first(client, busy), Progress)
    for asked, fault, said in (
        (
            dataclasses.replace(plain, turn=new_id(), model=str(tmp_path / "nowhere")),
            Fault.BAD_MODEL,
            "nothing at this path",
        ),
        (dataclasses.replace(plain, turn=new_id(), model="smolm2"), Fault.BAD_MODEL, "smollm2"),
        (dataclasses.replace(plain, turn=new_id(), after="nowhere"), Fault.BAD_REQUEST, "no turn nowhere"),
        (dataclasses.replace(busy, turn=new_id()), Fault.BUSY, "under way"),
    ):
        ending = first(client, asked)
        assert isinstance(ending, Ending)
        assert (ending.finish, ending.fault) == (Finish.FAILED, fault)
        assert said in ending.error


@pytest.mark.usefixtures("chat_requests")
def test_a_request_that_is_none_is_refused_and_the_next_is_taken(client: Client, model: str) -> None:
    turn = new_id()
    client.redis.set(request_key(turn), '{"turn": 7}', ex=60)
    client.redis.xadd(REQUESTS, {"turn": turn})
    client.redis.xadd(REQUESTS, {"turn": "../../x"})
    client.redis.xadd(REQUESTS, {"turn": new_id()})  # its request has expired
    client.redis.xadd(REQUESTS, {"something": "else"})
    ending = next(Reply(client, dataclasses.replace(request(model), turn=turn)).entries())
    assert isinstance(ending, Ending)
    assert ending.fault is Fault.BAD_REQUEST
    assert isinstance(first(client, request(model)), Progress)


@pytest.mark.usefixtures("chat_requests")
@pytest.mark.parametrize("odd", ["~nosuchuser", "/" + "x" * 300, "x" * 4000, "y/" * 2000, "\x1b[2Jname", "-\n-"])
def test_names_that_the_system_refuses_are_answered_each_and_keep_nobody_waiting(
    client: Client, model: str, odd: str
) -> None:
    asked = [request(f"{odd}{number}") for number in range(20)]
    for each in asked:
        client.send(each)
    ordinary = request(model)
    assert isinstance(first(client, ordinary), Progress)
    for each in asked:
        (ending,) = stream(client, each.turn)
        assert isinstance(ending, Ending)
        assert (ending.finish, ending.fault) == (Finish.FAILED, Fault.BAD_MODEL)
    wait_until(lambda: client.redis.xlen(REQUESTS) == 0, "all were acknowledged")


def test_with_a_list_every_name_that_is_not_on_it_gets_the_same_answer_and_what_is_held_is_taken(
    fleet: Settings, client: Client, store: Store, model: str, tmp_path: Path
) -> None:
    assert fleet.broker_url is not None
    allowed = AllowedModels(("cached", "/srv/models/*"), tmp_path / "cache")
    listed = ChatRequests(fleet.broker_url, store, ME, lambda _: None, allowed)
    names = ["/etc/shado", "/etc/passwd", "~root", "~nobody-here", "/srv/models/none", "no-org/no-model", model]
    asked = [request(name) for name in names]
    listed.start()
    try:
        endings = [first(client, each) for each in asked]
        held = Lane(Device.CPU, str(resolve(model)), Quant.NONE)
        workers.heartbeat(store, ME, held)
        assert isinstance(first(client, request(model)), Progress)
    finally:
        listed.stop()
        listed.join()
    told = set()
    for name, ending in zip(names, endings, strict=True):
        assert isinstance(ending, Ending)
        assert ending.fault is Fault.BAD_MODEL
        told.add(ending.error.replace(repr(name), "NAME"))
    assert len(told) == 1


@pytest.mark.usefixtures("chat_requests")
def test_an_error_that_nobody_foresaw_is_answered_and_the_next_request_is_taken(
    client: Client, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_fire(name: str) -> ModelRef:
        raise ZeroDivisionError(f"{name} is on fire")

    with monkeypatch.context() as patched:
        patched.setattr("workers.allowed_models.resolve", on_fire)
        ending = first(client, request("anything"))
    assert isinstance(ending, Ending)
    assert (ending.fault, ending.error) == (Fault.INTERNAL, "anything is on fire")
    assert isinstance(first(client, request(model)), Progress)


def test_a_request_at_which_workers_end_again_and_again_is_refused_and_an_outage_counts_for_nothing(
    fleet: Settings, client: Client, store: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.parent.requests.FORSAKEN_MS", 1)
    monkeypatch.setattr("workers.parent.requests.AWAY_S", 0.01)
    deadly, held_up = request(model), request(model)
    client.redis.xgroup_create(REQUESTS, GROUP, id="0", mkstream=True)
    client.send(deadly)
    for number in range(MOST_DELIVERIES):
        if number == 0:
            client.redis.xreadgroup(GROUP, "cpu@dead:0", {REQUESTS: ">"})
        else:
            client.redis.xautoclaim(REQUESTS, GROUP, f"cpu@dead:{number}", 0, "0-0")
    assert fleet.broker_url is not None
    outages = iter(range(3 * MOST_DELIVERIES))

    def away_at_first(*arguments: Any) -> Filed:
        if next(outages, None) is not None:
            raise StoreUnavailable("The database is away.")
        return file_turn(*arguments)

    monkeypatch.setattr("workers.parent.requests.file_turn", away_at_first)
    other = ChatRequests(fleet.broker_url, store, ME, lambda _: None)
    other.start()
    wait_until(lambda: bool(stream(client, deadly.turn)), "it was answered")
    client.send(held_up)
    wait_until(lambda: bool(stream(client, held_up.turn)), "the outage was waited out")
    other.stop()
    other.join()
    (refused,), (accepted,) = stream(client, deadly.turn), stream(client, held_up.turn)
    assert isinstance(refused, Ending)
    assert refused.fault is Fault.INTERNAL
    assert "ended at it" in refused.error
    assert isinstance(accepted, Progress)


@pytest.mark.usefixtures("chat_requests")
def test_a_request_that_lies_under_another_turns_key_is_refused(client: Client, store: Store, model: str) -> None:
    asked, other = request(model), new_id()
    client.redis.set(request_key(other), dump_request(asked), ex=60)
    client.redis.xadd(REQUESTS, {"turn": other})
    wait_until(lambda: bool(stream(client, other)), "something came of it")
    (ending,) = stream(client, other)
    assert isinstance(ending, Ending)
    assert ending.fault is Fault.BAD_REQUEST
    assert asked.turn in ending.error
    assert [conversations.find_turn(store, turn) for turn in (asked.turn, other)] == [None, None]


@pytest.mark.usefixtures("chat_requests")
def test_a_full_queue_says_when_to_come_again(client: Client, model: str) -> None:
    asked = [request(model) for _ in range(MAX_WAITING)]
    for one in asked:
        client.send(one)
    told = [first(client, one) for one in asked]
    assert [one.ahead for one in told if isinstance(one, Progress)] == sorted(range(MAX_WAITING))
    ending = first(client, request(model))
    assert isinstance(ending, Ending)
    assert ending.fault is Fault.FULL
    assert ending.retry_after_s >= 1


def test_of_a_turn_that_has_ended_all_is_told_again_where_its_stream_is_gone(
    client: Client, store: Store, chat_requests: ChatRequests, model: str
) -> None:
    asked = request(model)
    told = first(client, asked)
    assert isinstance(told, Progress)
    counts = Counts(tokens_in=9, tokens_out=2)
    turns.finish(store, claim(store, chat_requests, told.lane), Outcome(Finish.LENGTH, "Hi!", (5, 6), counts))
    client.redis.delete(reply_key(asked.turn))
    entries = list(client.ask(asked).entries())
    piece, ending = entries
    assert isinstance(piece, Piece)
    assert isinstance(ending, Ending)
    assert (piece.text, piece.tokens, piece.at_token) == ("Hi!", (5, 6), 0)
    assert (ending.finish, ending.counts) == (Finish.LENGTH, counts)
    assert list(client.ask(asked).entries())[-1] == ending  # asked again, nothing is said twice
    assert client.redis.xlen(reply_key(asked.turn)) == 2
    assert client.redis.ttl(reply_key(asked.turn)) > 0


def test_a_request_that_a_dead_worker_had_taken_is_taken_over(
    fleet: Settings, client: Client, store: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.parent.requests.FORSAKEN_MS", 1)
    asked = request(model)
    client.send(asked)
    client.redis.xgroup_create(REQUESTS, GROUP, id="0")
    client.redis.xreadgroup(GROUP, "cpu@dead:1", {REQUESTS: ">"})
    assert fleet.broker_url is not None
    other = ChatRequests(fleet.broker_url, store, ME, lambda _: None)
    other.start()
    # Read as it stands: a client that waits for its reply would send the request again by itself.
    wait_until(lambda: len(stream(client, asked.turn)) == 1, "the other worker had filed it")
    wait_until(lambda: client.redis.xlen(REQUESTS) == 0, "it was acknowledged and is gone")
    other.stop()
    other.join()
    (told,) = stream(client, asked.turn)
    assert isinstance(told, Progress)
    assert told.stage is Stage.ACCEPTED


@pytest.mark.usefixtures("chat_requests")
def test_a_turn_goes_where_its_model_is_held_else_to_a_gpu(client: Client, store: Store, model: str) -> None:
    gpu = dataclasses.replace(ME, name="gpu0@there:1", device=Device.GPU)
    told = first(client, request(model))
    assert isinstance(told, Progress)
    held = Lane(Device.CPU, told.lane.partition("/")[2].rpartition("/")[0], Quant.NONE)
    workers.heartbeat(store, gpu, None)
    to_gpu = first(client, request(model))
    workers.heartbeat(store, ME, held)
    to_cpu = first(client, request(model))
    assert isinstance(to_gpu, Progress)
    assert isinstance(to_cpu, Progress)
    assert (to_gpu.lane.partition("/")[0], to_cpu.lane) == ("gpu", told.lane)


def test_an_intake_keeps_no_process_alive(chat_requests: ChatRequests) -> None:
    assert [thread.daemon for thread in chat_requests._threads] == [True, True]


@pytest.mark.usefixtures("chat_requests")
def test_inquiries_are_answered(client: Client, model: str) -> None:
    asked = request(model, "What about the moon?")
    first(client, asked)
    answer = load_answer(client.inquire(Inquiry(new_id(), InquiryKind.CONVERSATIONS)))
    assert [one.id for one in answer.conversations] == [asked.conversation]


@pytest.mark.usefixtures("chat_requests")
def test_an_answer_that_nobody_fetches_expires(client: Client) -> None:
    asked = Inquiry(new_id(), InquiryKind.LANES)
    client.redis.lpush(INQUIRIES, to_json(asked))
    wait_until(lambda: client.redis.exists(answer_key(asked.id)) == 1, "the inquiry was answered")
    assert 0 < int(client.redis.ttl(answer_key(asked.id))) <= ANSWER_S
