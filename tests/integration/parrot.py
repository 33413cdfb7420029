"""A worker of the chat protocol without a model: what it says is made of what it is told. Real broker, real keys.

It answers `say` with the words of the last message, a token a word; `script` decides otherwise. A parrot that is
`scored` gives each token a log-probability and echoes prompts where that is asked for, as workers of this release do;
else it is as one of before them, and as one that knows no scores any more. What was said is in a
store of its own, from which it answers inquiries as workers do. The real worker's own tests hold that it does what is
done here.
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

from chat.client.session import NOT_FILED
from chat.protocol.answers import reply_to
from chat.protocol.inquiries import ANSWER_S, INQUIRIES, answer_key
from chat.protocol.turns import (
    REPLY_S,
    REQUESTS,
    Aside,
    AsidePlace,
    Ending,
    Entry,
    Piece,
    Progress,
    Stage,
    TokenScore,
    TurnRequest,
    dump_entry,
    entry_id,
    load_request,
    reply_key,
    request_key,
    stop_key,
)
from proctor.embedded.valkey import Valkey
from proctor.errors import ProctorError
from proctor.nouns.conversations import ContextFacts, Counts, Fault, Finish
from proctor.nouns.models import Device, Lane, ModelRef, ModelSource
from proctor.nouns.workers import WorkerCard
from proctor.store.conversations import turns
from proctor.store.conversations.filing import Filing, file_turn
from proctor.store.database.session import Store

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

    def __init__(
        self, url: str, script: Script = echo, pause_s: float = 0.0, store: Store | None = None, *, scored: bool = False
    ) -> None:
        self.script, self.pause_s, self.scored = script, pause_s, scored
        self.requests: dict[str, TurnRequest] = {}
        self.go_on = threading.Event()  # cleared: it waits before each piece
        self.go_on.set()
        self.before_piece: Callable[[int], None] = lambda _seq: None
        self.store = store
        self._redis = redis.Redis.from_url(url, protocol=2, socket_timeout=10)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="parrot", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self.go_on.set()
        self._thread.join(timeout=300)
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
                found: Any = self._redis.xread({REQUESTS: last}, count=1, block=20)
                self._answer_inquiry()
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
        told = next((len(each.token_ids) for each in request.say if each.token_ids), 7)
        facts = ContextFacts(tokens=told if self.scored else 7, budget=512)
        self.add(request.turn, entry_id(1, 0), Progress(Stage.CLAIMED, 1, LANE, worker=WORKER))
        self.add(request.turn, entry_id(1, 1), Progress(Stage.READING, 1, LANE, context=facts))
        if self.scored and request.echo:
            prompt = "".join(each.content for each in request.say)
            scores = (TokenScore(0, prompt, 0.0),) if request.sampling.rivals is not None else ()
            self.add(request.turn, entry_id(1, 2), Aside(1, 2, AsidePlace.PROMPT, prompt, scores))
        finish, out = self._speak(request, words)
        try:
            if not (isinstance(said, Refusal) and said.fault in NOT_FILED):
                self._keep(request, "".join(words[:out]))
        except ProctorError as error:
            said = Refusal(Fault.BAD_REQUEST, str(error))
        counts = Counts(tokens_in=7, tokens_cached=3, tokens_out=out, first_token_s=0.25, generate_s=0.5)
        if isinstance(said, Refusal):
            ending = Ending(Finish.FAILED, counts, said.fault, said.error, window_tokens=512)
        else:
            options = tuple(-1.0 - n for n, _ in enumerate(request.options))
            ending = Ending(finish, counts, context=facts, options_logprob=options, worker=WORKER)
        self.add(request.turn, entry_id(1, 1_000_000), ending)

    def _speak(self, request: TurnRequest, words: Sequence[str]) -> tuple[Finish, int]:
        turn, characters = request.turn, 0
        for number, word in enumerate(words):
            self.before_piece(number)
            self.go_on.wait(timeout=300)
            if self.pause_s:
                time.sleep(self.pause_s)
            if self._stopped(turn):
                return Finish.STOPPED, number
            scored = self.scored and request.sampling.rivals is not None
            scores = (TokenScore(number, word, -1.0),) if scored else ()
            self.add(turn, entry_id(1, number + 3), Piece(1, number + 3, number, characters, (number,), word, scores))
            characters += len(word)
        return Finish.STOP, len(words)

    def _answer_inquiry(self) -> None:
        text = self._redis.rpop(INQUIRIES) if self.store is not None else None
        replied = reply_to(self.store, text) if self.store is not None and isinstance(text, bytes) else None
        if replied is not None:
            self._redis.lpush(answer_key(replied[0]), replied[1])
            self._redis.expire(answer_key(replied[0]), ANSWER_S)

    def _keep(self, request: TurnRequest, text: str) -> None:
        """File the Turn and its reply as done, with the real store's functions."""
        if self.store is None or request.options:
            return
        model = ModelRef(request.model, ModelSource.DEMO)
        filing = Filing(
            turn_id=request.turn,
            conversation_id=request.conversation,
            model=model,
            quant=request.quant,
            device=Device.CPU,
            sampling=request.sampling,
            history=request.history,
            broker="parrot",
            say=request.say,
            after=request.after,
        )
        file_turn(self.store, filing)
        card = WorkerCard(WORKER, "parrot", Device.CPU, "a parrot", 1)
        lane = Lane(Device.CPU, request.model, request.quant)
        (claim,) = turns.claim(self.store, card, "parrot", lane, 1, 30.0).claims
        turns.finish(self.store, claim, turns.Outcome(Finish.STOP, text, (1,), Counts(tokens_in=7, tokens_out=1)))

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


def empty(server: Valkey) -> None:
    """Forget what earlier tests said: a parrot would answer it again."""
    with redis.Redis.from_url(server.url) as client:
        client.flushdb()


@contextmanager
def parrot(
    url: str, script: Script = echo, pause_s: float = 0.0, store: Store | None = None, *, scored: bool = False
) -> Iterator[Parrot]:
    """A parrot that serves the broker at `url`."""
    bird = Parrot(url, script, pause_s, store, scored=scored)
    bird.start()
    try:
        yield bird
    finally:
        bird.close()
