"""Full prompts, padded: the slow and obvious way to score, which every faster way is tested against.

Shapes: B lines of a batch, T tokens of its longest line, K positions whose logits are asked for, V the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from proctor.errors import BadScores
from proctor.nouns.exams import Pack, Prompt
from workers.engines.devices import TorchDevice
from workers.engines.hf.model import CausalModel
from workers.engines.hf.tokens import Tokenizer
from workers.engines.measure import Meter
from workers.engines.scoring import EncodedPrompt, PackScores, Prepared


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

    def __init__(self, model: CausalModel, reader: Tokenizer, device: TorchDevice) -> None:
        self.model, self.reader, self.device = model, reader, device

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        with Meter(self.device) as meter:
            encoded = self.reader.encode(prompts)
            lengths = tuple(sum(len(line.tokens) for line in lines_of([one])) for one in encoded)
        return Prepared(encoded, lengths, meter.cost)

    def score(self, prepared: Prepared, pack: Pack) -> PackScores:
        members = [prepared.prompts[index] for index in pack.members]
        lines = lines_of(members)
        sums = [[0.0] * len(member.options) for member in members]
        with Meter(self.device) as meter, self.device.reporting_shortage(self.reader.model):
            found = self._log_probabilities(lines)
            targets = (target for line in lines for target in line.targets)
            for target, value in zip(targets, found, strict=True):
                sums[target.member][target.option] += value
        scores = tuple(tuple(row) for row in sums)
        check(scores, members, self.reader.model)
        return PackScores(scores, sum(len(line.tokens) for line in lines), 0, meter.cost)

    def _log_probabilities(self, lines: Sequence[PaddedLine]) -> list[float]:
        """One number a target, line by line."""
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
        return values


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
