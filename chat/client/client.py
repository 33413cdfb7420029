"""Talking to the models of a fleet from a program. All it needs is the broker's URL.

    from chat.client.client import Client

    with Client("redis://:PASSWORD@queue-host:6379/0") as client:
        chat = client.chat("smollm2")
        for text in chat.say("Name three rivers."):
            print(text, end="", flush=True)
        print(chat.last.counts.tokens_out, "tokens")

(tests/integration/test_chat_client.py::test_the_example_of_the_docstring_runs.) The same for asyncio is in
`chat.client.aio`. What callers may rely on:

- A reply resumes by itself: a connection that breaks, a broker that comes back empty, a worker that dies in the middle
  of a word cost no token and repeat none.
- Leaving a loop over a reply, or the program's end, stops nothing: the reply goes on and is kept. `Reply.stop` stops
  it, within a token.
- A client may be used by several threads; a `Reply` by one.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import redis

from chat.client.reader import QUIET_S, ReplyReader
from chat.protocol.inquiries import INQUIRIES, INQUIRY_S, Inquiry, answer_key
from chat.protocol.turns import (
    BLOCK_MS,
    EXPECTED,
    EXPECTED_S,
    REQUEST_S,
    REQUESTS,
    REQUESTS_S,
    STOP_S,
    Ending,
    Entry,
    Expectation,
    Piece,
    TurnRequest,
    dump_request,
    reply_key,
    request_key,
    stop_key,
)
from proctor.broker import clients
from proctor.errors import BrokerUnavailable, ProctorError, first_line
from proctor.nouns.conversations import DEFAULT_SAMPLING, Fault, Finish, History, Role, Sampling, Utterance
from proctor.nouns.models import Device, Quant
from proctor.retry import doubling, jittered
from proctor.wire import to_json

PATIENCE_S = 60.0  # for a broker that is away, and for some worker to hear of a Turn
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 2.0  # between tries to reach the broker
SOCKET_S = BLOCK_MS / 1000 + 8.0  # above every time that the broker may block
BROKEN = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError, OSError)

T = TypeVar("T")


class NobodyAnswers(ProctorError):
    """The broker is there, and no worker takes what is asked."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(
            f"No worker has answered in {waited_s:.0f} s.", "Start one with `proctor worker`, then say it again."
        )


class EarlierRelease(ProctorError):
    """A worker took a request and did less than was asked."""

    def __init__(self) -> None:
        super().__init__(
            "The worker is of an earlier release, which knows neither prompts in tokens nor echo.",
            "Start it again from this release.",
        )


class ScoresLost(ProctorError):
    """A reply is told again by whoever doesn't know its log-probabilities, which were asked for."""

    def __init__(self) -> None:
        super().__init__(
            "The log-probabilities of this reply were lost: its worker or the broker went away, and only the text is "
            "kept.",
            "Ask again.",
        )


class TurnFailed(ProctorError):
    """A reply was refused or failed. `ending` has the reason for programs; what came of the reply is kept.

    `asked` is what OpenAI's API calls that which was to be answered.
    """

    def __init__(self, ending: Ending, asked: str = "messages") -> None:
        self.ending, self.asked = ending, asked
        later = f"Try again in {ending.retry_after_s:.0f} s." if ending.fault is Fault.FULL else ""
        super().__init__(ending.error or "The reply failed.", later)


def broker_away(error: Exception) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"The broker can't be reached: {first_line(error)}.",
        "Check PROCTOR_BROKER_URL and that Redis or Valkey runs there.",
    )


def broker_refuses(error: Exception) -> BrokerUnavailable:
    return BrokerUnavailable(f"The broker refuses us: {first_line(error)}.", "Check PROCTOR_BROKER_URL.")


def new_id() -> str:
    """An id for a Turn, a Conversation or an inquiry: 96 random bits."""
    return secrets.token_hex(12)


@dataclass(frozen=True)
class ReplySettings:
    """Which model answers, and how: what stays the same from Turn to Turn."""

    model: str
    quant: Quant = Quant.NONE
    device: Device | None = None
    sampling: Sampling = DEFAULT_SAMPLING
    history: History = History.SUMMARY

    def request(self, conversation: str, say: Sequence[Utterance], after: str | None = None) -> TurnRequest:
        """A Turn in this manner, with an id of its own."""
        return TurnRequest(
            turn=new_id(),
            conversation=conversation,
            model=self.model,
            say=tuple(say),
            after=after,
            quant=self.quant,
            device=self.device,
            sampling=self.sampling,
            history=self.history,
        )


class Client:
    """A connection to the broker, opened when it is first used. Raises `BrokerUnavailable` where patience ends."""

    def __init__(self, broker_url: str, patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        self.on_silence: Callable[[], None] = lambda: None  # called after each wait in vain; may raise, to end the wait
        # It retries nothing by itself: our own waits are bounded, redis-py's multiply with every block.
        self.redis = clients.client(broker_url, SOCKET_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.redis.close()

    def chat(self, model: str, conversation: str | None = None, reply_settings: ReplySettings | None = None) -> Chat:
        """A conversation with `model`: a new one, or the one of that id."""
        return Chat(self, reply_settings or ReplySettings(model), conversation or new_id())

    def ask(self, request: TurnRequest) -> Reply:
        """Send a Turn. Nothing is waited for: what comes is read from the `Reply`."""
        self.send(request)
        return Reply(self, request)

    def send(self, request: TurnRequest) -> None:
        """Send a Turn once more, or for the first time: workers file it once."""
        text = dump_request(request)

        def write() -> None:
            with self.redis.pipeline(transaction=False) as pipeline:
                pipeline.set(request_key(request.turn), text, ex=REQUEST_S)
                pipeline.xadd(REQUESTS, {"turn": request.turn})
                pipeline.expire(REQUESTS, REQUESTS_S)
                pipeline.execute()

        self.patiently(write)

    def expect(self, reply_settings: ReplySettings) -> None:
        """Say what is about to be asked for, to a worker of one's own: if it holds no model yet, it loads this one."""
        text = to_json(Expectation(new_id(), reply_settings.model, reply_settings.quant, reply_settings.device))
        self.patiently(lambda: self.redis.set(EXPECTED, text, ex=EXPECTED_S))

    def stop(self, turn: str) -> None:
        """Stop a Turn's reply within a token, wherever it is worked on. What came is kept."""
        self.patiently(lambda: self.redis.set(stop_key(turn), "1", ex=STOP_S))

    def inquire(self, inquiry: Inquiry) -> bytes:
        """Ask about conversations; the answer as it came. `chat.protocol.answers` has the questions as functions.

        Raises
        ------
        NobodyAnswers
            where no worker does in time.
        """
        began = time.monotonic()
        while True:
            self.patiently(lambda: self._put(inquiry))
            end = time.monotonic() + QUIET_S
            while time.monotonic() < end:
                found: Any = self.patiently(lambda: self.redis.blpop([answer_key(inquiry.id)], BLOCK_MS // 1000))
                if found is not None:
                    answer: bytes = found[1]
                    return answer
                self.on_silence()
            if time.monotonic() - began > self.patience_s:
                raise NobodyAnswers(time.monotonic() - began)

    def patiently(self, call: Callable[[], T]) -> T:
        """What `call` returns, tried again while the broker is away.

        Raises
        ------
        BrokerUnavailable
            where it is away for longer than `patience_s`, or refuses us.
        """
        end, waits = time.monotonic() + self.patience_s, doubling(FIRST_WAIT_S, LONGEST_WAIT_S)
        while True:
            try:
                return call()
            except redis.AuthenticationError as error:
                raise broker_refuses(error) from error
            except BROKEN as error:
                wait_s = next(waits)
                if time.monotonic() + wait_s > end:
                    raise broker_away(error) from error
            time.sleep(jittered(wait_s))

    def _put(self, inquiry: Inquiry) -> None:
        with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.lpush(INQUIRIES, to_json(inquiry))
            pipeline.expire(INQUIRIES, INQUIRY_S)
            pipeline.execute()


class Reply:
    """A reply as it comes: iterate over it for its text, or over `entries()` for all that is known about it."""

    def __init__(self, client: Client, request: TurnRequest) -> None:
        self.client, self.request = client, request
        self.reader = ReplyReader()
        self._fresh: deque[Entry] = deque()  # heard, and not yet passed on

    @property
    def turn(self) -> str:
        return self.request.turn

    @property
    def text(self) -> str:
        """What came so far."""
        return self.reader.text

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it is under way."""
        return self.reader.ending

    def __iter__(self) -> Iterator[str]:
        """The text, piece by piece. Raises `TurnFailed` where the reply did, after what there was of it."""
        for entry in self.entries():
            if isinstance(entry, Piece) and entry.text:
                yield entry.text
        if self.ending is not None and self.ending.finish is Finish.FAILED:
            raise TurnFailed(self.ending)

    def entries(self) -> Iterator[Entry]:
        """Everything that is told of the Turn, each once, through its `Ending`. Raises `NobodyAnswers`."""
        began = heard = time.monotonic()
        while self._fresh or self.reader.ending is None:
            while self._fresh:
                yield self._fresh.popleft()
            if self.reader.ending is not None:
                return
            fresh = self.client.patiently(self._listen)
            self._fresh.extend(fresh)
            now = time.monotonic()
            if fresh:
                heard = now
                continue
            self.client.on_silence()
            if now - heard > QUIET_S:
                self.client.patiently(self._look_after)
                heard = now
            if not self.reader.accepted and now - began > self.client.patience_s:
                raise NobodyAnswers(now - began)

    def stop(self) -> None:
        """Stop it within a token; its `Ending` comes as of any other reply."""
        self.client.stop(self.turn)

    def _listen(self) -> list[Entry]:
        return self.reader.take_all(
            self.client.redis.xread({reply_key(self.turn): self.reader.last_id}, block=BLOCK_MS)
        )

    def _look_after(self) -> None:
        """After a silence: hear the stream from its beginning; ask again where it is gone."""
        self.reader.start_over()
        if not self.client.redis.exists(reply_key(self.turn)):
            self.client.send(self.request)


class Chat:
    """A conversation, one message at a time."""

    def __init__(self, client: Client, reply_settings: ReplySettings, conversation: str) -> None:
        self.client, self.reply_settings, self.conversation = client, reply_settings, conversation
        self.reply: Reply | None = None  # the newest

    @property
    def last(self) -> Ending:
        """How the newest reply ended. Raises `ProctorError` before there is one."""
        if self.reply is None or self.reply.ending is None:
            raise ProctorError("No reply of this conversation has ended yet.")
        return self.reply.ending

    def say(self, text: str, system: str | None = None, sampling: Sampling | None = None) -> Reply:
        """Say something, with a new system prompt in front where one is given; what comes is the reply's text."""
        said = [Utterance(Role.USER, text)]
        if system is not None:
            said.insert(0, Utterance(Role.SYSTEM, system))
        reply_settings = self.reply_settings if sampling is None else replace(self.reply_settings, sampling=sampling)
        self.reply = self.client.ask(reply_settings.request(self.conversation, said))
        return self.reply
