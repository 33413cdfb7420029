"""Scoring: the values that pass between a Run and an engine, and what a way to score promises inside one.

There are several ways to compute the same log-probabilities (loglikelihood, in lm-evaluation-harness's word).
`workers.engines.hf.scoring.plain` is the slow and obvious one, and every other is tested against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from proctor.nouns.exams import Pack, Prompt
from proctor.nouns.runs import Cost


@dataclass(frozen=True)
class Continuation:
    """One option as tokens, and the whole line they are read in. `scored` are the last tokens of `line`."""

    line: tuple[int, ...]  # prompt and option, special tokens included
    scored: int  # how many of them, from the end, belong to the option; at least 1


@dataclass(frozen=True)
class EncodedPrompt:
    """One Prompt as token ids: a line an option, or a window of a page.

    Options of one token share all of their line but its last token.
    """

    prompt: Prompt
    options: tuple[Continuation, ...]

    @property
    def length(self) -> int:
        """Tokens of the longest line: what the model's window must hold."""
        return max(len(option.line) for option in self.options)


@dataclass(frozen=True)
class Prepared:
    """A Run's prompts, ready to be packed: `lengths[i]` is what prompt i adds to a pack, in tokens.

    `padded` says whether a pack computes its members as long as the longest of them. An engine keeps in a kind of its
    own what else it needs, such as the keys and values of the prefix.
    """

    prompts: tuple[Prompt, ...]
    lengths: tuple[int, ...]
    tokenizing: Cost
    padded: bool = True
    prefix_tokens: int = 0  # that all prompts begin with, computed once (prefix caching)
    prefilling: Cost = field(default_factory=Cost)


@dataclass(frozen=True)
class PackScores:
    """A pack's result. `options_logprob[i][j]`: natural logarithm for option j of the pack's member i, in its order.

    A page has one, the sum over its windows.
    """

    options_logprob: tuple[tuple[float, ...], ...]
    tokens_computed: int  # positions that went through the model, padding not counted
    tokens_saved: int  # positions that full prompts would have needed on top of that
    cost: Cost
    greedy: tuple[tuple[bool, ...], ...] = ()  # whether all tokens of an option are the likeliest; empty: not known
    tokens_written: int = 0  # of those computed, what a server generated and had to be paid for


class Scorer(Protocol):
    """One way through one loaded model, inside its engine. It keeps nothing between Runs."""

    @property
    def name(self) -> str:
        """The attention path, as `Provenance.attention` records it: "plain", or the name of a faster one."""
        ...

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        """As `workers.engines.base.Engine.prepare`."""
        ...

    def score(self, prepared: Prepared, pack: Pack) -> PackScores:
        """As `workers.engines.base.Engine.answer`, in float32 from the logits on.

        The same prompts in the same pack give the same bits on the same machine.
        """
        ...
