"""Rolling log-likelihood: every token of a page is scored, window by window. Shapes: K positions, V the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch

from proctor.exams.packs import compose
from proctor.nouns.exams import Pack, Prompt
from workers.engines.devices import TorchDevice
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.layout import CascadeLayout, Prefix, Segment
from workers.engines.hf.scoring.plain import HfPrepared, check, members_of
from workers.engines.hf.tokens import HfTokenizer
from workers.engines.measure import Meter
from workers.engines.scoring import Continuation, PackScores, Prepared
from workers.engines.windows import parts_of

LOGITS = 1 << 29  # numbers that are computed at a time, 2 GiB: a window with more is read again for each part of them
_READ_OFF = 512  # positions whose log-softmax is taken at a time


class Roller:
    """The `Scorer` of papers whose asks are `Roll`: a number a page, the sum over its windows.

    Windows of a pack stand in rows of at most the model's window, `packed`, or go through the model each alone and by
    its own attention, where it can't take that. Their bits depend on the pack's members alone.
    """

    def __init__(self, model: CausalModel, tokenizer: HfTokenizer, device: TorchDevice, *, packed: bool) -> None:
        self.model, self.tokenizer, self.device, self.packed = model, tokenizer, device, packed

    @property
    def name(self) -> str:
        return "rolling"

    def prepare(self, prompts: Sequence[Prompt]) -> HfPrepared:
        with Meter(self.device) as meter:
            encoded = self.tokenizer.encode_pages(prompts)
            lengths = tuple(sum(len(window.line) - 1 for window in page.options) for page in encoded)
        return HfPrepared(tuple(prompts), lengths, meter.cost, padded=False, encoded=encoded)

    def score(self, prepared: Prepared, pack: Pack) -> PackScores:
        members = members_of(prepared, pack)
        most = max(1, LOGITS // self.tokenizer.vocabulary_size)
        parts = [
            (member, part)
            for member, page in enumerate(members)
            for window in page.options
            for part in parts_of(window, most)
        ]
        found: list[list[float]] = [[] for _ in members]  # of each page, its tokens' log-probabilities
        with Meter(self.device) as meter, self.device.reporting_shortage(self.tokenizer.model):
            for row in self._rows([part for _, part in parts], most):
                values = iter(self._read([parts[number][1] for number in row]))
                for number in row:
                    member, part = parts[number]
                    found[member] += (next(values) for _ in range(part.scored))
        scores = tuple((math.fsum(tokens),) for tokens in found)
        check(scores, members, self.tokenizer.model)
        return PackScores(scores, sum(len(part.line) - 1 for _, part in parts), 0, meter.cost)

    def _rows(self, parts: Sequence[Continuation], most: int) -> list[tuple[int, ...]]:
        """Which parts go through the model together."""
        if not self.packed:
            return [(number,) for number in range(len(parts))]
        lengths = [len(part.line) - 1 for part in parts]
        return [row.members for row in compose(lengths, min(self.tokenizer.window, most), padded=False)]

    def _read(self, parts: Sequence[Continuation]) -> Iterator[float]:
        """The log-probability of each token that is scored, part by part."""
        lines = [part.line[:-1] for part in parts]
        starts = [0, *accumulate(map(len, lines))]
        reads = torch.tensor(
            [
                place
                for start, line, part in zip(starts, lines, parts, strict=False)
                for place in range(start + len(line) - part.scored, start + len(line))
            ]
        )
        row = torch.tensor([token for line in lines for token in line])
        if self.packed:
            positions = torch.tensor([place for line in lines for place in range(len(line))])
            layout = CascadeLayout([Segment(len(line)) for line in lines], Prefix(0), self.model.model.device)
            logits = self.model.row_logits(row, positions, reads, layout)  # (K, V)
        else:
            logits = self.model.logits(row[None], reads)[0]  # (K, V)
        tokens = [token for part in parts for token in part.line[len(part.line) - part.scored :]]
        wanted = torch.tensor(tokens, device=logits.device)[:, None]
        for start in range(0, len(tokens), _READ_OFF):
            some = slice(start, start + _READ_OFF)
            yield from logits[some].float().log_softmax(-1).gather(1, wanted[some])[:, 0].tolist()
