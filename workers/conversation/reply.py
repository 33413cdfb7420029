"""One reply under way in a worker: its tokens, its text, its stream, its times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chat.protocol.turns import AsidePlace, TokenScore, TopLogprob
from proctor.nouns.conversations import Counts, Finish
from proctor.store.conversations.turns import Kept, Outcome, TurnClaim
from workers.conversation.prompts import BuiltPrompt
from workers.conversation.streams import OutgoingEntry, ReplyWriter
from workers.conversation.vocabulary import Vocabulary
from workers.engines.detokenizer import Detokenizer
from workers.engines.generation import NextToken, PromptLogprob, TokenLogprob, Usage


@dataclass
class ActiveReply:
    """A reply under way: what was claimed, what was shown, what came of it so far."""

    claim: TurnClaim
    writer: ReplyWriter
    detokenizer: Detokenizer
    shown: BuiltPrompt
    cached: int
    began: float
    vocabulary: Vocabulary
    first_at: float = 0.0
    last_at: float = 0.0
    load_s: float = 0.0
    finish: Finish | None = None
    own_ids: bool = True  # whether its tokens are the model's: else they are kept until it ends, to go on behind them
    usage: Usage | None = None  # what a server counted

    @property
    def kept(self) -> Kept:
        return Kept(self.claim, tuple(self.detokenizer.tokens), self.detokenizer.text)

    def counts(self, tokens: int) -> Counts:
        usage = self.usage or Usage(len(self.shown.ids), self.cached, tokens)
        return Counts(
            tokens_in=usage.read,
            tokens_cached=usage.cached,
            tokens_out=usage.written,
            wait_s=self.claim.wait_s,
            load_s=self.load_s,
            first_token_s=max(0.0, self.first_at - self.began),
            generate_s=self.last_at - self.first_at,
        )

    def take(self, token: NextToken) -> list[OutgoingEntry]:
        """Add the next token; the notes that tell of it. An end token ends the reply and isn't said.

        Of an echo the prompt is told first, and the end token is told beside the reply.
        """
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self.usage = token.usage or self.usage
        if self.claim.echo and not self.writer.asides:
            self.writer.put(AsidePlace.PROMPT, self.shown.text, self._prompt(token.prompt))
        rivals = self._rivals(token.rivals, self.detokenizer.spell)
        if token.finish is not Finish.STOP:
            shown = self.detokenizer.push(token.tokens)
            self.writer.say(token.tokens, shown, self._scores(token, self.detokenizer.added, rivals))
        elif self.claim.echo:
            self.writer.put(AsidePlace.END, "", self._scores(token, "", rivals))
        self.finish = Finish.STOP if self.detokenizer.stopped else token.finish
        return self.writer.notes()

    def end(self, finish: Finish) -> Outcome:
        """Say what was held back; what is kept of the reply."""
        self.writer.say([], self.detokenizer.end())
        tokens = tuple(self.detokenizer.tokens[: self.detokenizer.whole_tokens]) if self.own_ids else ()
        logprobs = tuple(score.logprob for score in self.writer.scores)[: len(tokens)]
        counts = self.counts(len(self.detokenizer.tokens))
        return Outcome(finish, self.detokenizer.text, tokens, counts, logprobs if len(logprobs) == len(tokens) else ())

    def _scores(self, token: NextToken, text: str, rivals: tuple[TopLogprob, ...]) -> list[TokenScore]:
        """The token's log-probability and its rivals', where they were asked for."""
        if token.logprob is None:
            return []
        return [TokenScore(token.token, text, token.logprob, rivals, self.vocabulary.part(token.token, text))]

    def _rivals(self, ranks: Sequence[TokenLogprob], spell: Callable[[int], str]) -> tuple[TopLogprob, ...]:
        spelled = [(rank, spell(rank.token)) for rank in ranks]
        part = self.vocabulary.part
        return tuple(TopLogprob(rank.token, text, rank.logprob, part(rank.token, text)) for rank, text in spelled)

    def _prompt(self, scored: Sequence[PromptLogprob]) -> list[TokenScore]:
        """The prompt's tokens with their log-probabilities, where those were asked for."""
        if self.claim.sampling.rivals is None:
            return []
        part, name = self.vocabulary.part, self.vocabulary.text
        every = (PromptLogprob(self.shown.ids[0], 0.0), *scored)
        return [
            TokenScore(each.token, text, each.logprob, self._rivals(each.rivals, name), part(each.token, text))
            for each, text in zip(every, self.vocabulary.texts(self.shown.ids), strict=True)
        ]
