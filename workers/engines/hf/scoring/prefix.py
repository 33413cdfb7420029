"""Prefix caching: what a Run's prompts share is computed once, and what is new stands in one row, unpadded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from proctor.nouns.exams import Pack, Prompt
from workers.engines.devices import TorchDevice
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.cascade import NAME
from workers.engines.hf.scoring.layout import CascadeLayout, Prefix, Segment
from workers.engines.hf.scoring.packing import common_length, length_of, row_of, stem
from workers.engines.hf.scoring.plain import HfPrepared, Sums, check, members_of, own
from workers.engines.hf.tokens import HfTokenizer
from workers.engines.measure import Meter
from workers.engines.scoring import EncodedPrompt, PackScores, Prepared


class PrefixScorer:
    """The `Scorer` for models that `scoring.choose` finds fit for it; its numbers are the plain scorer's.

    `prepare` computes the prefix, whose keys and values live as long as what it returns. A pack's bits depend on
    the Run's prompts, which determine the prefix, and on the pack's members; on no other pack.
    """

    name = NAME

    def __init__(self, model: CausalModel, tokenizer: HfTokenizer, device: TorchDevice) -> None:
        self.model, self.tokenizer, self.device = model, tokenizer, device

    def prepare(self, prompts: Sequence[Prompt]) -> HfPrepared:
        with Meter(self.device) as tokenizing:
            encoded = self.tokenizer.encode(prompts)
        with Meter(self.device) as prefilling, self.device.reporting_shortage(self.tokenizer.model):
            shared = common_length(encoded) if encoded else 0
            lengths = tuple(length_of(prompt, shared) for prompt in encoded)
            prefix = prefill(self.model, stem(encoded[0])[:shared]) if encoded else Prefix(0)
        return HfPrepared(
            tuple(prompts),
            lengths,
            tokenizing.cost,
            padded=False,
            prefix_tokens=prefix.length,
            prefilling=prefilling.cost,
            encoded=encoded,
            prefix=prefix,
        )

    def score(self, prepared: Prepared, pack: Pack) -> PackScores:
        members = members_of(prepared, pack)
        with Meter(self.device) as meter, self.device.reporting_shortage(self.tokenizer.model):
            scores, greedy = score_row(self.model, members, own(prepared).prefix)
        check(scores, members, self.tokenizer.model)
        computed = sum(prepared.lengths[index] for index in pack.members)
        saved = sum(full_length(member) for member in members) - computed
        return PackScores(scores, computed, saved, meter.cost, greedy)


def prefill(model: CausalModel, tokens: Sequence[int]) -> Prefix:
    """Keys and values of every layer for what prompts begin with."""
    prefix = Prefix(len(tokens))
    if tokens:
        row = torch.tensor(tokens)
        cascade = CascadeLayout([Segment(len(tokens))], prefix, model.model.device, recording=True)
        model.row_logits(row, torch.arange(len(row)), torch.tensor([len(row) - 1]), cascade)
    return prefix


def score_row(
    model: CausalModel, members: Sequence[EncodedPrompt], prefix: Prefix
) -> tuple[tuple[tuple[float, ...], ...], tuple[tuple[bool, ...], ...]]:
    """Log-probabilities of each member's options, behind the prefix that all begin with; and whether each is greedy."""
    row = row_of(members, prefix.length)
    cascade = CascadeLayout(row.segments, prefix, model.model.device)
    logits = model.row_logits(
        torch.tensor(row.tokens), torch.tensor(row.positions), torch.tensor(row.reads), cascade
    )  # (K, V)
    read, token = torch.tensor([(w.read, w.token) for w in row.wanted], device=logits.device).T
    logprobs = logits.float().log_softmax(-1)
    found = Sums(members)
    likeliest = (logprobs.argmax(-1)[read] == token).tolist() if found.asks_for_greedy else ()
    values: list[float] = logprobs[read, token].tolist()
    for want, value in zip(row.wanted, values, strict=True):
        found.add(want.member, want.option, value)
    for want, is_likeliest in zip(row.wanted, likeliest, strict=False):
        found.note_likeliest(want.member, want.option, likeliest=is_likeliest)
    return found.scores, found.greedy


def full_length(prompt: EncodedPrompt) -> int:
    """Tokens that the plain way computes for this prompt: a line an option, those of one token together."""
    own = len(stem(prompt))
    longer = {option.line[:-1] for option in prompt.options if option.scored > 1}
    return sum(len(line) for line in longer) + (own if any(option.scored == 1 for option in prompt.options) else 0)
