"""Chat while things die: no token of a reply is lost or said twice, and nobody whose time is over says one more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from chat.client.client import Client, Reply, ReplySettings, new_id
from chat.protocol.turns import Piece, TurnRequest
from proctor.embedded.command import Embedded, embedded
from proctor.errors import StoreUnavailable
from proctor.nouns.conversations import Fault, Finish, Role, Sampling, Utterance
from proctor.nouns.models import ModelRef
from proctor.settings import Settings
from proctor.store.conversations import conversations, turns
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs import workers
from tests.chaos.replies import (
    DRAWN,
    GREEDY,
    LONG,
    attempts,
    ended,
    first_worker,
    is_done,
    read_to,
    rest,
    stored,
    struck,
    turn,
    whole,
)
from tests.chaos.scene import assert_every_answer_once, is_running, submit, wait_for_end, wait_for_middle, worker_child
from tests.support import wait_until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One broker and one worker for all tests here: whatever dies in one of them is there again in the next."""
    folder = tmp_path_factory.mktemp("shared")
    settings = Settings(folder, folder / "cache", f"sqlite:///{folder / 'proctor.db'}", lease_s=30.0)
    open_store(settings).close()
    with embedded(settings, "cpu") as found:
        yield found


@pytest.fixture
def store(shared: Embedded) -> Iterator[Store]:
    with open_store(shared.settings) as opened:
        yield opened


@pytest.fixture
def crew(shared: Embedded) -> Embedded:
    return shared


@pytest.fixture
def client(crew: Embedded) -> Iterator[Client]:
    with Client(crew.broker_url) as found:
        found.on_silence = crew.check
        yield found


def kill_broker(crew: Embedded) -> None:
    """It comes back at the same address, and empty."""
    broker = psutil.Process(crew.groups["broker"])
    broker.kill()
    wait_until(lambda: not is_running(broker), "the broker was gone")


def test_a_reply_whose_worker_is_killed_in_its_middle_is_that_of_an_undisturbed_one(
    crew: Embedded, client: Client, store: Store, model: ModelRef
) -> None:
    for sampling in (GREEDY, DRAWN):
        undisturbed = whole(client, turn(model, sampling))
        assert undisturbed.reader.tokens > LONG // 2
        reply = struck(
            client, turn(model, sampling), lambda _: worker_child(crew).kill(), lambda one: 2 in attempts(client, one)
        )
        assert reply.text == undisturbed.text
        assert reply.reader.tokens == undisturbed.reader.tokens
        assert stored(store, reply) == stored(store, undisturbed)
        assert attempts(client, reply) == {0, 1, 2}


def test_a_client_that_comes_back_hears_the_rest_to_the_token(
    crew: Embedded, client: Client, store: Store, model: ModelRef
) -> None:
    request = turn(model)
    first = client.ask(request)
    read_to(first, 10)
    with Client(crew.broker_url) as second:
        resumed = Reply(second, request)
        resumed.reader = first.reader
        heard = first.reader.tokens
        pieces = [entry for entry in resumed.entries() if isinstance(entry, Piece)]
    assert [piece.at_token for piece in pieces] == list(range(heard, heard + len(pieces)))
    assert stored(store, resumed) == (resumed.text, resumed.reader.tokens)


def test_a_reply_whose_client_is_gone_is_made_and_kept(client: Client, store: Store, model: ModelRef) -> None:
    request = turn(model)
    client.send(request)
    client.redis.close()

    wait_until(lambda: is_done(store, Reply(client, request)), "the reply was made though nobody listened")


def test_a_reply_is_stopped_and_what_came_is_kept(client: Client, store: Store, model: ModelRef) -> None:
    reply = struck(client, turn(model), Reply.stop, lambda one: ended(one) is Finish.STOPPED)
    assert stored(store, reply) == (reply.text, reply.reader.tokens)
    assert reply.reader.tokens < LONG
    waiting = turn(model)
    client.stop(waiting.turn)
    assert whole(client, waiting).ending.finish is Finish.STOPPED  # type: ignore[union-attr] # it has ended


def test_a_conversation_goes_on_behind_a_broker_that_came_back_empty(
    crew: Embedded, client: Client, store: Store, model: ModelRef
) -> None:
    chat = client.chat(
        model.name, reply_settings=ReplySettings(model.name, sampling=Sampling(temperature=0, max_tokens=20))
    )
    rest(chat.say("One.").entries())
    kill_broker(crew)
    reply = chat.say("Two.")
    rest(reply.entries())
    assert chat.last.finish is not Finish.FAILED, chat.last.error
    assert chat.last.counts.tokens_cached > 20  # of the first Turn, which the same worker still has
    assert len(conversations.load(store, chat.conversation).turns) == 4


def test_a_reply_in_its_middle_is_told_whole_by_a_broker_that_came_back_empty(
    crew: Embedded, client: Client, store: Store, model: ModelRef
) -> None:
    undisturbed = whole(client, turn(model))
    reply = client.ask(turn(model))
    entries = read_to(reply, 20)
    kill_broker(crew)
    rest(entries)
    assert (reply.text, reply.reader.tokens) == (undisturbed.text, undisturbed.reader.tokens)
    assert stored(store, reply) == stored(store, undisturbed)


def test_a_model_that_does_not_load_is_said_and_the_worker_serves_on(
    client: Client, model: ModelRef, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in Path(model.name).iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    config = broken / "config.json"
    config.write_text(config.read_text().replace('"hidden_size": 64', '"hidden_size": 80'))
    for name in (str(broken), str(tmp_path / "nowhere")):
        reply = client.ask(TurnRequest(new_id(), new_id(), name, (Utterance(Role.USER, "Hello"),)))
        rest(reply.entries())
        assert reply.ending is not None
        assert (reply.ending.finish, reply.ending.fault) == (Finish.FAILED, Fault.BAD_MODEL), reply.ending
    assert whole(client, turn(model)).text


def test_chat_and_a_sweep_share_a_worker(client: Client, store: Store, model: ModelRef) -> None:
    sweep = submit(store, model, subjects=1)
    wait_for_middle(store, sweep)
    brief = Sampling(temperature=0, max_tokens=30)
    for reply in [client.ask(turn(model, brief, f"Number {n}.")) for n in range(3)]:
        rest(reply.entries())
        assert reply.ending is not None
        assert reply.ending.finish is not Finish.FAILED, reply.ending.error
    wait_for_end(store, sweep)
    assert_every_answer_once(store, sweep)


@contextmanager
def proctor_worker(settings: Settings) -> Iterator[psutil.Process]:
    """`proctor worker` as its operator starts it."""
    command = subprocess.Popen(
        [sys.executable, "-m", "proctor.cli", "worker", "--cpu", "--max-memory", "8GB"],
        env={**os.environ, **settings.environ()},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield psutil.Process(command.pid)
    finally:
        command.kill()
        command.wait()


def named(store: Store, name: str, launchers: list[psutil.Process]) -> psutil.Process:
    """The child of the worker of this name: the process that makes replies."""
    assert name in {one.card.name for one in workers.listing(store)}
    pid = int(name.rpartition(":")[2].partition("-")[0])
    (launcher,) = [one for one in launchers if one.pid == pid]
    (parent,) = launcher.children()
    return parent.children()[-1]


def stop_between_transactions(process: psutil.Process, settings: Settings) -> None:
    """SIGSTOP, at a moment when the process doesn't have SQLite's one lock in its hands: that would stop everybody."""
    with Store(settings.database_url, timeout_s=0.2) as hasty:
        while True:
            process.send_signal(signal.SIGSTOP)
            try:
                with hasty.write():
                    return
            except StoreUnavailable:
                process.send_signal(signal.SIGCONT)


def test_a_worker_that_was_stopped_past_its_lease_says_not_one_token_more(settings: Settings, model: ModelRef) -> None:
    with ExitStack() as stack:
        store = stack.enter_context(open_store(settings))
        broker = stack.enter_context(embedded(settings, devices=None))
        allowing = replace(broker.settings, allow_models=(model.name,))
        launchers = [stack.enter_context(proctor_worker(allowing)) for _ in range(2)]
        client = stack.enter_context(Client(broker.broker_url))
        undisturbed = whole(client, turn(model))

        def stop_past_its_lease(reply: Reply) -> None:
            child = named(store, first_worker(client, reply), launchers)
            stop_between_transactions(child, settings)
            try:
                wait_until(
                    lambda: 2 in attempts(client, reply) or is_done(store, reply),
                    "another had it, or it was done",
                )
            finally:
                child.send_signal(signal.SIGCONT)

        reply = struck(client, turn(model), stop_past_its_lease, lambda one: 2 in attempts(client, one))
        assert (reply.text, reply.reader.tokens) == (undisturbed.text, undisturbed.reader.tokens)
        assert stored(store, reply) == stored(store, undisturbed)
        assert {1, 2} <= attempts(client, reply)
        assert turns.release(store, first_worker(client, reply), "there is nothing left") == 0
