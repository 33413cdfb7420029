"""The replies under way in a worker, in one batch: they join, get a token a step, and end, each for itself.

A reply's end is committed first and told then. A lease that may be over is renewed before another token is told.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from itertools import islice

from chat.protocol.turns import Ending
from proctor.errors import DeviceBroken, OutOfMemory, ProctorError, StoreUnavailable, first_line
from proctor.nouns.conversations import Fault, Finish
from proctor.nouns.models import Device
from proctor.store.conversations import turns
from proctor.store.conversations.turns import Outcome, TurnLost
from workers.conversation.beginning import ChatModel, OpenedReply, ReplyBeginner
from workers.conversation.failures import Failures, fault_of
from workers.conversation.leases import ReplyLeases
from workers.conversation.prompts import PromptBuilder
from workers.conversation.reply import ActiveReply
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams
from workers.conversation.turn_taking import MOST_LIVE
from workers.engines.base import Skill, require
from workers.engines.generation import NextToken, ReplyRefused

log = logging.getLogger(__name__)


class ReplyBatch:
    """The replies under way, and what converses with the held model. One thread works with it.

    Attributes
    ----------
    full
        Whether the KV cache had no room for the last reply that was to join; not after one has ended.
    most
        How many replies of the held model are made at a time; half as many once memory was too short for them together.
    ended
        When the last reply ended, by the context's clock; -inf before the first.
    """

    def __init__(
        self, context: ServerContext, streams: ReplyStreams, beginner: ReplyBeginner, failures: Failures
    ) -> None:
        self._context, self._streams, self._beginner, self._failures = context, streams, beginner, failures
        self._live: dict[str, ActiveReply] = {}
        self._model: ChatModel | None = None
        self.full, self.most, self.ended = False, MOST_LIVE, -math.inf
        self.leases = ReplyLeases(
            context.store, context.lease_s, lambda: [live.kept for live in list(self._live.values())]
        )
        self.leases.start()

    def __len__(self) -> int:
        return len(self._live)

    def model(self) -> ChatModel:
        """What converses with the held model; made where that has changed. Raises `CantBeAsked` where it can't."""
        held = self._context.models.held
        assert held is not None
        if self._model is None or self._model.engine is not held:
            require(held, Skill.STREAM)
            self._model = ChatModel(held, held.stream(), PromptBuilder(self._context.store, held))
        return self._model

    def begin(self, opened: OpenedReply, load_s: float = 0.0) -> None:
        """Let a claimed reply join the batch, or end at once. What goes wrong is filed with it.

        Raises
        ------
        DeviceBroken
            where that may have broken the GPU for this process. The replies under way are handed back then.
        """
        claim = opened.claim
        if opened.result.lost:
            return
        try:
            model = self.model()
            live = self._beginner.show(model, opened, load_s)
            if claim.options:
                self._beginner.probe(model, live)
            elif self._beginner.join(model, live, opened):
                self._live[claim.turn_id] = live
                if live.finish is not None:
                    self._end(live, live.finish)
            else:
                self.full = True
                turns.hand_back(self._context.store, live.kept)
        except TurnLost as error:
            log.warning("%s", error)
        except Exception as error:  # noqa: BLE001 -- filed with the reply
            fault = fault_of(error)
            self._failures.file(claim, opened.writer, fault, error, final=fault is not Fault.INTERNAL)
            self.raise_if_broken(error)

    def step(self) -> None:
        """Make one token more for every reply whose prompt has been read, and tell it.

        A step that fails fails every reply in it. Raises `DeviceBroken` as `begin` does.
        """
        self._context.liveness.beat()
        try:
            tokens = self._next_tokens()
        except ReplyRefused as error:
            self._refuse(error)
            return
        except OutOfMemory as error:
            if len(self._live) > 1:
                self._make_do_with_fewer()
            else:
                self._fail_all(error)
            return
        except Exception as error:  # noqa: BLE001 -- filed with each reply
            self._fail_all(error)
            return
        self._leave_lost()
        self._tell(tokens)

    def let_go(self) -> bool:
        """Give back the memory of what is kept of replies that have ended. Whether there was any."""
        return self._model is not None and self._model.generator.let_go()

    def leave_model(self) -> None:
        """Before another model is loaded: hand the replies back, and give the memory of the KV cache back."""
        self.hand_back()
        if self._model is not None:
            self._model.generator.forget()
        self._model, self.most = None, MOST_LIVE

    def hand_back(self) -> None:
        """Give the replies under way to other workers, with the tokens made so far."""
        for live in list(self._live.values()):
            self._drop(live)
            try:
                turns.hand_back(self._context.store, live.kept)
            except (TurnLost, StoreUnavailable) as error:
                log.warning("turn %s is left to its lease: %s", live.claim.turn_id, error)

    def raise_if_broken(self, error: Exception) -> None:
        """After an error that nobody foresaw a GPU may be broken for this process: raise `DeviceBroken` there."""
        if isinstance(error, ProctorError) or self._context.me.device is not Device.GPU:
            return
        self.hand_back()
        name = self._context.models.device.name
        raise DeviceBroken(name, f"{type(error).__name__}: {first_line(error)}") from error

    def _next_tokens(self) -> list[NextToken]:
        generator = self.model().generator
        tokens = generator.step()
        if not generator.live and not tokens:
            raise RuntimeError("the generator has let go of replies that are under way")
        return tokens

    def _tell(self, tokens: list[NextToken]) -> None:
        """Tell the tokens of a step in one round trip, and end the replies whose last they are."""
        taken = [(live, live.take(token)) for token in tokens if (live := self._live.get(token.id)) is not None]
        results = iter(self._streams.send([entry for _, entries in taken for entry in entries]))
        for live, entries in taken:
            *_, result = islice(results, len(entries))
            live.writer.heard(result)
            if result.lost:
                self._drop(live)
            elif live.finish is not None or result.stopped:
                self._end(live, live.finish or Finish.STOPPED)

    def _end(self, live: ActiveReply, finish: Finish) -> None:
        """Commit the reply, and only then tell its end."""
        claim = live.claim
        self.model().generator.cancel(claim.turn_id)
        outcome = live.end(finish)
        try:
            self._context.retry(partial(turns.finish, self._context.store, claim, outcome))
        except TurnLost as error:
            log.warning("%s", error)
            self._drop(live)
            return
        del self._live[claim.turn_id]
        self.full, self.ended = False, self._context.clock()
        seed, me = claim.sampling.seed, self._context.me.name
        ending = Ending(finish, outcome.counts, context=live.shown.facts, seed=seed, worker=me)
        self._streams.send(live.writer.end(ending))
        self._summarise(live, outcome)

    def _summarise(self, live: ActiveReply, outcome: Outcome) -> None:
        """A summary that can't be made changes nothing: the window slides without it, and says so."""
        try:
            self.model().prompts.fold(live.claim, outcome.token_ids, outcome.content)
        except ProctorError as error:
            log.warning("no summary was made after turn %s: %s", live.claim.turn_id, error)

    def _leave_lost(self) -> None:
        """Drop the replies that other workers have by now. Nothing is told before this is known."""
        if self._live and not self.leases.sure:
            self._context.retry(self.leases.renew)
        for turn_id in list(self.leases.lost):
            self.leases.lost.discard(turn_id)
            live = self._live.get(turn_id)
            if live is not None:
                log.warning("turn %s is another worker's by now", turn_id)
                self._drop(live)

    def _drop(self, live: ActiveReply) -> None:
        """Leave a reply out of the batch, without a word to the store or the client."""
        self._live.pop(live.claim.turn_id, None)
        self.full = False
        if self._model is not None:
            self._model.generator.cancel(live.claim.turn_id)

    def _make_do_with_fewer(self) -> None:
        """Memory is too short for so many replies at once: make half as many from now on, each from where it was."""
        self.most = len(self._live) // 2
        log.warning("out of memory: %d replies at a time from now on", self.most)
        self.hand_back()
        self._context.models.device.release()

    def _refuse(self, error: ReplyRefused) -> None:
        """File the refusal of one reply, which has left the generator; the others go on."""
        live = self._live.pop(error.request_id, None)
        if live is not None:
            self.full = False
            self._failures.file(live.claim, live.writer, fault_of(error), error, final=True)

    def _fail_all(self, error: Exception) -> None:
        """File the failure of a step with every reply in it: the generator has let go of all of them."""
        for live in list(self._live.values()):
            del self._live[live.claim.turn_id]
            self._failures.file(live.claim, live.writer, Fault.INTERNAL, error, final=False)
        self.full = False
        if not isinstance(error, ProctorError):
            self._model = None  # nobody knows what state the generator is in: the next reply gets a new one
        error.__traceback__ = None  # its frames hold tensors
        self._context.models.device.release()
        self.raise_if_broken(error)
