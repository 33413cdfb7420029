"""The KV cache and the prefix cache: keys and values of conversations, one line of tokens each, grown as it is
read, cut back, kept, found again.

Shapes: J heads of keys and values, C the room of a line in tokens (its capacity), D a head's width.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence

import torch
from transformers import PretrainedConfig, PreTrainedModel

from workers.engines.generation import PromptLogprob, common_beginning

_FIRST_ROOM = 256  # tokens
_WORTH_COPYING = 16  # tokens that two conversations begin with; below, they are computed again


class KVCache:
    """The tokens that a model has read in one conversation, with each layer's keys and values of them."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.scores: list[PromptLogprob] = []  # of the tokens from the second on, as far as they were wanted
        self._keys: dict[int, torch.Tensor] = {}  # layer -> (1, J, C, D)
        self._values: dict[int, torch.Tensor] = {}
        self._addresses: ctypes.Array[ctypes.c_void_p] | None = None

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return sum(part.numel() * part.element_size() for part in (*self._keys.values(), *self._values.values()))

    def write(
        self, layer: int, start: int, key: torch.Tensor, value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put a layer's keys and values (1, J, n, D) of the tokens from `start` on; views of all up to there."""
        end = start + key.shape[2]
        keys, values = self._keys.get(layer), self._values.get(layer)
        if keys is None or values is None or keys.shape[2] < end:
            keys = self._keys[layer] = self._grown(keys, key, start, end)
            values = self._values[layer] = self._grown(values, value, start, end)
            self._addresses = None
        keys[:, :, start:end] = key
        values[:, :, start:end] = value
        return keys[:, :, :end], values[:, :, :end]

    def addresses(self, tokens: int) -> tuple[int, int]:
        """Where a table of addresses lies, each layer's keys and values (J, C, D) in turn, and C, at least `tokens`.

        For a line that all layers have read something of. Of use until it is written to, or asked for more.
        """
        room = min(part.shape[2] for part in self._keys.values())
        if room < tokens:
            for cache in (self._keys, self._values):
                for layer, part in cache.items():
                    cache[layer] = self._grown(part, part, len(self.tokens), tokens)
            room, self._addresses = self._keys[0].shape[2], None
        if self._addresses is None:
            parts = [part.data_ptr() for n in range(len(self._keys)) for part in (self._keys[n], self._values[n])]
            self._addresses = (ctypes.c_void_p * len(parts))(*parts)
        return ctypes.addressof(self._addresses), room

    def cut(self, tokens: int) -> None:
        """Keep only the first so many tokens. The memory stays."""
        del self.tokens[tokens:]
        del self.scores[max(0, tokens - 1) :]

    def copy(self, tokens: int) -> KVCache:
        """A line of the first so many tokens."""
        other = KVCache()
        other.tokens, other.scores = self.tokens[:tokens], self.scores[: max(0, tokens - 1)]
        other._keys = {layer: part[:, :, :tokens].clone() for layer, part in self._keys.items()}
        other._values = {layer: part[:, :, :tokens].clone() for layer, part in self._values.items()}
        return other

    def _grown(self, old: torch.Tensor | None, new: torch.Tensor, start: int, end: int) -> torch.Tensor:
        room = max(_FIRST_ROOM, end + end // 4)
        grown = new.new_empty(1, new.shape[1], room, new.shape[3])
        if old is not None:
            grown[:, :, :start] = old[:, :, :start]
        return grown


class PrefixCache:
    """Lines of replies that have ended, those that ended last are last; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._lines: list[KVCache] = []

    @property
    def bytes(self) -> int:
        return sum(line.bytes for line in self._lines)

    def keep(self, line: KVCache) -> None:
        self._lines.append(line)

    def shrink(self, most_bytes: int) -> None:
        """Forget the oldest until the rest takes no more than that."""
        while self._lines and self.bytes > most_bytes:
            del self._lines[0]

    def recall(self, tokens: Sequence[int], others: Iterable[KVCache]) -> KVCache:
        """A line that has read as many of these tokens as any, and nothing else.

        A kept line goes over to the caller where most of it is of use. Of others, and of those under way, what is of
        use is copied: a system prompt is computed once for all conversations.
        """
        best = max(self._lines, key=lambda line: common_beginning(line.tokens, tokens), default=None)
        if best is not None:
            common = common_beginning(best.tokens, tokens)
            if common and 2 * common >= len(best.tokens):
                self._lines.remove(best)
                best.cut(common)
                return best
        beside = max((*self._lines, *others), key=lambda line: common_beginning(line.tokens, tokens), default=None)
        common = common_beginning(beside.tokens, tokens) if beside is not None else 0
        return beside.copy(common) if beside is not None and common >= _WORTH_COPYING else KVCache()


def begin_scored(line: KVCache, rivals: int) -> list[PromptLogprob]:
    """Cut a line back to where a token is to be read whose score isn't known; the scores of those before it.

    The score of a token comes of reading the one before it.
    """
    known = next((n for n, score in enumerate(line.scores) if len(score.rivals) < rivals), len(line.scores))
    scores = line.scores[:known]
    line.cut(known)
    line.scores = scores
    return [PromptLogprob(score.token, score.logprob, score.rivals[:rivals]) for score in scores]


def head_width(config: PretrainedConfig) -> int:
    """Numbers in a head's query, key or value."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def token_bytes(model: PreTrainedModel) -> int:
    """Memory that a token's keys and values take, from the model's config."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * head_width(config) * model.dtype.itemsize)
