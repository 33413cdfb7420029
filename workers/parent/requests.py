"""A worker's ear for clients: Turns that were sent are checked and filed in the store, inquiries are answered.

Two threads of the parent, so that a client hears something while the child is at work. A request is acknowledged when
it is filed; what a dead worker had taken and not acknowledged is taken over. Filing is idempotent by the Turn's id.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import redis
from redis.exceptions import RedisError, ResponseError

from chat.protocol import answers
from chat.protocol.inquiries import ANSWER_S, INQUIRIES, answer_key
from chat.protocol.turns import (
    EXPECTED,
    GROUP,
    REPLY_S,
    REQUESTS,
    REQUESTS_S,
    Ending,
    Entry,
    Piece,
    Progress,
    Stage,
    TurnRequest,
    check_id,
    dump_entry,
    entry_id,
    load_entry,
    load_request,
    reply_key,
    request_key,
)
from proctor.broker.bell import BROKER_ERRORS
from proctor.broker.clients import client
from proctor.catalog.endpoint import ref_of
from proctor.errors import (
    BadInput,
    BadModel,
    ProctorError,
    StoreUnavailable,
    UnknownName,
    WorkersUnavailable,
    first_line,
)
from proctor.nouns.conversations import MAX_SEED, Fault, Finish, Turn, TurnStatus
from proctor.nouns.models import Device, ModelRef, ModelSource
from proctor.nouns.workers import WorkerCard
from proctor.retry import jittered
from proctor.store.conversations import conversations
from proctor.store.conversations.filing import ConversationBusy, Filed, Filing, LaneFull, file_turn
from proctor.store.database.session import Store
from proctor.store.runs import workers
from proctor.store.runs.eligibility import serves
from workers.allowed_models import ANYTHING, AllowedModels, lane_of_server
from workers.conversation.streams import broker_mark

BLOCK_MS = 1000
SILENCE_S = 10.0  # above the block: a broker that says nothing for so long is away
AWAY_S = 1.0
PORTION = 16  # requests taken at once
FORSAKEN_MS = 5000  # a request that was taken and not filed for so long is taken over
MOST_DELIVERIES = 3  # of a request whose workers end before it is filed
RESOLVED_S = 60.0  # how long a model's name is known to mean the same files
WHOLE = 1 << 40  # an entry's number above all that an attempt writes: a reply that is told once more as a whole

log = logging.getLogger(__name__)
Ring = Callable[[Device], None]


@dataclass(frozen=True)
class _Resolved:
    ref: ModelRef
    at: float


class ChatRequests:
    """`start` it once, in the parent; it ends with the process, or with `stop`. `broker` is the broker's mark."""

    def __init__(
        self, broker_url: str, store: Store, me: WorkerCard, ring: Ring, allowed: AllowedModels = ANYTHING
    ) -> None:
        self._url, self._store, self._me, self._ring = broker_url, store, me, ring
        self._allowed = allowed
        self.broker: str | None = None
        self._left = threading.Event()
        self._refs: dict[str, _Resolved] = {}
        self._expected: object = None  # the expectation that was rung for last
        self._threads = [
            threading.Thread(target=self._listen, args=(work,), name=name, daemon=True)
            for name, work in (("chat-requests", self._take_requests), ("chat-inquiries", self._answer_inquiry))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Say stop; may be called from a signal handler, and again."""
        self._left.set()

    def join(self) -> None:
        """Wait for its end, which comes within a second or so of `stop`."""
        for thread in self._threads:
            thread.join(SILENCE_S)

    def _listen(self, work: Callable[[redis.Redis], None]) -> None:
        """Do `work`, which waits for a second at most, over and over; wait out what is away."""
        with client(self._url, SILENCE_S) as broker:
            while not self._left.is_set():
                try:
                    work(broker)
                except BROKER_ERRORS as error:
                    log.info("the broker is away for chat: %s", error)
                    self._left.wait(jittered(AWAY_S))
                except StoreUnavailable as error:
                    log.warning("a request waits for the database: %s", error.problem)
                    self._left.wait(jittered(AWAY_S))
                except Exception:
                    log.exception("a request of a client was left")
                    self._left.wait(jittered(AWAY_S))

    def _hear_expectation(self, broker: redis.Redis) -> None:
        """Wake a worker for what somebody is about to ask for, once."""
        expected = broker.get(EXPECTED)
        if expected is not None and expected != self._expected:
            self._ring(self._me.device)
        self._expected = expected

    # --- Turns

    def _take_requests(self, broker: redis.Redis) -> None:
        self.broker = broker_mark(broker)
        self._hear_expectation(broker)
        try:
            taken_over: Any = broker.xautoclaim(REQUESTS, GROUP, self._me.name, FORSAKEN_MS, count=PORTION)
            new: Any = broker.xreadgroup(GROUP, self._me.name, {REQUESTS: ">"}, count=PORTION, block=BLOCK_MS)
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            _make_group(broker)
            return
        forsaken = {entry for entry, _ in taken_over[1]}
        for entry, fields in [*taken_over[1], *(one for _, some in new or () for one in some)]:
            turn_id = (fields or {}).get(b"turn", b"").decode("utf-8", "replace")
            try:
                self._take(broker, turn_id, deliveries=_deliveries(broker, entry) if entry in forsaken else 1)
            except StoreUnavailable:
                # An outage is no fault of the request: it isn't counted as one of its deliveries.
                broker.xclaim(REQUESTS, GROUP, self._me.name, 0, [entry], retrycount=0, justid=True)
                raise
            pipeline = broker.pipeline(transaction=False)
            pipeline.xack(REQUESTS, GROUP, entry)
            pipeline.xdel(REQUESTS, entry)
            pipeline.execute()

    def _take(self, broker: redis.Redis, turn_id: str, deliveries: int) -> None:
        """File one Turn and say what came of it, whatever that is. Raises `StoreUnavailable`: it is taken again."""
        try:
            check_id("turn", turn_id)
        except BadInput as error:
            log.warning("a request is dropped: %s", error)
            return
        payload = broker.get(request_key(turn_id))
        if not isinstance(payload, bytes):
            return  # its time is over; whoever still wants it sends it again
        if deliveries > MOST_DELIVERIES:
            log.error("turn %s was taken %d times and never filed: it is refused", turn_id, deliveries - 1)
            _tell(broker, turn_id, 0, 1, refusal(WorkersUnavailable("The workers that took this request ended at it.")))
            return
        try:
            self._file(broker, turn_id, payload)
        except (StoreUnavailable, RedisError):
            raise
        except ProctorError as error:
            log.info("turn %s is refused: %s", turn_id, error)
            _tell(broker, turn_id, 0, 1, refusal(error))
        except Exception as error:
            log.exception("turn %s is refused", turn_id)
            _tell(broker, turn_id, 0, 1, Ending(Finish.FAILED, fault=Fault.INTERNAL, error=first_line(error)))

    def _file(self, broker: redis.Redis, turn_id: str, payload: bytes) -> None:
        request = load_request(payload)
        if request.turn != turn_id:
            raise BadInput(f"The request of turn {turn_id} is one for {request.turn!r:.80}.")
        filed = file_turn(self._store, self._filing(request))
        accepted = Progress(Stage.ACCEPTED, filed.attempt, str(filed.lane), filed.ahead)
        if filed.new:
            _tell(broker, turn_id, 0, 1, accepted)
        else:
            self._tell_again(broker, turn_id, filed, accepted)
        if filed.status is TurnStatus.PENDING:
            self._ring(filed.lane.device)

    def _filing(self, request: TurnRequest) -> Filing:
        sampling = request.sampling
        if sampling.seed is None:
            sampling = replace(sampling, seed=secrets.randbelow(MAX_SEED))
        ref = ref_of(request.model) if self._is_a_server_s(request) else self._resolve(request.model)
        return Filing(
            turn_id=request.turn,
            conversation_id=request.conversation,
            model=ref,
            quant=request.quant,
            device=request.device or self._device(ref, request),
            sampling=sampling,
            history=request.history,
            broker=self.broker or "",
            say=request.say,
            after=request.after,
            options=request.options,
            title=request.title,
            echo=request.echo,
            apart=request.apart,
        )

    def _resolve(self, name: str) -> ModelRef:
        now = time.monotonic()
        known = self._refs.get(name)
        if known is None or now - known.at > RESOLVED_S:
            known = _Resolved(self._allowed.resolve(name, self._held()), now)
            # Clients may write one path in ever new ways.
            self._refs = {each: one for each, one in self._refs.items() if now - one.at <= RESOLVED_S}
            self._refs[name] = known
        return known.ref

    def _is_a_server_s(self, request: TurnRequest) -> bool:
        """Whether a server has the model, whose worker is another: it was said, or such a worker is there for it."""
        if self._me.device is Device.NET or request.device not in (None, Device.NET):
            return False
        lane = lane_of_server(request.model.strip())
        named = (one.card for one in workers.listing(self._store) if one.alive and one.card.lanes)
        return request.device is Device.NET or any(serves(card, lane) for card in named)

    def _held(self) -> list[str]:
        return [str(one.held.model) for one in workers.listing(self._store) if one.alive and one.held is not None]

    def _device(self, ref: ModelRef, request: TurnRequest) -> Device:
        """Where the model is held, else a GPU where a worker has one, else what this worker has; a server's at it."""
        if ref.source is ModelSource.ENDPOINT:
            return Device.NET
        alive = [one for one in workers.listing(self._store) if one.alive]
        for one in alive:
            if one.held is not None and (one.held.model, one.held.quant) == (str(ref), request.quant):
                return one.held.device
        return next((one.card.device for one in alive if one.card.device is Device.GPU), self._me.device)

    def _tell_again(self, broker: redis.Redis, turn_id: str, filed: Filed, accepted: Progress) -> None:
        """A client asks after a Turn that was filed before: tell it what its stream doesn't."""
        last = _last_entry(broker, turn_id)
        if filed.status in (TurnStatus.PENDING, TurnStatus.RUNNING):
            if last is None and filed.status is TurnStatus.PENDING:
                _tell(broker, turn_id, filed.attempt, WHOLE, accepted)
            return  # of one under way its worker notices that the stream is gone
        if isinstance(last, Ending):
            return
        turn = conversations.find_turn(self._store, turn_id)
        if turn is not None:
            piece = Piece(filed.attempt, WHOLE, 0, 0, turn.token_ids, turn.content)
            _tell(broker, turn_id, filed.attempt, WHOLE, piece)
            _tell(broker, turn_id, filed.attempt, WHOLE + 1, ending_of(turn))

    # --- inquiries

    def _answer_inquiry(self, broker: redis.Redis) -> None:
        got: Any = broker.brpop([INQUIRIES], timeout=BLOCK_MS / 1000)
        if got is None:
            return
        told = answers.reply_to(self._store, got[1])
        if told is not None:
            inquiry_id, text = told
            pipeline = broker.pipeline(transaction=False)
            pipeline.lpush(answer_key(inquiry_id), text)
            pipeline.expire(answer_key(inquiry_id), ANSWER_S)
            pipeline.execute()


def refusal(error: ProctorError) -> Ending:
    """What a client hears of a Turn that isn't filed."""
    failed = partial(Ending, Finish.FAILED, error=str(error))
    if isinstance(error, LaneFull):
        return failed(fault=Fault.FULL, retry_after_s=error.retry_after_s)
    if isinstance(error, ConversationBusy):
        return failed(fault=Fault.BUSY)
    if isinstance(error, BadModel | UnknownName):
        return failed(fault=Fault.BAD_MODEL)
    return failed(fault=Fault.BAD_REQUEST if isinstance(error, BadInput) else Fault.INTERNAL)


def ending_of(turn: Turn) -> Ending:
    """How a Turn in the store ended, as it was told the first time (but for the worker's name)."""
    return Ending(
        turn.finish or Finish.FAILED,
        turn.counts,
        turn.fault,
        turn.error,
        context=turn.context,
        options_logprob=turn.options_logprob,
        seed=turn.sampling.seed,
    )


def _tell(broker: redis.Redis, turn_id: str, attempt: int, seq: int, entry: Entry) -> None:
    """Add to a reply stream, unless more has been said there already."""
    pipeline = broker.pipeline(transaction=False)
    pipeline.xadd(reply_key(turn_id), dump_entry(entry), id=entry_id(attempt, seq))  # type: ignore[arg-type] # redis-py's dict is invariant
    pipeline.expire(reply_key(turn_id), REPLY_S)
    added, _ = pipeline.execute(raise_on_error=False)
    if isinstance(added, Exception) and "equal or smaller" not in str(added):
        raise added


def _deliveries(broker: redis.Redis, entry: bytes) -> int:
    """How often this entry was handed to a worker, this time included."""
    found: Any = broker.xpending_range(REQUESTS, GROUP, entry, entry, 1)
    return int(found[0]["times_delivered"]) if found else 1


def _last_entry(broker: redis.Redis, turn_id: str) -> Entry | None:
    found: Any = broker.xrevrange(reply_key(turn_id), count=1)
    return load_entry(found[0][1]) if found else None


def _make_group(broker: redis.Redis) -> None:
    pipeline = broker.pipeline(transaction=False)
    pipeline.xgroup_create(REQUESTS, GROUP, id="0", mkstream=True)
    pipeline.expire(REQUESTS, REQUESTS_S)
    made, _ = pipeline.execute(raise_on_error=False)
    if isinstance(made, Exception) and "BUSYGROUP" not in str(made):
        raise made
