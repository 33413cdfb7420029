"""The reply streams, as a worker writes them: in one pipeline for all replies of a decode step.

What the broker can do to a reply is settled here. It is away: the reply goes on, and everything is told again from the
beginning once it is back (clients show it once). The stream is gone: the same, in a new one. A later attempt has
written: this one is lost, and Redis has refused what it said. Somebody asked to stop: the echo of a note says so.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import redis
from redis.exceptions import ResponseError

from chat.protocol.turns import (
    EXPECTED,
    REPLY_S,
    Aside,
    AsidePlace,
    Ending,
    Entry,
    Expectation,
    Piece,
    Progress,
    TokenScore,
    dump_entry,
    entry_id,
    load_entry,
    reply_key,
    stop_key,
)
from proctor.broker.bell import BROKER_ERRORS
from proctor.broker.clients import client
from proctor.errors import BadInput
from proctor.retry import jittered
from proctor.wire import from_json

SILENCE_S = 2.0  # a reply doesn't stand still for longer than that, whatever the broker does
AWAY_S = 0.5  # between tries to reach a broker that is away
MARK_S = 2.0  # between two looks whether the broker is still the same
BROKER_KEY, BROKER_S = "chat.broker", 30 * 24 * 3600

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutgoingEntry:
    """An entry on its way. `create`: also where there is no stream (any more)."""

    turn_id: str
    attempt: int
    seq: int
    entry: Entry
    create: bool = False


@dataclass(frozen=True)
class SendResult:
    """What came of a note."""

    sent: bool
    lost: bool = False  # a later attempt has written
    stopped: bool = False  # somebody asked to stop the reply


UNSENT = SendResult(sent=False)


@dataclass
class ReplyWriter:
    """One reply's stream, as this attempt writes it."""

    turn_id: str
    attempt: int
    seq: int = 0
    tokens: list[int] = field(default_factory=list)  # of the whole reply
    text: str = ""
    told: int = 0  # tokens that are in the stream
    told_text: int = 0  # characters
    scores: list[TokenScore] = field(default_factory=list)  # of the last tokens: those behind `unscored`
    unscored: tuple[int, int] = (0, 0)  # tokens and characters up to the last token that came without a score
    asides: list[Aside] = field(default_factory=list)
    told_asides: int = 0

    def say(self, tokens: Sequence[int], text: str, scores: Sequence[TokenScore] = ()) -> None:
        """Add to what is to be told. Scores are those of all `tokens`, or none."""
        self.tokens += tokens
        self.text += text
        self.scores += scores
        if len(scores) != len(tokens):
            self.scores.clear()
            self.unscored = (len(self.tokens), len(self.text))

    def pieces(self) -> list[OutgoingEntry]:
        """What isn't told yet: first what an earlier attempt made, whose scores nobody knows any more."""
        first, last = self.unscored, (len(self.tokens), len(self.text))
        told = (self.told, self.told_text)
        if not self.told < first[0]:
            return [self._piece(told, last)]
        return [self._piece(told, first), *([self._piece(first, last)] if first != last else [])]

    def _piece(self, begin: tuple[int, int], end: tuple[int, int]) -> OutgoingEntry:
        """A part of the reply, between two places: tokens and characters before each."""
        scores = self.scores[begin[0] - self.unscored[0] :] if begin[0] >= self.unscored[0] else []
        tokens, text = tuple(self.tokens[begin[0] : end[0]]), self.text[begin[1] : end[1]]
        piece = Piece(self.attempt, self._next(), *begin, tokens, text, tuple(scores))
        return OutgoingEntry(self.turn_id, self.attempt, piece.seq, piece, create=self.told == 0)

    def put(self, place: AsidePlace, text: str, scores: Sequence[TokenScore]) -> None:
        """Have something told that stands beside the reply."""
        self.asides.append(Aside(self.attempt, 0, place, text, tuple(scores)))

    def notes(self) -> list[OutgoingEntry]:
        """All that isn't told yet, the reply's own last."""
        return [*self._beside(), *self.pieces()]

    def _beside(self) -> list[OutgoingEntry]:
        untold = [replace(aside, seq=self._next()) for aside in self.asides[self.told_asides :]]
        return [OutgoingEntry(self.turn_id, self.attempt, aside.seq, aside, create=self.told == 0) for aside in untold]

    def progress(self, progress: Progress) -> OutgoingEntry:
        return OutgoingEntry(self.turn_id, self.attempt, self._next(), progress, create=True)

    def end(self, ending: Ending) -> list[OutgoingEntry]:
        beside = self._beside()
        rest = self.pieces() if (self.told, self.told_text) != (len(self.tokens), len(self.text)) else []
        return [*beside, *rest, OutgoingEntry(self.turn_id, self.attempt, self._next(), ending, create=True)]

    def heard(self, echo: SendResult) -> None:
        """Of the reply's notes: they are told, or everything has to be told again."""
        self.told_asides = len(self.asides) if echo.sent else 0
        self.told = len(self.tokens) if echo.sent else 0
        self.told_text = len(self.text) if echo.sent else 0

    def _next(self) -> int:
        self.seq += 1
        return self.seq


class ReplyStreams:
    """This worker's way to the reply streams. Nothing is opened before it is used."""

    def __init__(self, broker_url: str) -> None:
        self._redis: redis.Redis = client(broker_url, SILENCE_S)
        self._away_until = self._mark_at = 0.0
        self._mark: str | None = None

    def broker(self) -> str | None:
        """What tells this broker, and one that came back empty, from others; None while it is away.

        It is looked up every `MARK_S`.
        """
        now = time.monotonic()
        if now >= self._mark_at:
            self._mark, self._mark_at = self._read_mark(), now + MARK_S
        return self._mark

    def expected(self) -> Expectation | None:
        """What somebody is about to ask for; whoever took it is the only one who did."""
        try:
            text = self._redis.getdel(EXPECTED)
            return from_json(Expectation, text) if isinstance(text, bytes) else None
        except (*BROKER_ERRORS, BadInput) as error:
            log.info("nobody knows what is expected: %s", error)
            return None

    def open(self, turn_id: str, attempt: int, progress: Progress) -> tuple[SendResult, tuple[int, ...]]:
        """Begin this attempt's part of a stream, so that earlier attempts add nothing; then, what they have emitted."""
        (echo,) = self.send([OutgoingEntry(turn_id, attempt, 0, progress, create=True)])
        if attempt == 1 or not echo.sent:
            return echo, ()
        try:
            return echo, emitted(self._redis.xrange(reply_key(turn_id)))  # type: ignore[arg-type] # not awaited here
        except BROKER_ERRORS as error:
            self._away(error)
            return UNSENT, ()

    def send(self, notes: Sequence[OutgoingEntry]) -> list[SendResult]:
        """Write all of them in one round trip."""
        if not notes or time.monotonic() < self._away_until:
            return [UNSENT] * len(notes)
        pipeline = self._redis.pipeline(transaction=False)
        for note in notes:
            key = reply_key(note.turn_id)
            fields = dump_entry(note.entry)
            pipeline.xadd(key, fields, id=entry_id(note.attempt, note.seq), nomkstream=not note.create)  # type: ignore[arg-type] # redis-py's dict is invariant
            pipeline.get(stop_key(note.turn_id))
            if note.create:
                pipeline.expire(key, REPLY_S)
        try:
            answers = iter(pipeline.execute(raise_on_error=False))
        except BROKER_ERRORS as error:
            self._away(error)
            return [UNSENT] * len(notes)
        echoes = []
        for note in notes:
            echoes.append(_result(next(answers), next(answers)))
            if note.create:
                next(answers)
        return echoes

    def close(self) -> None:
        self._redis.close()

    def _read_mark(self) -> str | None:
        if time.monotonic() < self._away_until:
            return None
        try:
            return broker_mark(self._redis)
        except BROKER_ERRORS as error:
            self._away(error)
            return None

    def _away(self, error: Exception) -> None:
        log.warning("the broker is away; replies go on, and are told when it is back: %s", error)
        self._away_until = time.monotonic() + jittered(AWAY_S)


def broker_mark(broker: redis.Redis) -> str:
    """The name that a broker was given by whichever worker came first."""
    pipeline = broker.pipeline(transaction=False)
    pipeline.set(BROKER_KEY, secrets.token_hex(8), nx=True, ex=BROKER_S)
    pipeline.getex(BROKER_KEY, ex=BROKER_S)
    _, mark = pipeline.execute()
    return str(mark.decode())


def emitted(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> tuple[int, ...]:
    """The tokens of a reply that stand in its stream, whichever attempts wrote them."""
    tokens: list[int] = []
    for _, fields in entries:
        try:
            entry = load_entry(fields)
        except BadInput as error:
            log.warning("an entry of a reply can't be read: %s", error)
            continue
        if isinstance(entry, Piece) and entry.at_token <= len(tokens) < entry.at_token + len(entry.tokens):
            tokens[entry.at_token :] = entry.tokens
    return tuple(tokens)


def _result(added: object, stop: object) -> SendResult:
    if isinstance(added, ResponseError) and "equal or smaller" in str(added):
        return SendResult(sent=False, lost=True)
    if isinstance(added, Exception):
        log.warning("the broker refuses a piece: %s", added)
    return SendResult(sent=isinstance(added, bytes | str), stopped=isinstance(stop, bytes))
