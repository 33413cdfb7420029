"""Log-probabilities by full prompts, padded: the slow and obvious way, which every faster way is tested against.

Shapes: B lines of a batch, T tokens of its longest line, K positions whose logits are asked for, V the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from proctor.errors import BadScores
from proctor.nouns.exams import Choose, Pack, Prompt
from workers.engines.devices import TorchDevice
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.layout import Prefix
from workers.engines.hf.tokens import HfTokenizer
from workers.engines.measure import Meter
from workers.engines.scoring import EncodedPrompt, PackScores, Prepared


@dataclass(frozen=True, kw_only=True)
class HfPrepared(Prepared):
    """`Prepared` with what this engine reads: token ids, and keys and values of the prefix where one is shared."""

    encoded: tuple[EncodedPrompt, ...]
    prefix: Prefix = field(default_factory=lambda: Prefix(0))


@dataclass(frozen=True)
class Target:
    """One token whose probability is wanted: `token` at the position after `position` of a line."""

    member: int
    option: int
    position: int
    token: int


@dataclass(frozen=True)
class PaddedLine:
    """Token ids that go through the model once, and all that is read off them."""

    tokens: tuple[int, ...]
    targets: tuple[Target, ...]


class PlainScorer:
    """The `Scorer` that computes every prompt in full, several at a time.

    Lines are padded on the right and attention is causal, so no line sees padding, and no mask is needed. Options of
    one token share a line. Only the logits of the positions that are read are computed, and the log-softmax is taken
    in float32.
    """

    name = "plain"

    def __init__(self, model: CausalModel, tokenizer: HfTokenizer, device: TorchDevice) -> None:
        self.model, self.tokenizer, self.device = model, tokenizer, device

    def prepare(self, prompts: Sequence[Prompt]) -> HfPrepared:
        with Meter(self.device) as meter:
            encoded = self.tokenizer.encode(prompts)
            lengths = tuple(sum(len(line.tokens) for line in lines_of([one])) for one in encoded)
        return HfPrepared(tuple(prompts), lengths, meter.cost, encoded=encoded)

    def score(self, prepared: Prepared, pack: Pack) -> PackScores:
        members = members_of(prepared, pack)
        lines = lines_of(members)
        found = Sums(members)
        with Meter(self.device) as meter, self.device.reporting_shortage(self.tokenizer.model):
            values, likeliest = self._log_probabilities(lines, with_greedy=found.asks_for_greedy)
            targets = [target for line in lines for target in line.targets]
            for target, value in zip(targets, values, strict=True):
                found.add(target.member, target.option, value)
            for target, is_likeliest in zip(targets, likeliest, strict=False):
                found.note_likeliest(target.member, target.option, likeliest=is_likeliest)
        check(found.scores, members, self.tokenizer.model)
        return PackScores(found.scores, sum(len(line.tokens) for line in lines), 0, meter.cost, found.greedy)

    def _log_probabilities(self, lines: Sequence[PaddedLine], *, with_greedy: bool) -> tuple[list[float], list[bool]]:
        """One number a target, line by line; and whether each target is the likeliest token, where that is asked."""
        length = max(len(line.tokens) for line in lines)
        rows = [line.tokens + (self.model.padding,) * (length - len(line.tokens)) for line in lines]
        positions = sorted({target.position for line in lines for target in line.targets})
        logits = self.model.logits(torch.tensor(rows), torch.tensor(positions))  # (B, K, V)
        column = {position: k for k, position in enumerate(positions)}
        wanted = [(b, column[t.position], t.token) for b, line in enumerate(lines) for t in line.targets]
        b, k, token = torch.tensor(wanted, device=logits.device).T
        chosen, which = torch.unique(torch.stack([b, k]), dim=1, return_inverse=True)
        logprobs = logits[chosen[0], chosen[1]].float().log_softmax(-1)  # (positions that are read, V)
        values: list[float] = logprobs[which, token].tolist()
        likeliest: list[bool] = (logprobs.argmax(-1)[which] == token).tolist() if with_greedy else []
        return values, likeliest


class Sums:
    """What is summed up of a pack, option by option: log-probabilities, and whether all tokens were the likeliest."""

    def __init__(self, members: Sequence[EncodedPrompt]) -> None:
        self.asks_for_greedy = any(isinstance(one.prompt.ask, Choose) and one.prompt.ask.greedy for one in members)
        self._sums = [[0.0] * len(member.options) for member in members]
        self._greedy = [[True] * len(member.options) for member in members]

    def add(self, member: int, option: int, logprob: float) -> None:
        """Add a token's log-probability to its option's."""
        self._sums[member][option] += logprob

    def note_likeliest(self, member: int, option: int, *, likeliest: bool) -> None:
        """Take in whether one of an option's tokens is the likeliest at its place."""
        self._greedy[member][option] &= likeliest

    @property
    def scores(self) -> tuple[tuple[float, ...], ...]:
        """The log-probability of each member's options."""
        return tuple(tuple(row) for row in self._sums)

    @property
    def greedy(self) -> tuple[tuple[bool, ...], ...]:
        """Whether each member's options are greedy; empty where nobody asked."""
        return tuple(tuple(row) for row in self._greedy) if self.asks_for_greedy else ()


def members_of(prepared: Prepared, pack: Pack) -> list[EncodedPrompt]:
    """The prompts of a pack as token ids."""
    return [own(prepared).encoded[index] for index in pack.members]


def own(prepared: Prepared) -> HfPrepared:
    """What a scorer of this engine has prepared. Raises `TypeError` where another engine has."""
    if not isinstance(prepared, HfPrepared):
        raise TypeError(f"{type(prepared).__name__} was prepared by another engine")
    return prepared


def lines_of(members: Sequence[EncodedPrompt]) -> tuple[PaddedLine, ...]:
    """The lines that score these prompts: each is an option less its last token, equal ones once."""
    found: dict[tuple[int, tuple[int, ...]], list[Target]] = {}
    for m, member in enumerate(members):
        for o, option in enumerate(member.options):
            tokens = option.line[:-1]
            first = len(option.line) - option.scored
            scored = enumerate(option.line[first:], start=first - 1)
            found.setdefault((m, tokens), []).extend(Target(m, o, position, token) for position, token in scored)
    return tuple(PaddedLine(tokens, tuple(targets)) for (_, tokens), targets in found.items())


def check(scores: Sequence[Sequence[float]], members: Sequence[EncodedPrompt], model: str) -> None:
    """Raise `BadScores`, with the model and the question, where a number is no log-probability."""
    for member, row in zip(members, scores, strict=True):
        if any(math.isnan(value) or value == math.inf for value in row):
            raise BadScores(
                f"Model {model!r} gives question {member.prompt.question.index} the scores {list(row)}, "
                "which are no log-probabilities.",
                "It computes NaN or infinity: try --dtype float32, or another quantization.",
            )
