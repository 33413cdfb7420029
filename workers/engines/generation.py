"""Generation: what a way to make replies promises, token by token, for conversations.

The engine `hf` has two. `hf.generation.plain` is the slow and obvious way, one conversation after the other, and serves
every causal model; `hf.generation.continuous` is continuous batching with chunked prefill. `hf.generation.choose`
chooses between them. tests/unit/workers/engines/hf/generation/test_continuous.py holds the promises for both:

- greedy tokens are those of transformers' own `generate`, and in float32 the same alone and in company;
- with a seed a reply is the same again, and is gone on with after any token as if it had not been interrupted:
  the choice at a place depends on seed and place only (and on the numbers of the model);
- what an earlier request computed is kept, and used as far as a new prompt begins with the same tokens, but for its
  last piece: that is computed anew, in a pass of its own, so that the first time and each later one multiply matrices
  of the same shapes. In float32 a reply is therefore the same whatever was kept. In other types it is for a request
  that is made again alone; company, or another part of it kept, rounds in another place;
- the log-probabilities of a prompt that is echoed are those of one pass over all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from proctor.errors import CantBeAsked
from proctor.nouns.conversations import Finish, Sampling


@dataclass(frozen=True)
class GenerationRequest:
    """A reply to be made."""

    id: str
    prompt: tuple[int, ...]  # at least one token
    sampling: Sampling  # its seed is set, unless it is greedy; stop strings are `detokenizer`'s affair
    limit: int  # tokens of the reply, at least one; prompt and limit together fit into the window
    emitted: tuple[int, ...] = ()  # of the reply, what there is already: fewer than `limit`
    echo: bool = False  # the prompt's own log-probabilities are wanted, with as many rivals as the reply's


@dataclass(frozen=True)
class TokenLogprob:
    """A token and its natural log-probability."""

    token: int
    logprob: float


@dataclass(frozen=True)
class PromptLogprob:
    """A token of a prompt: its natural log-probability behind those before it, and the likeliest at its place."""

    token: int
    logprob: float
    rivals: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What a server counted, in tokens: `cached` are those of `read` that it didn't compute again."""

    read: int = 0
    cached: int = 0
    written: int = 0

    @property
    def computed(self) -> int:
        """Tokens that went through the model."""
        return self.read - self.cached + self.written

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.read + other.read, self.cached + other.cached, self.written + other.written)


@dataclass(frozen=True)
class NextToken:
    """The next token of a reply. With `Finish.STOP` it is an end token, which is no part of the reply."""

    id: str
    token: int
    logprob: float | None = None  # where it was asked for: the model's own, before temperature and penalty
    rivals: tuple[TokenLogprob, ...] = ()
    finish: Finish | None = None  # STOP or LENGTH: the reply has ended; None: it goes on
    prompt: tuple[PromptLogprob, ...] = ()  # of the first token of an echo: the prompt's tokens from the second on
    further: tuple[int, ...] = ()  # tokens that came with it, behind it: a server sends its replies in pieces
    usage: Usage | None = None  # of a server's last token: what it counted of the whole reply

    @property
    def tokens(self) -> tuple[int, ...]:
        """What the reply gets."""
        return () if self.finish is Finish.STOP else (self.token, *self.further)


class ReplyRefused(CantBeAsked):
    """One reply that can't be made; the others under way can. It is under way no more."""

    def __init__(self, request_id: str, model: str, cause: str, next_step: str = "") -> None:
        self.request_id = request_id
        super().__init__(model, cause, next_step)


PIECE = 32  # tokens


def last_piece(tokens: int) -> int:
    """Where the last piece of so many tokens begins: at a multiple of `PIECE`, with one token to come at least."""
    return (tokens - 1) // PIECE * PIECE


class Generator(Protocol):
    """Replies under way."""

    @property
    def live(self) -> int:
        """Replies under way."""

    def fits(self, request: GenerationRequest) -> bool:
        """Whether there is memory for this reply beside those under way. What is kept makes room for it."""

    def add(self, request: GenerationRequest) -> int:
        """Begin a reply; it is computed by `step`. How many tokens of its prompt need not be computed again."""

    def cancel(self, request_id: str) -> None:
        """End a reply that has gone far enough. What was computed is kept; one that isn't under way is no error."""

    def step(self) -> list[NextToken]:
        """Compute, and give the next token of some replies; of all whose prompt has been read.

        Raises
        ------
        OutOfMemory
            where the device has none left. All replies under way are gone then, and what was kept.
        BadScores
            where the model gives numbers that are no logits.
        ReplyRefused
            where one reply can't be made.
        """

    def let_go(self) -> bool:
        """Give back the memory of what is kept of replies that have ended. Whether there was any."""

    def forget(self) -> None:
        """End all replies, and give the memory of what is kept back."""


def common_beginning(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(first, second, strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
