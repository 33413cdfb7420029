"""One reply under way in a worker: its tokens, its text, its stream, its times."""

from __future__ import annotations

import time
from dataclasses import dataclass

from chat.protocol import Rival, TokenScore
from proctor.dialogue import Counts, Finish
from proctor.store.turns import Kept, Outcome, TurnClaim
from workers.engine.generate import Token
from workers.engine.speech import Speech
from workers.prompter import Shown
from workers.replies import Note, Voice


@dataclass
class Live:
    """A reply under way: what was claimed, what was shown, what came of it so far."""

    claim: TurnClaim
    voice: Voice
    speech: Speech
    shown: Shown
    cached: int
    began: float
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

    def take(self, token: Token) -> Note:
        """Add the next token; the note that tells of it. An end token ends the reply and isn't said."""
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        if token.finish is not Finish.STOP:
            rivals = tuple(Rival(rank.token, self.speech.spell(rank.token), rank.logprob) for rank in token.rivals)
            shown = self.speech.push([token.token])
            self.voice.say([token.token], shown, _scores(token, self.speech.added, rivals))
        self.finish = Finish.STOP if self.speech.stopped else token.finish
        return self.voice.piece()

    def end(self, finish: Finish) -> Outcome:
        """Say what was held back; what is kept of the reply."""
        self.voice.say([], self.speech.end())
        tokens = tuple(self.speech.tokens[: self.speech.whole_tokens])
        logprobs = tuple(score.logprob for score in self.voice.scores)[: len(tokens)]
        counts = self.counts(len(self.speech.tokens))
        return Outcome(finish, self.speech.text, tokens, counts, logprobs if len(logprobs) == len(tokens) else ())


def _scores(token: Token, text: str, rivals: tuple[Rival, ...]) -> list[TokenScore]:
    """The token's log-probability and its rivals', where they were asked for."""
    return [] if token.logprob is None else [TokenScore(token.token, text, token.logprob, rivals)]
