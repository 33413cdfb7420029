"""The clients, against a real broker and a worker without a model: whatever breaks, each word comes once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import chat.client.aio
import chat.client.client
from chat.client.aio import AsyncClient
from chat.client.client import Client, NobodyAnswers, ReplySettings, TurnFailed, new_id
from chat.protocol.turns import Piece, Progress, Stage, reply_key
from proctor.embedded.valkey import Valkey
from proctor.errors import BrokerUnavailable
from proctor.nouns.conversations import Fault, Finish, Role, Utterance
from tests.integration.parrot import Parrot, Refusal, empty, parrot, valkey
from tests.support import wait_until

STORY = " ".join(f"word{n}" for n in range(40))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture
def bird(broker: Valkey) -> Iterator[Parrot]:
    empty(broker)
    with parrot(broker.url) as found:
        yield found


@pytest.fixture
def client(broker: Valkey) -> Iterator[Client]:
    with Client(broker.url) as found:
        yield found


def test_a_reply_comes_with_its_story_and_its_counts(bird: Parrot, client: Client) -> None:
    conversation = client.chat("parrot")
    reply = conversation.say("Good morning to you.")
    entries = list(reply.entries())
    assert [entry.stage for entry in entries if isinstance(entry, Progress)] == [
        Stage.ACCEPTED,
        Stage.CLAIMED,
        Stage.READING,
    ]
    assert "".join(entry.text for entry in entries if isinstance(entry, Piece)) == "Good morning to you." == reply.text
    assert (conversation.last.finish, conversation.last.counts.tokens_out) == (Finish.STOP, 4)
    assert bird.requests[reply.turn].conversation == conversation.conversation


def test_the_example_of_the_docstring_runs(broker: Valkey, bird: Parrot, capsys: pytest.CaptureFixture[str]) -> None:
    example = re.search(r"\n\n((?:    .*\n|\n)+)", chat.client.client.__doc__ or "")
    assert example is not None
    program = re.sub("^    ", "", example.group(1), flags=re.MULTILINE)
    program = re.sub(r"redis://[^\"]*", broker.url, program)
    exec(compile(program, "example", "exec"), {})  # noqa: S102 -- our own docstring
    assert capsys.readouterr().out == "Name three rivers.3 tokens\n"


def test_a_reply_goes_on_where_its_connections_were_cut(broker: Valkey, bird: Parrot, client: Client) -> None:
    def cut(seq: int) -> None:
        if seq % 10 == 5:
            with redis.Redis.from_url(broker.url) as other:
                other.client_kill_filter(_type="normal", skipme=True)

    bird.before_piece = cut
    assert "".join(client.chat("parrot").say(STORY)) == STORY


def test_a_program_that_was_started_again_hears_the_whole_reply(bird: Parrot, client: Client, broker: Valkey) -> None:
    reply = client.chat("parrot").say(STORY)
    next(iter(reply))
    with Client(broker.url) as second:
        assert "".join(second.ask(reply.request)) == STORY
    assert list(bird.requests) == [reply.turn]


def test_leaving_the_loop_loses_nothing_of_the_reply(bird: Parrot, client: Client) -> None:
    reply = client.chat("parrot").say(STORY)
    first = next(iter(reply))
    assert first + "".join(reply) == STORY


def test_a_stopped_reply_ends_with_what_came(bird: Parrot, client: Client) -> None:
    bird.pause_s = 0.01
    reply = client.chat("parrot").say(STORY)
    heard = []
    for text in reply:
        heard.append(text)
        if len(heard) == 3:
            reply.stop()
    assert STORY.startswith("".join(heard))
    assert reply.ending is not None
    assert reply.ending.finish is Finish.STOPPED
    assert len(heard) < 40


def test_a_broker_that_comes_back_empty_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat.client.client, "QUIET_S", 0.2)
    monkeypatch.setattr(chat.client.client, "BLOCK_MS", 100)
    with valkey(tmp_path) as server, parrot(server.url) as bird, Client(server.url) as client:
        bird.go_on.clear()
        reply = client.chat("parrot").say(STORY)
        wait_until(lambda: bool(bird.requests), "the request was heard")
        server.stop()
        assert server.revive()
        bird.go_on.set()
        assert "".join(reply) == STORY


def test_the_asynchronous_client_asks_a_broker_that_comes_back_empty_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat.client.aio, "QUIET_S", 0.2)
    monkeypatch.setattr(chat.client.aio, "BLOCK_MS", 100)

    async def talk(server: Valkey, bird: Parrot) -> str:
        async with AsyncClient(server.url) as client:
            bird.go_on.clear()
            reply = await client.ask(ReplySettings("parrot").request(new_id(), [Utterance(Role.USER, STORY)]))
            await asyncio.to_thread(wait_until, lambda: bool(bird.requests), "the request was heard")
            server.stop()
            assert server.revive()
            bird.go_on.set()
            return "".join([text async for text in reply])

    with valkey(tmp_path) as server, parrot(server.url) as bird:
        assert asyncio.run(talk(server, bird)) == STORY


def test_what_a_worker_refuses_is_an_error_with_its_reason(broker: Valkey, client: Client) -> None:
    refusal = Refusal(Fault.BUSY, "Another Turn of this conversation is under way.", ("half", " a"))
    with parrot(broker.url, lambda _request: refusal):
        reply = client.chat("parrot").say("hello")
        heard: list[str] = []
        with pytest.raises(TurnFailed, match="under way") as failed:
            heard += reply
        assert failed.value.ending.fault is Fault.BUSY
        assert reply.text == "half a"


def test_where_no_worker_listens_a_person_is_told_so(broker: Valkey) -> None:
    with Client(broker.url, patience_s=0.2) as impatient, pytest.raises(NobodyAnswers, match="proctor worker"):
        list(impatient.chat("parrot").say("hello"))


def test_a_broker_that_is_not_there_or_refuses_us_is_named(broker: Valkey) -> None:
    with Client("redis://127.0.0.1:1/0", patience_s=0.2) as lost, pytest.raises(BrokerUnavailable, match="reached"):
        lost.chat("parrot").say("hello")
    wrong = broker.url.replace(broker.password, "wrong")
    with Client(wrong) as stranger, pytest.raises(BrokerUnavailable, match="refuses us"):
        stranger.chat("parrot").say("hello")


def test_every_key_of_a_turn_expires(broker: Valkey, bird: Parrot, client: Client) -> None:
    reply = client.chat("parrot").say("hello there")
    reply.stop()
    list(reply)
    for key in client.redis.scan_iter("chat.*"):
        assert client.redis.ttl(key) > 0, key
    assert client.redis.exists(reply_key(reply.turn))


def test_the_asynchronous_client_does_the_same(broker: Valkey, bird: Parrot) -> None:
    async def talk() -> list[str]:
        async with AsyncClient(broker.url) as client:
            asked = [
                await client.ask(ReplySettings("parrot").request(new_id(), [Utterance(Role.USER, f"{n} {STORY}")]))
                for n in range(4)
            ]

            async def whole(n: int) -> str:
                return "".join([text async for text in asked[n]])

            return list(await asyncio.gather(*map(whole, range(4))))

    assert asyncio.run(talk()) == [f"{n} {STORY}" for n in range(4)]


def test_the_asynchronous_client_stops_and_fails_as_the_other(broker: Valkey) -> None:
    async def stop(bird: Parrot) -> Finish | None:
        async with AsyncClient(broker.url) as client:
            bird.pause_s = 0.01
            reply = await client.ask(ReplySettings("parrot").request(new_id(), [Utterance(Role.USER, STORY)]))
            async for _ in reply:
                await reply.stop()
            return reply.ending.finish if reply.ending else None

    async def fail() -> None:
        async with AsyncClient("redis://127.0.0.1:1/0", patience_s=0.1) as client:
            await client.ask(ReplySettings("parrot").request(new_id(), [Utterance(Role.USER, STORY)]))

    with parrot(broker.url) as bird:
        assert asyncio.run(stop(bird)) is Finish.STOPPED
    with pytest.raises(BrokerUnavailable, match="reached"):
        asyncio.run(fail())
