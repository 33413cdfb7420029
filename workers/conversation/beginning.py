"""How a reply begins: its stream is opened, its prompt built, and its request joins the batch."""

from __future__ import annotations

import time
from dataclasses import dataclass

from chat.protocol.turns import Ending, Progress, Stage
from proctor.nouns.conversations import Finish
from proctor.store.conversations import turns
from proctor.store.conversations.turns import Outcome, TurnClaim
from workers.conversation.prompts import PromptBuilder
from workers.conversation.reply import ActiveReply
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams, ReplyWriter, SendResult
from workers.engines.base import Engine, Skill, require
from workers.engines.generation import GenerationRequest, Generator


@dataclass(frozen=True)
class ChatModel:
    """What converses with one loaded model."""

    engine: Engine
    generator: Generator
    prompts: PromptBuilder


@dataclass(frozen=True)
class OpenedReply:
    """A claimed reply whose stream this attempt has begun."""

    claim: TurnClaim
    writer: ReplyWriter
    result: SendResult  # of the first entry: the reply may be stopped, or another worker's, before it begins
    emitted: tuple[int, ...]  # tokens of earlier attempts, as clients or the store know them, whoever knows more


class ReplyBeginner:
    """From a claim to a reply under way."""

    def __init__(self, context: ServerContext, streams: ReplyStreams) -> None:
        self._context, self._streams = context, streams

    def open(self, claim: TurnClaim, stage: Stage) -> OpenedReply:
        """Begin this attempt's part of the stream. The model need not be loaded yet."""
        progress = Progress(stage, claim.attempt, str(claim.lane), worker=self._context.me.name)
        result, emitted = self._streams.open(claim.turn_id, claim.attempt, progress)
        writer = ReplyWriter(claim.turn_id, claim.attempt)
        return OpenedReply(claim, writer, result, max(emitted, claim.token_ids, key=len))

    def show(self, model: ChatModel, opened: OpenedReply, load_s: float) -> ActiveReply:
        """Build the prompt, and note in the store what the model is shown.

        Raises
        ------
        TurnLost
            where another worker has the reply by now.
        ContextTooLong, BadInput, BadModel
            as of `PromptBuilder.show`.
        """
        began, claim = time.monotonic() - load_s, opened.claim
        prompt = model.prompts.show(claim)
        said = prompt.text if prompt.in_tokens else None
        turns.begin(self._context.store, claim, prompt.facts, str(model.engine.provenance.dtype), said=said)
        detokenizer = model.engine.detokenizer(claim.sampling.stop, prompt.behind)
        vocabulary = model.prompts.vocabulary
        own_ids = model.engine.tokenizer.own_ids
        return ActiveReply(
            claim, opened.writer, detokenizer, prompt, 0, began, vocabulary, load_s=load_s, own_ids=own_ids
        )

    def join(self, model: ChatModel, live: ActiveReply, opened: OpenedReply) -> bool:
        """Have the reply go on behind what was emitted of it; False where the KV cache has no room for it.

        One that was stopped, or that is complete, has a `finish` and does not join the batch.
        """
        claim, emitted, limit = live.claim, opened.emitted, _limit(live)
        live.writer.say(emitted, live.detokenizer.push(emitted))
        if opened.result.stopped:
            live.finish = Finish.STOPPED
        elif live.detokenizer.stopped:
            live.finish = Finish.STOP
        elif model.engine.tokenizer.size(emitted) >= limit:
            live.finish = Finish.LENGTH
        else:
            echo = claim.echo and claim.sampling.rivals is not None
            request = GenerationRequest(claim.turn_id, live.shown.ids, claim.sampling, limit, emitted, echo)
            if not model.generator.fits(request):
                return False
            live.cached = model.generator.add(request)
        me, facts = self._context.me.name, live.shown.facts
        reading = Progress(Stage.READING, claim.attempt, str(claim.lane), worker=me, context=facts)
        self._streams.send([live.writer.progress(reading)])
        return True

    def probe(self, model: ChatModel, live: ActiveReply) -> None:
        """Answer a probe at once: the log-probabilities of its options behind the prompt.

        Raises
        ------
        TurnLost
            where another worker has the reply by now.
        CantBeAsked
            where the engine can't score.
        """
        require(model.engine, Skill.SCORE)
        options = [model.prompts.renderer.text_ids(option) for option in live.claim.options]
        scores = model.engine.score_options(live.shown.ids, options)
        live.first_at = live.last_at = time.monotonic()
        counts, me = live.counts(0), self._context.me.name
        turns.finish(self._context.store, live.claim, Outcome(Finish.STOP, "", (), counts, options_logprob=scores))
        ending = Ending(Finish.STOP, counts, context=live.shown.facts, options_logprob=scores, worker=me)
        self._streams.send(live.writer.end(ending))


def _limit(live: ActiveReply) -> int:
    """Tokens that the reply may have, at least one."""
    left = live.shown.window - len(live.shown.ids)
    return max(1, min(live.claim.sampling.max_tokens or left, left))
