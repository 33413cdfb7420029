"""One reply after the other over the model's own KV cache: the slow and obvious way to generate.

A cache belongs to the tokens that went through it. A new prompt takes the kept cache that begins with the most of the
same tokens, cut back to them; a cache that can't be cut (a window that has passed, a state instead of keys) serves a
prompt only that begins with all of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, DynamicSlidingWindowLayer

from workers.engines.devices import TorchDevice
from workers.engines.generation import GenerationRequest, NextToken, PromptLogprob, common_beginning, last_piece
from workers.engines.hf.generation.sampling import next_token, score_prompt
from workers.engines.hf.model import CausalModel

KEPT = 8  # conversations, and as many replies at a time
PORTION = 256  # tokens of a prompt that is echoed, in one pass: the logits of each of them are read
_CACHE_NAMES = ("past_key_values", "cache_params", "cache")  # what architectures call it


@dataclass
class _Sequence:
    request: GenerationRequest
    cache: Cache
    read: list[int]  # the tokens that went through the cache
    tokens: list[int] = field(default_factory=list)  # of the reply
    scores: list[PromptLogprob] = field(default_factory=list)  # of the prompt's tokens from the second on, if echoed

    @property
    def unread(self) -> list[list[int]]:
        """What is to go through the cache, pass by pass: the last piece by itself, where a cache can be cut before it.

        A reply that is under way has one token to read.
        """
        unread = [*self.request.prompt, *self.tokens][len(self.read) :]
        piece = last_piece(len(self.read) + len(unread)) - len(self.read)
        return [unread[:piece], unread[piece:]] if self.cache.is_croppable and 0 < piece < len(unread) else [unread]


class PlainGenerator:
    """The `Generator` that computes every reply by itself, with `forward` and a cache as transformers does it."""

    def __init__(self, model: CausalModel, device: TorchDevice, ends: AbstractSet[int], kept: int = KEPT) -> None:
        self._model, self._device, self._ends, self._most_kept = model.model, device, ends, kept
        self._cache_name, self._only_last = _forward_words(model.model)
        self._live: dict[str, _Sequence] = {}
        self._kept: list[_Sequence] = []  # that which ended last is last

    @property
    def live(self) -> int:
        return len(self._live)

    def fits(self, request: GenerationRequest) -> bool:  # noqa: ARG002 -- the protocol's
        return self.live < self._most_kept

    def add(self, request: GenerationRequest) -> int:
        reply = self._recall(request)
        self._live[request.id] = reply
        return len(reply.read)

    def cancel(self, request_id: str) -> None:
        reply = self._live.pop(request_id, None)
        if reply is not None:
            self._kept.append(reply)
            del self._kept[: len(self._kept) - self._most_kept]

    def step(self) -> list[NextToken]:
        try:
            with self._device.reporting_shortage(str(self._model.name_or_path)):
                tokens = [self._next(reply) for reply in list(self._live.values())]
        except BaseException:
            self.forget()
            raise
        for token in tokens:
            if token.finish is not None:
                self.cancel(token.id)
        return tokens

    def let_go(self) -> bool:
        kept = bool(self._kept)
        self._kept.clear()
        return kept

    def forget(self) -> None:
        self._live.clear()
        self._kept.clear()

    @torch.inference_mode()
    def _next(self, reply: _Sequence) -> NextToken:
        request = reply.request
        while request.echo and len(reply.read) < len(request.prompt) - 1:
            self._score(reply)
        for tokens in reply.unread:
            logits = self._forward(reply, tokens, **self._only_last)[-1]
        prompt, reply.scores = reply.scores, []
        return next_token(logits, request, reply.tokens, self._ends, prompt)

    def _score(self, reply: _Sequence) -> None:
        """Read a portion of a prompt that is echoed; its last token is left for the reply's first."""
        request, first = reply.request, len(reply.read)
        portion = request.prompt[first:-1][: PORTION if reply.cache.is_croppable else None]
        logits = self._forward(reply, portion)
        reply.scores += score_prompt(logits, request.prompt[first + 1 :][: len(portion)], request.sampling.rivals or 0)

    def _forward(self, reply: _Sequence, tokens: Sequence[int], **words: Any) -> torch.Tensor:
        """Read further tokens; logits (n, V) of all of them, or of those that `words` ask for.

        Behind a state tokens go one by one: transformers' Mamba mixes what several at once find there.
        """
        if reply.read and len(tokens) > 1 and not reply.cache.is_croppable:
            return torch.cat([self._forward(reply, [token], **words) for token in tokens])
        row = torch.tensor([list(tokens)], device=self._model.device)
        output = self._model(input_ids=row, use_cache=True, **{self._cache_name: reply.cache}, **words)
        reply.read += tokens
        logits: torch.Tensor = output.logits[0]
        return logits

    def _recall(self, request: GenerationRequest) -> _Sequence:
        """Behind the best of the kept caches, taken away from them and cut back; else behind a new one.

        A prompt that is echoed is read anew: its logits weren't kept.
        """
        if request.echo:
            return _Sequence(request, DynamicCache(config=self._model.config), [], list(request.emitted))
        tokens = [*request.prompt, *request.emitted]
        common = [common_beginning(kept.read, tokens[:-1]) for kept in self._kept]
        for index in sorted(range(len(common)), key=lambda n: -common[n]):
            kept = self._kept[index]
            of_use = min(common[index], last_piece(len(tokens)))
            if common[index] == len(kept.read) and not kept.cache.is_croppable:
                of_use = common[index]
            if of_use and _cut(kept.cache, len(kept.read) - of_use):
                del self._kept[index]
                return _Sequence(request, kept.cache, kept.read[:of_use], list(request.emitted))
        return _Sequence(request, DynamicCache(config=self._model.config), [], list(request.emitted))


def _cut(cache: Cache, tokens: int) -> bool:
    """Take the last `tokens` off a cache; False, and nothing is done, where it can't be put back as it was."""
    if tokens == 0:
        return True
    windows = [layer for layer in cache.layers if isinstance(layer, DynamicSlidingWindowLayer)]
    if not cache.is_croppable or any(layer.get_seq_length() >= layer.sliding_window for layer in windows):
        return False
    cache.crop(-tokens)
    return True


def _forward_words(model: PreTrainedModel) -> tuple[str, dict[str, Any]]:
    """What the model's `forward` calls its cache, and how it is asked for the last token's logits alone."""
    known = inspect.signature(model.forward).parameters
    name = next(name for name in _CACHE_NAMES if name in known)
    return name, {"logits_to_keep": 1} if "logits_to_keep" in known else {}
