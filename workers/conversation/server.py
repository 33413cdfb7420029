"""Chat: the same worker's work on the same weights. It comes before exam packs, and leaves them their share.

`serve` makes the replies that wait for the held model; `beside` does so between two packs of a Run, for a share of the
time; `load_wanted` loads a model that replies wait for and that nobody else serves; `load_expected` loads one before it
is asked for. In each decode step all replies under way get their next token, and replies that wait join in.

Promised, whatever is killed, paused or cut off meanwhile, and held by tests/chaos/test_chat.py: no token of a reply is
lost or said twice; a worker whose lease is over says not one more; a reply that is stopped ends within a token.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from itertools import islice

from chat.protocol.turns import Ending, Progress, Stage
from proctor.errors import BadInput, BadModel, DeviceBroken, OutOfMemory, ProctorError, StoreUnavailable, first_line
from proctor.nouns.conversations import Fault, Finish
from proctor.nouns.models import Device, DType, Lane
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.store.conversations import turns
from proctor.store.conversations.turns import Outcome, TurnClaim, TurnLost
from proctor.store.database.session import Store
from workers.allowed_models import ANYTHING, AllowedModels
from workers.channel import Channel
from workers.conversation.failures import Failures, fault_of
from workers.conversation.leases import ReplyLeases
from workers.conversation.prompts import PromptBuilder
from workers.conversation.reply import ActiveReply
from workers.conversation.streams import ReplyStreams, ReplyWriter, SendResult
from workers.engines.base import Engine, Skill, require
from workers.engines.generation import GenerationRequest, Generator, NextToken
from workers.models.held import Models
from workers.run.liveness import Liveness

MOST_LIVE = 32  # replies at a time
LOOK_S = 0.05  # between two looks into the store while replies are made
MARK_S = 2.0  # between two looks whether the broker is still the same
ADMIT_S = 10.0  # between two Runs, replies that come later than that wait for the next pack
SLICE_S, SHARE = 0.25, 3.0  # between two packs: the least in seconds, and how many times the last pack's own time
LINGER_S, GLANCE_S = 1.0, 0.01  # a program's next message comes at once, a bell after up to half a second
FIRST_CLAIM = 4  # replies that are claimed before their model is loaded

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _ChatModel:
    """What converses with one loaded model."""

    model: Engine
    generator: Generator
    prompts: PromptBuilder


@dataclass(frozen=True)
class ServerContext:
    """What a worker's child lends to chat."""

    me: WorkerCard
    models: Models
    store: Store
    channel: Channel
    retry: OutageRetry
    liveness: Liveness
    lease_s: float
    allowed: AllowedModels = ANYTHING


class ConversationServer:
    """The `ChatDuty` of a worker's child; all of it runs in the child's one thread, but for the leases' renewal."""

    def __init__(self, means: ServerContext, replies: ReplyStreams) -> None:
        self._means, self._replies = means, replies
        self._failures = Failures(means.store, means.retry, replies)
        self._live: dict[str, ActiveReply] = {}
        self._box: _ChatModel | None = None
        self._renewal = ReplyLeases(
            means.store, means.lease_s, lambda: [live.kept for live in list(self._live.values())]
        )
        self._renewal.start()
        self._broker: str | None = None
        self._mark_at = self._look_at = self._left_at = self._ended_at = 0.0
        self._room = True  # whether another reply fits beside those under way
        self._most = MOST_LIVE  # replies at a time of the model that is held
        means.models.before_unload = self._leave_model

    def serve(self) -> None:
        admit_until = time.monotonic() + ADMIT_S
        self._look_at = 0.0
        while not self._means.channel.stopped:
            if time.monotonic() < admit_until:
                self._admit_waiting()
            if not self._live:
                break
            self._step()
        if self._means.channel.stopped:
            self._hand_back()
        self._left_at = time.monotonic()

    def beside(self) -> None:
        began = time.monotonic()
        until = began + max(SLICE_S, SHARE * (began - self._left_at))
        self._look_at = 0.0
        while not self._means.channel.stopped and time.monotonic() < until:
            self._admit_waiting()
            if not self._live:
                break
            self._step()
        self._left_at = time.monotonic()

    def load_wanted(self, waited_s: float = 0.0) -> bool:
        broker = self._known_broker()
        if broker is None:
            return False
        means = self._means
        wanted = turns.wanted(means.store, means.me, broker)
        if wanted is None or wanted.waited_s < waited_s:
            return False
        held = means.models.held
        if held is not None and self._lane(held) == wanted.lane:
            return False
        claims = self._claim(broker, wanted.lane, FIRST_CLAIM)
        if not claims:
            return True  # another worker was faster, or they had killed too many
        opened = [(claim, self._open(claim, Stage.LOADING)) for claim in claims]
        began = time.monotonic()
        try:
            loaded = means.models.get(wanted.model, wanted.quant, DType.AUTO)
        except Exception as error:  # noqa: BLE001 -- filed with each reply
            fault = Fault.BAD_MODEL if isinstance(error, BadModel | BadInput) else Fault.INTERNAL
            for claim, (writer, _) in opened:
                self._failures.file(claim, writer, fault, error, final=fault is Fault.BAD_MODEL)
            self._end_if_broken(error)
            return True
        means.channel.hold(self._lane(loaded))
        for claim, (writer, heard) in opened:
            self._begin(claim, writer, heard, load_s=time.monotonic() - began)
        self.serve()
        return True

    def load_expected(self) -> bool:
        means = self._means
        expected = self._replies.expected() if means.models.held is None else None
        if expected is None or expected.device not in (None, means.me.device):
            return False
        try:
            loaded = means.models.get(means.allowed.resolve(expected.model), expected.quant, DType.AUTO)
            means.channel.hold(self._lane(loaded))
            self._voicebox()
        except ProctorError as error:
            log.info("%s is not ready before it is asked for: %s", expected.model, error)
            return False
        return True

    def wait_for_next(self) -> bool:
        held = self._means.models.held
        while held is not None and time.monotonic() < self._ended_at + LINGER_S:
            broker = self._known_broker()
            if broker is None or self._means.channel.wait(GLANCE_S):
                break
            if turns.is_waiting(self._means.store, broker, self._lane(held)):
                return True
        return False

    def let_go(self) -> bool:
        return self._box is not None and self._box.generator.let_go()

    # --- replies that wait

    def _admit_waiting(self) -> None:
        """Claim what waits for the held model, as far as there is room."""
        now = time.monotonic()
        held, room = self._means.models.held, self._most - len(self._live)
        if held is None or now < self._look_at or room < 1 or not self._room:
            return
        self._look_at = now + LOOK_S
        broker = self._known_broker()
        if broker is None or not turns.is_waiting(self._means.store, broker, self._lane(held)):
            return
        for claim in self._claim(broker, self._lane(held), room):
            writer, heard = self._open(claim, Stage.CLAIMED)
            self._begin(claim, writer, heard)

    def _claim(self, broker: str, lane: Lane, most: int) -> tuple[TurnClaim, ...]:
        means = self._means
        self._renewal.claimed()
        got = means.retry(partial(turns.claim, means.store, means.me, broker, lane, most, means.lease_s))
        for ended in got.ended:
            self._failures.tell_ended(ended)
        return got.claims

    def _open(self, claim: TurnClaim, stage: Stage) -> tuple[ReplyWriter, tuple[SendResult, tuple[int, ...]]]:
        writer = ReplyWriter(claim.turn_id, claim.attempt)
        progress = Progress(stage, claim.attempt, str(claim.lane), worker=self._means.me.name)
        echo, emitted = self._replies.open(claim.turn_id, claim.attempt, progress)
        return writer, (echo, max(emitted, claim.token_ids, key=len))

    def _begin(
        self, claim: TurnClaim, writer: ReplyWriter, heard: tuple[SendResult, tuple[int, ...]], load_s: float = 0.0
    ) -> None:
        """Take a claimed reply in: assemble what the model is shown, and begin behind what was emitted before."""
        echo, emitted = heard
        if echo.lost:
            return
        try:
            live = self._prepare(claim, writer, emitted, load_s)
            if live is None:
                return
            self._live[claim.turn_id] = live
            if echo.stopped:
                self._end(live, Finish.STOPPED)
            elif live.detokenizer.stopped or len(emitted) >= self._limit(live):
                self._end(live, Finish.STOP if live.detokenizer.stopped else Finish.LENGTH)
        except TurnLost as error:
            log.warning("%s", error)
        except Exception as error:  # noqa: BLE001 -- filed with the reply
            fault = fault_of(error)
            self._failures.file(claim, writer, fault, error, final=fault is not Fault.INTERNAL)
            self._end_if_broken(error)

    def _prepare(
        self, claim: TurnClaim, writer: ReplyWriter, emitted: tuple[int, ...], load_s: float
    ) -> ActiveReply | None:
        """The reply under way; None where it had to be left, or is over already."""
        began = time.monotonic() - load_s
        box = self._voicebox()
        shown = box.prompts.show(claim)
        means = self._means
        said = shown.text if shown.in_tokens else None
        turns.begin(means.store, claim, shown.facts, str(box.model.provenance.dtype), said=said)
        detokenizer = box.model.detokenizer(claim.sampling.stop, shown.behind)
        live = ActiveReply(claim, writer, detokenizer, shown, 0, began, box.prompts.vocabulary, load_s=load_s)
        if claim.options:
            self._probe(box, live)
            return None
        echo = claim.echo and claim.sampling.rivals is not None
        request = GenerationRequest(claim.turn_id, shown.ids, claim.sampling, self._limit(live), emitted, echo)
        writer.say(emitted, detokenizer.push(emitted))
        if not detokenizer.stopped and len(emitted) < request.limit:
            if not box.generator.fits(request):
                self._room = False
                turns.hand_back(means.store, live.kept)
                return None
            live.cached = box.generator.add(request)
        reading = Progress(Stage.READING, claim.attempt, str(claim.lane), worker=means.me.name, context=shown.facts)
        self._replies.send([writer.progress(reading)])
        return live

    def _probe(self, box: _ChatModel, live: ActiveReply) -> None:
        require(box.model, Skill.SCORE)
        options = [box.prompts.renderer.text_ids(option) for option in live.claim.options]
        scores = box.model.score_options(live.shown.ids, options)
        live.first_at = live.last_at = time.monotonic()
        counts = live.counts(0)
        turns.finish(self._means.store, live.claim, Outcome(Finish.STOP, "", (), counts, options_logprob=scores))
        ending = Ending(
            Finish.STOP, counts, context=live.shown.facts, options_logprob=scores, worker=self._means.me.name
        )
        self._replies.send(live.writer.end(ending))

    def _limit(self, live: ActiveReply) -> int:
        left = live.shown.window - len(live.shown.ids)
        return max(1, min(live.claim.sampling.max_tokens or left, left))

    # --- replies under way

    def _step(self) -> None:
        """One token more for every reply whose prompt has been read."""
        self._means.liveness.beat()
        generator = self._voicebox().generator
        failed: Exception | None = None
        tokens: list[NextToken] = []
        try:
            tokens = generator.step()
        except Exception as error:  # noqa: BLE001 -- filed with each reply
            failed = error
        if failed is None and not generator.live and not tokens:
            failed = RuntimeError("the generator has let go of replies that are under way")
        if isinstance(failed, OutOfMemory) and len(self._live) > 1:
            self._make_do_with_fewer()
            return
        if failed is not None:
            self._fail_all(failed)
            return
        self._leave_lost()
        spoken = [(live, token) for token in tokens if (live := self._live.get(token.id)) is not None]
        said = [live.take(token) for live, token in spoken]
        echoes = iter(self._replies.send([note for notes in said for note in notes]))
        for (live, _), notes in zip(spoken, said, strict=True):
            *_, echo = islice(echoes, len(notes))
            live.writer.heard(echo)
            if echo.lost:
                self._drop(live)
            elif live.finish is not None or echo.stopped:
                self._end(live, live.finish or Finish.STOPPED)

    def _end(self, live: ActiveReply, finish: Finish) -> None:
        """Commit the reply, and only then tell of its end."""
        claim, writer = live.claim, live.writer
        self._voicebox().generator.cancel(claim.turn_id)
        outcome = live.end(finish)
        try:
            self._means.retry(partial(turns.finish, self._means.store, claim, outcome))
        except TurnLost as error:
            log.warning("%s", error)
            self._drop(live)
            return
        del self._live[claim.turn_id]
        self._room, self._ended_at = True, time.monotonic()
        seed, me = claim.sampling.seed, self._means.me.name
        ending = Ending(finish, outcome.counts, context=live.shown.facts, seed=seed, worker=me)
        self._replies.send(writer.end(ending))
        self._fold(live, outcome)

    def _fold(self, live: ActiveReply, outcome: Outcome) -> None:
        """A summary that can't be made changes nothing: the window slides without it, and says so."""
        try:
            self._voicebox().prompts.fold(live.claim, outcome.token_ids, outcome.content)
        except ProctorError as error:
            log.warning("no summary was made after turn %s: %s", live.claim.turn_id, error)

    def _leave_lost(self) -> None:
        """Leave what others have by now. Nothing is said before this is known."""
        if self._live and not self._renewal.sure:
            self._means.retry(self._renewal.renew)
        for turn_id in list(self._renewal.lost):
            self._renewal.lost.discard(turn_id)
            live = self._live.get(turn_id)
            if live is not None:
                log.warning("turn %s is another worker's by now", turn_id)
                self._drop(live)

    def _drop(self, live: ActiveReply) -> None:
        self._live.pop(live.claim.turn_id, None)
        self._room = True
        if self._box is not None:
            self._box.generator.cancel(live.claim.turn_id)

    # --- what goes wrong

    def _make_do_with_fewer(self) -> None:
        """Memory is too short for so many replies at once: from now on half of them, each goes on where it was."""
        self._most = len(self._live) // 2
        log.warning("out of memory: %d replies at a time from now on", self._most)
        self._hand_back()
        self._means.models.device.release()

    def _fail_all(self, error: Exception) -> None:
        """The step failed, and with it every reply in it: the generator has let go of all of them."""
        for live in list(self._live.values()):
            del self._live[live.claim.turn_id]
            self._failures.file(live.claim, live.writer, Fault.INTERNAL, error, final=False)
        self._room = True
        if not isinstance(error, ProctorError):
            self._box = None  # nobody knows what state the generator is in: the next reply gets a new one
        error.__traceback__ = None  # its frames hold tensors
        self._means.models.device.release()
        self._end_if_broken(error)

    def _end_if_broken(self, error: Exception) -> None:
        """After an error that nobody foresaw a GPU may be broken for this process: raise `DeviceBroken` there."""
        if isinstance(error, ProctorError) or self._means.me.device is not Device.GPU:
            return
        self._hand_back()
        name = self._means.models.device.name
        raise DeviceBroken(name, f"{type(error).__name__}: {first_line(error)}") from error

    def _hand_back(self) -> None:
        """What is under way waits again, for whoever goes on with it."""
        for live in list(self._live.values()):
            self._drop(live)
            self._give_back(live)

    def _give_back(self, live: ActiveReply) -> None:
        try:
            turns.hand_back(self._means.store, live.kept)
        except (TurnLost, StoreUnavailable) as error:
            log.warning("turn %s is left to its lease: %s", live.claim.turn_id, error)

    # --- the model and the broker

    def _voicebox(self) -> _ChatModel:
        """What converses with the model that is held."""
        held = self._means.models.held
        assert held is not None
        if self._box is None or self._box.model is not held:
            require(held, Skill.STREAM)
            self._box = _ChatModel(held, held.stream(), PromptBuilder(self._means.store, held))
        return self._box

    def _leave_model(self) -> None:
        """Another model is about to be loaded: what is kept of this one gives its memory back."""
        self._hand_back()
        if self._box is not None:
            self._box.generator.forget()
        self._box, self._most = None, MOST_LIVE

    def _lane(self, loaded: Engine) -> Lane:
        return Lane(self._means.me.device, str(loaded.ref), loaded.quant)

    def _known_broker(self) -> str | None:
        now = time.monotonic()
        if now >= self._mark_at:
            self._broker, self._mark_at = self._replies.broker(), now + MARK_S
        return self._broker
