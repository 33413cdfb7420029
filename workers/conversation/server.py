"""Chat: the same worker's work on the same weights, in the same thread. The way of a reply::

    answer_waiting, answer_between_packs   a slot of time before the next Run, or the next pack
      turn_taking.next_act                 decides, from clocks and counts: again and again, until LEAVE
      LOOK       turns.is_waiting          do replies wait for the held model?
      Admit      turns.claim               an attempt and a lease each
                 ReplyBeginner.open, show  their stream; their prompt, from the conversation
                 ReplyBeginner.join        their place in the batch
      STEP       generator.step            a token for each, told in one round trip (ReplyBatch.step)
                 turns.finish, Ending      the reply is committed, and only then told to be over
      HAND_BACK  turns.hand_back           another worker goes on behind the tokens that were made

Promised, whatever is killed, paused or cut off meanwhile, and held by tests/chaos/test_chat.py: no token of a reply is
lost or said twice; a worker whose lease is over says not one more; a reply that is stopped ends within a token.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from functools import partial

from chat.protocol.turns import Stage
from proctor.errors import BadInput, BadModel, ProctorError
from proctor.nouns.conversations import Fault
from proctor.nouns.models import DType, Lane
from proctor.store.conversations import turns
from proctor.store.conversations.turns import TurnClaim, Wanted
from workers.conversation import turn_taking
from workers.conversation.batch import ReplyBatch
from workers.conversation.beginning import OpenedReply, ReplyBeginner
from workers.conversation.failures import Failures
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams
from workers.conversation.turn_taking import FIRST_CLAIM, Act, Admit, Slot, Standing, is_worth_a_load, next_act

GLANCE_S = 0.01  # between two looks for the next message, by a worker without work

log = logging.getLogger(__name__)


class ConversationServer:
    """The `ChatDuty` of a worker's child; all of it runs in the child's one thread, but for the leases' renewal."""

    def __init__(self, context: ServerContext, streams: ReplyStreams) -> None:
        self._context, self._streams = context, streams
        self._failures = Failures(context.store, context.retry, streams)
        self._beginner = ReplyBeginner(context, streams)
        self._batch = ReplyBatch(context, streams, self._beginner, self._failures)
        self._left = context.clock()  # when the last slot ended
        self._looked = -math.inf
        self._waiting: bool | None = None
        context.models.before_unload = self._batch.leave_model

    def answer_waiting(self) -> None:
        self._answer(turn_taking.between_runs(self._context.clock()))

    def answer_between_packs(self) -> None:
        self._answer(turn_taking.between_packs(self._context.clock(), self._left))

    def load_wanted(self, waited_s: float = 0.0) -> bool:
        context, broker = self._context, self._streams.broker()
        if broker is None:
            return False
        wanted = turns.wanted(context.store, context.me, broker)
        if wanted is None or not is_worth_a_load(wanted.lane, context.held, wanted.waited_s, waited_s):
            return False
        opened = [self._beginner.open(claim, Stage.LOADING) for claim in self._claim(broker, wanted.lane, FIRST_CLAIM)]
        if opened:  # else another worker was faster, or they had killed too many
            began = time.monotonic()
            if self._load(wanted, opened):
                for reply in opened:
                    self._batch.begin(reply, load_s=time.monotonic() - began)
                self.answer_waiting()
        return True

    def load_expected(self) -> bool:
        context = self._context
        expected = self._streams.expected() if context.models.held is None else None
        if expected is None or expected.device not in (None, context.me.device):
            return False
        try:
            engine = context.models.get(context.allowed.resolve(expected.model), expected.quant, DType.AUTO)
            context.channel.hold(context.lane(engine))
            self._batch.model()
        except ProctorError as error:
            log.info("%s is not ready before it is asked for: %s", expected.model, error)
            return False
        return True

    def wait_for_next(self) -> bool:
        while self._context.held is not None and turn_taking.listens(self._context.clock(), self._batch.ended):
            if self._streams.broker() is None or self._context.channel.wait(GLANCE_S):
                break
            if self._is_waiting():
                return True
        return False

    def let_go(self) -> bool:
        return self._batch.let_go()

    def _answer(self, slot: Slot) -> None:
        """Do what `next_act` says, until the slot is over."""
        self._looked, self._waiting = -math.inf, None
        while (act := next_act(slot, self._standing())) is not Act.LEAVE:
            match act:
                case Act.LOOK:
                    self._looked = self._context.clock()
                    self._waiting = self._is_waiting()
                case Admit(most):
                    self._waiting = False
                    self._admit(most)
                case Act.STEP:
                    self._batch.step()
                    self._waiting = None
                case Act.HAND_BACK:
                    self._batch.hand_back()
        self._left = self._context.clock()

    def _standing(self) -> Standing:
        return Standing(
            now=self._context.clock(),
            stopped=self._context.channel.stopped,
            live=len(self._batch),
            full=self._batch.full,
            looked=self._looked,
            waiting=self._waiting,
            most=self._batch.most,
        )

    def _is_waiting(self) -> bool:
        """Whether replies wait for the held model."""
        held, broker = self._context.held, self._streams.broker()
        return held is not None and broker is not None and turns.is_waiting(self._context.store, broker, held)

    def _admit(self, most: int) -> None:
        """Claim replies that wait for the held model, and let them join."""
        held, broker = self._context.held, self._streams.broker()
        if held is not None and broker is not None:
            for claim in self._claim(broker, held, most):
                self._batch.begin(self._beginner.open(claim, Stage.CLAIMED))

    def _claim(self, broker: str, lane: Lane, most: int) -> tuple[TurnClaim, ...]:
        """Claim replies, and tell of those that ended with the look at them: they had killed too many workers."""
        context = self._context
        self._batch.leases.claimed()
        got = context.retry(partial(turns.claim, context.store, context.me, broker, lane, most, context.lease_s))
        for ended in got.ended:
            self._failures.tell_ended(ended)
        return got.claims

    def _load(self, wanted: Wanted, opened: Sequence[OpenedReply]) -> bool:
        """Load a model; where that fails the failure is filed with each reply. Raises `DeviceBroken`."""
        try:
            engine = self._context.models.get(wanted.model, wanted.quant, DType.AUTO)
        except Exception as error:  # noqa: BLE001 -- filed with each reply
            fault = Fault.BAD_MODEL if isinstance(error, BadModel | BadInput) else Fault.INTERNAL
            for reply in opened:
                self._failures.file(reply.claim, reply.writer, fault, error, final=fault is Fault.BAD_MODEL)
            self._batch.raise_if_broken(error)
            return False
        self._context.channel.hold(self._context.lane(engine))
        return True
