"""A worker of the chat protocol without a model: what it says is made of what it is told. Real broker, real keys.

It answers `say` with the words of the last message, a token a word; `script` decides otherwise. The real worker's own
tests hold that it does what is done here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from chat.protocol import (
    REPLY_S,
    REQUESTS,
    Ending,
    Entry,
    Piece,
    Progress,
    Stage,
    TurnRequest,
    dump_entry,
    entry_id,
    load_request,
    reply_key,
    request_key,
    stop_key,
)
from proctor.broker.valkey import Valkey
from proctor.dialogue import ContextFacts, Counts, Fault, Finish

WORKER, LANE = "cpu@parrot:1", "cpu/parrot/none"


def echo(request: TurnRequest) -> Sequence[str]:
    """The last message's words, each with the space before it."""
    words = request.say[-1].content.split(" ") if request.say else ["again"]
    return [word if n == 0 else f" {word}" for n, word in enumerate(words)]


@dataclass(frozen=True)
class Refusal:
    """What a script returns so that the Turn fails."""

    fault: Fault
    error: str
    after_words: tuple[str, ...] = ()


Script = Callable[[TurnRequest], Sequence[str] | Refusal]


class Parrot:
    """One thread that serves one Turn after another. `requests` are those it was told of, each id once."""

    def __init__(self, url: str, script: Script = echo, pause_s: float = 0.0) -> None:
        self.script, self.pause_s = script, pause_s
        self.requests: dict[str, TurnRequest] = {}
        self.go_on = threading.Event()  # cleared: it waits before each piece
        self.go_on.set()
        self.before_piece: Callable[[int], None] = lambda _seq: None
        self._redis = redis.Redis.from_url(url, protocol=2, socket_timeout=10)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="parrot", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self.go_on.set()
        self._thread.join(timeout=30)
        self._redis.close()

    def add(self, turn: str, at: str, entry: Entry) -> None:
        """One entry of a reply stream, whatever the broker does meanwhile."""
        while not self._over.is_set():
            try:
                fields: Any = dump_entry(entry)
                self._redis.xadd(reply_key(turn), fields, id=at)
                self._redis.expire(reply_key(turn), REPLY_S)
            except redis.ResponseError:  # it was added, and the answer was lost
                return
            except (redis.ConnectionError, redis.TimeoutError):
                time.sleep(0.02)
            else:
                return

    def _serve(self) -> None:
        last = "0-0"
        while not self._over.is_set():
            try:
                found: Any = self._redis.xread({REQUESTS: last}, count=1, block=100)
                if not found:
                    if not self._redis.exists(REQUESTS):
                        last = "0-0"  # the broker came back empty
                    continue
                at, fields = found[0][1][0]
                last = at.decode()
                text = self._redis.get(request_key(fields[b"turn"].decode()))
            except (redis.ConnectionError, redis.TimeoutError):
                time.sleep(0.02)
                continue
            if isinstance(text, bytes):
                self._answer(load_request(text))

    def _answer(self, request: TurnRequest) -> None:
        if self._redis.exists(reply_key(request.turn)):
            return
        self.requests[request.turn] = request
        self.add(request.turn, entry_id(0, 1), Progress(Stage.ACCEPTED, lane=LANE))
        said = self.script(request)
        words = said.after_words if isinstance(said, Refusal) else said
        facts = ContextFacts(tokens=7, budget=512)
        self.add(request.turn, entry_id(1, 0), Progress(Stage.CLAIMED, 1, LANE, worker=WORKER))
        self.add(request.turn, entry_id(1, 1), Progress(Stage.READING, 1, LANE, context=facts))
        finish, out = self._speak(request.turn, words)
        counts = Counts(tokens_in=7, tokens_cached=3, tokens_out=out, first_token_s=0.25, generate_s=0.5)
        if isinstance(said, Refusal):
            ending = Ending(Finish.FAILED, counts, said.fault, said.error, window_tokens=512)
        else:
            options = tuple(-1.0 - n for n, _ in enumerate(request.options))
            ending = Ending(finish, counts, context=facts, options_logprob=options, worker=WORKER)
        self.add(request.turn, entry_id(1, 1_000_000), ending)

    def _speak(self, turn: str, words: Sequence[str]) -> tuple[Finish, int]:
        characters = 0
        for number, word in enumerate(words):
            self.before_piece(number)
            self.go_on.wait(timeout=60)
            if self.pause_s:
                time.sleep(self.pause_s)
            if self._stopped(turn):
                return Finish.STOPPED, number
            self.add(turn, entry_id(1, number + 2), Piece(1, number + 2, number, characters, (number,), word))
            characters += len(word)
        return Finish.STOP, len(words)

    def _stopped(self, turn: str) -> bool:
        try:
            return bool(self._redis.exists(stop_key(turn)))
        except (redis.ConnectionError, redis.TimeoutError):
            return False


@contextmanager
def valkey(folder: Path) -> Iterator[Valkey]:
    """A real broker, for a test's life."""
    with (folder / "valkey.log").open("wb") as log:
        server = Valkey(folder, log)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def parrot(url: str, script: Script = echo, pause_s: float = 0.0) -> Iterator[Parrot]:
    """A parrot that serves the broker at `url`."""
    bird = Parrot(url, script, pause_s)
    bird.start()
    try:
        yield bird
    finally:
        bird.close()
