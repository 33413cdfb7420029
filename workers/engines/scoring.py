"""What a scorer promises: the log-probability of every option of every question, a pack at a time.

There are several ways to compute the same numbers. `workers.engines.hf.scoring.plain` is the slow and obvious one, and
every other is tested against it. A scorer belongs to one loaded model; it keeps nothing between Runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from proctor.nouns.exams import Pack, Prompt
from proctor.nouns.runs import Cost
from workers.engines.hf.scoring.layout import Prefix


@dataclass(frozen=True)
class Continuation:
    """One option as tokens, and the whole line they are read in. `scored` are the last tokens of `line`."""

    line: tuple[int, ...]  # prompt and option, special tokens included
    scored: int  # how many of them, from the end, belong to the option; at least 1


@dataclass(frozen=True)
class EncodedPrompt:
    """One Prompt as token ids: a line an option. Options of one token share all of their line but its last token."""

    prompt: Prompt
    options: tuple[Continuation, ...]

    @property
    def length(self) -> int:
        """Tokens of the longest line: what the model's window must hold."""
        return max(len(option.line) for option in self.options)


@dataclass(frozen=True)
class Prepared:
    """A Run's prompts, ready to be packed: `lengths[i]` is what prompt i adds to a pack, in tokens.

    `padded` says whether a pack computes its members as long as the longest of them; `prefix` is what all of them
    begin with, already computed (nothing, for a scorer that shares nothing).
    """

    prompts: tuple[EncodedPrompt, ...]
    lengths: tuple[int, ...]
    tokenizing: Cost
    padded: bool = True
    prefix: Prefix = field(default_factory=lambda: Prefix(0))
    prefilling: Cost = field(default_factory=Cost)


@dataclass(frozen=True)
class PackScores:
    """A pack's result. `options_logprob[i][j]`: natural logarithm for option j of the pack's member i, in its order."""

    options_logprob: tuple[tuple[float, ...], ...]
    tokens_computed: int  # positions that went through the model, padding not counted
    tokens_saved: int  # positions that full prompts would have needed on top of that
    cost: Cost


class Scorer(Protocol):
    """One way through one loaded model."""

    @property
    def name(self) -> str:
        """The attention path, as `Provenance.attention` records it: "plain", or the name of a faster one."""
        ...

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        """Tokenize a Run's prompts and find what they share.

        Raises
        ------
        CantBeAsked
            where a prompt is longer than the model's window, or an option adds no token to it.
        """
        ...

    def score(self, prepared: Prepared, pack: Pack) -> PackScores:
        """Log-probabilities of a pack's options, in float32 from the logits on.

        The same prompts in the same pack give the same bits on the same machine.

        Raises
        ------
        BadScores
            where the model gives a number that is no log-probability; names the model and the question.
        OutOfMemory
            where the pack is too large for the device; nothing is lost but the time.
        """
        ...
