"""Continuous batching with chunked prefill: a pass holds the next token of every reply, and portions of new prompts.

Matrix products are over all tokens of the row at once; only attention is by conversation, each token behind what its
own line has read. So nothing is padded, a reply joins and leaves at any step, and a long prompt is read in portions
between the others' tokens. `attention` is over the KV cache of each line; prompts begin behind the prefix cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import torch

from workers.engines.devices import TorchDevice
from workers.engines.generation import GenerationRequest, NextToken, PromptLogprob, last_piece
from workers.engines.hf.generation.attention import BatchLayout, BatchPart
from workers.engines.hf.generation.kv_cache import KVCache, PrefixCache, begin_scored, token_bytes
from workers.engines.hf.generation.sampling import next_token, score_prompt
from workers.engines.hf.model import CausalModel

PORTION = 512  # tokens of prompts in one pass
LOGITS_BYTES = 128 << 20  # of a pass, for prompts that are echoed: the logits of each of their tokens are read
LIKELY = 1024  # tokens that a reply is reckoned with where its limit is further away


@dataclass
class _Sequence:
    request: GenerationRequest
    line: KVCache
    tokens: list[int]  # of the reply
    piece: int  # where the last piece of what there was at first begins: no pass goes across it
    scores: list[PromptLogprob] = field(
        default_factory=list
    )  # of the prompt's tokens from the second on, where it is echoed

    def scored(self, part: BatchPart) -> int:
        """How many of a part's tokens, from its first, give the score of a token of the prompt."""
        left = len(self.request.prompt) - 1 - part.start if self.request.echo else 0
        return max(0, min(part.count, left))

    @property
    def unread(self) -> list[int]:
        read, prompt = len(self.line.tokens), self.request.prompt
        return [*prompt[read:], *self.tokens[max(0, read - len(prompt)) :]]


class ContinuousBatcher:
    """The `Generator` that makes all replies in one row."""

    def __init__(
        self, model: CausalModel, device: TorchDevice, ends: AbstractSet[int], room_bytes: int, portion: int = PORTION
    ) -> None:
        self._model, self._device, self._ends, self._portion = model, device, ends, portion
        self._room_bytes, self._token_bytes = room_bytes, token_bytes(model.model)
        logits_bytes = 4 * int(model.model.config.get_text_config().vocab_size)
        self._echo_portion = max(1, min(portion, LOGITS_BYTES // logits_bytes))
        self._live: dict[str, _Sequence] = {}
        self._kept = PrefixCache()

    @property
    def live(self) -> int:
        return len(self._live)

    def fits(self, request: GenerationRequest) -> bool:
        needs = self._live_bytes() + self._bytes(request)
        self._kept.shrink(max(0, self._room_bytes - needs))
        return needs <= self._room_bytes or not self._live

    def add(self, request: GenerationRequest) -> int:
        tokens = [*request.prompt, *request.emitted]
        piece = last_piece(len(tokens))
        line = self._kept.recall(tokens[:piece], [reply.line for reply in self._live.values()])
        scores = begin_scored(line, request.sampling.rivals or 0) if request.echo else []
        self._live[request.id] = _Sequence(request, line, list(request.emitted), piece, scores)
        return len(line.tokens)

    def cancel(self, request_id: str) -> None:
        reply = self._live.pop(request_id, None)
        if reply is not None:
            self._kept.keep(reply.line)
            self._kept.shrink(max(0, self._room_bytes - self._live_bytes()))

    def step(self) -> list[NextToken]:
        taken = self._take()
        if not taken:
            return []
        try:
            with self._device.reporting_shortage(str(self._model.model.name_or_path)):
                tokens = self._compute(taken)
        except BaseException:
            self.forget()
            raise
        for token in tokens:
            if token.finish is not None:
                self.cancel(token.id)
        return tokens

    def let_go(self) -> bool:
        kept, self._kept = self._kept, PrefixCache()
        return kept.bytes > 0

    def forget(self) -> None:
        self._live.clear()
        self._kept = PrefixCache()

    def _live_bytes(self) -> int:
        """What the replies under way will take."""
        return sum(self._bytes(reply.request) for reply in self._live.values())

    def _bytes(self, request: GenerationRequest) -> int:
        return (len(request.prompt) + min(request.limit, LIKELY)) * self._token_bytes

    def _take(self) -> list[tuple[_Sequence, list[int]]]:
        """The replies of the next row, and their tokens: all that go on, and a portion of the prompts, oldest first.

        A last piece is never parted, unless it is larger than a portion.
        """
        waiting = [(reply, reply.unread) for reply in self._live.values()]
        taken = [(reply, unread) for reply, unread in waiting if len(unread) == 1]
        left, left_echoed = self._portion, self._echo_portion
        for reply, unread in waiting:
            before = max(0, reply.piece - len(reply.line.tokens))
            room = min(left, left_echoed) if reply.request.echo else left
            fresh = room == (self._echo_portion if reply.request.echo else self._portion)
            if len(unread) > 1 and room > 0 and (before or len(unread) <= room or fresh):
                part = unread[: min(room, before or room)]
                taken.append((reply, part))
                left -= len(part)
                left_echoed -= len(part) if reply.request.echo else 0
        return taken

    def _compute(self, taken: Sequence[tuple[_Sequence, list[int]]]) -> list[NextToken]:
        parts: list[BatchPart] = []
        row: list[int] = []
        for reply, tokens in taken:
            parts.append(BatchPart(reply.line, len(row), len(reply.line.tokens), len(tokens)))
            row += tokens
        places = [part.start + n for part in parts for n in range(part.count)]
        reads = [
            _reads(reply, part, ready=tokens == reply.unread)
            for (reply, tokens), part in zip(taken, parts, strict=True)
        ]
        rows = [place for some in reads for place in some] or [len(row) - 1]
        lines = BatchLayout(parts)
        logits = self._model.line_logits(torch.tensor(row), torch.tensor(places), torch.tensor(rows), lines)  # (K, V)
        said = []
        for (reply, tokens), part, some in zip(taken, parts, reads, strict=True):
            mine, logits = logits[: len(some)], logits[len(some) :]
            self._score(reply, part, mine)
            reply.line.tokens += tokens
            if len(some) > reply.scored(part):
                said.append(self._say(reply, mine[-1]))
        return said

    def _score(self, reply: _Sequence, part: BatchPart, logits: torch.Tensor) -> None:
        """Take the scores of the prompt's tokens that a part's tokens (n, V) stand before."""
        count = reply.scored(part)
        if count:
            tokens = reply.request.prompt[part.start + 1 :][:count]
            reply.scores += score_prompt(logits[:count], tokens, reply.request.sampling.rivals or 0)
            reply.line.scores = reply.scores

    def _say(self, reply: _Sequence, logits: torch.Tensor) -> NextToken:
        prompt, reply.scores = reply.scores, []
        return next_token(logits, reply.request, reply.tokens, self._ends, prompt)


def _reads(reply: _Sequence, part: BatchPart, *, ready: bool) -> list[int]:
    """The places of the row whose logits are asked for: what scores the prompt, and the last of what is `ready`."""
    last = [part.row + part.count - 1] if ready else []
    return [*range(part.row, part.row + reply.scored(part)), *last]
