"""One reply under way in a worker: its tokens, its text, its stream, its times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chat.protocol.turns import Place, Rival, TokenScore
from proctor.nouns.conversations import Counts, Finish
from proctor.store.conversations.turns import Kept, Outcome, TurnClaim
from workers.conversation.prompts import Shown
from workers.conversation.streams import Note, Voice
from workers.engines.generation import Rank, Scored, Token
from workers.engines.hf.generation.detokenizer import Speech
from workers.engines.hf.vocabulary import Vocabulary


@dataclass
class Live:
    """A reply under way: what was claimed, what was shown, what came of it so far."""

    claim: TurnClaim
    voice: Voice
    speech: Speech
    shown: Shown
    cached: int
    began: float
    vocabulary: Vocabulary
    first_at: float = 0.0
    last_at: float = 0.0
    load_s: float = 0.0
    finish: Finish | None = None

    @property
    def kept(self) -> Kept:
        return Kept(self.claim, tuple(self.speech.tokens), self.speech.text)

    def counts(self, tokens: int) -> Counts:
        return Counts(
            tokens_in=len(self.shown.ids),
            tokens_cached=self.cached,
            tokens_out=tokens,
            wait_s=self.claim.wait_s,
            load_s=self.load_s,
            first_token_s=max(0.0, self.first_at - self.began),
            generate_s=self.last_at - self.first_at,
        )

    def take(self, token: Token) -> list[Note]:
        """Add the next token; the notes that tell of it. An end token ends the reply and isn't said.

        Of an echo the prompt is told first, and the end token is told beside the reply.
        """
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        if self.claim.echo and not self.voice.asides:
            self.voice.put(Place.PROMPT, self.shown.text, self._prompt(token.prompt))
        rivals = self._rivals(token.rivals, self.speech.spell)
        if token.finish is not Finish.STOP:
            shown = self.speech.push([token.token])
            self.voice.say([token.token], shown, self._scores(token, self.speech.added, rivals))
        elif self.claim.echo:
            self.voice.put(Place.END, "", self._scores(token, "", rivals))
        self.finish = Finish.STOP if self.speech.stopped else token.finish
        return self.voice.notes()

    def end(self, finish: Finish) -> Outcome:
        """Say what was held back; what is kept of the reply."""
        self.voice.say([], self.speech.end())
        tokens = tuple(self.speech.tokens[: self.speech.whole_tokens])
        logprobs = tuple(score.logprob for score in self.voice.scores)[: len(tokens)]
        counts = self.counts(len(self.speech.tokens))
        return Outcome(finish, self.speech.text, tokens, counts, logprobs if len(logprobs) == len(tokens) else ())

    def _scores(self, token: Token, text: str, rivals: tuple[Rival, ...]) -> list[TokenScore]:
        """The token's log-probability and its rivals', where they were asked for."""
        if token.logprob is None:
            return []
        return [TokenScore(token.token, text, token.logprob, rivals, self.vocabulary.part(token.token, text))]

    def _rivals(self, ranks: Sequence[Rank], spell: Callable[[int], str]) -> tuple[Rival, ...]:
        spelled = [(rank, spell(rank.token)) for rank in ranks]
        part = self.vocabulary.part
        return tuple(Rival(rank.token, text, rank.logprob, part(rank.token, text)) for rank, text in spelled)

    def _prompt(self, scored: Sequence[Scored]) -> list[TokenScore]:
        """The prompt's tokens with their log-probabilities, where those were asked for."""
        if self.claim.sampling.rivals is None:
            return []
        part, name = self.vocabulary.part, self.vocabulary.text
        every = (Scored(self.shown.ids[0], 0.0), *scored)
        return [
            TokenScore(each.token, text, each.logprob, self._rivals(each.rivals, name), part(each.token, text))
            for each, text in zip(every, self.vocabulary.texts(self.shown.ids), strict=True)
        ]
