"""Attention of continuous batching: the tokens of many replies in one row, each over the KV cache of its own.

transformers calls `batch_attention` wherever a model attends, once `NAME` is set as the model's attention; what it
needs to know travels with the call as the keyword `lines`. Parts may be of any length: the next token of a reply, or
a portion of a prompt.

Shapes: H heads, J heads of keys and values, N tokens of the row, D a head's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface

from workers.engines.hf.generation.kv_cache import KVCache
from workers.engines.hf.scoring.cascade import AttentionRule, no_mask

NAME = "lines"
_HIDDEN = -1e30


@dataclass(frozen=True)
class BatchPart:
    """A line's tokens in the row: `count` from place `row` on, the first of them at position `start` of the line."""

    line: KVCache
    row: int
    start: int
    count: int


@dataclass(frozen=True)
class LayerRule:
    """How a layer attends, as it says itself: the numbers of `AttentionRule`, its window in tokens, sinks."""

    scale: float
    softcap: float | None
    window: int | None
    has_sinks: bool


@dataclass
class BatchLayout:
    """A row's layout. Masks are made once for all layers with the same window on the same device.

    Attributes
    ----------
    rules
        How each layer attends, once the row has gone through it.
    """

    parts: Sequence[BatchPart]
    rules: dict[int, LayerRule] = field(default_factory=dict)
    _masks: dict[tuple[int, int | None, torch.device], torch.Tensor] = field(default_factory=dict)

    def mask(self, number: int, window: int | None, device: torch.device) -> torch.Tensor | None:
        """(1, 1, count, keys), to be added to a part's scores; None where each of its tokens sees all keys.

        The keys are those from `first_key` on.
        """
        part = self.parts[number]
        if part.count == 1:
            return None
        if (number, window, device) not in self._masks:
            first = first_key(part, window)
            places = torch.arange(part.start, part.start + part.count, device=device)[:, None]
            keys = torch.arange(first, part.start + part.count, device=device)
            hidden = keys > places
            if window is not None:
                hidden |= places - keys >= window
            scores = torch.zeros(hidden.shape, device=device)
            self._masks[number, window, device] = scores.masked_fill(hidden, _HIDDEN)[None, None]
        return self._masks[number, window, device]


def first_key(part: BatchPart, window: int | None) -> int:
    """The first position that any of a part's tokens sees."""
    return 0 if window is None else max(0, part.start - window + 1)


def batch_attention(  # noqa: PLR0913 -- transformers calls it so
    module: torch.nn.Module,
    query: torch.Tensor,  # (1, H, N, D)
    key: torch.Tensor,  # (1, J, N, D)
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 -- always None: `no_mask`
    *,
    lines: BatchLayout,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_others: object,
) -> tuple[torch.Tensor, None]:
    """Attention of a row's tokens, each over its own line: (1, N, H, D). `s_aux` are sinks (H,)."""
    layer = int(module.layer_idx)  # type: ignore[arg-type] # a plain attribute
    way = AttentionRule(scaling if scaling is not None else query.shape[-1] ** -0.5, softcap)
    lines.rules[layer] = LayerRule(way.scale, softcap, sliding_window, s_aux is not None)
    outs = []
    for number, part in enumerate(lines.parts):
        place = slice(part.row, part.row + part.count)
        keys, values = part.line.write(layer, part.start, key[:, :, place], value[:, :, place])
        first = first_key(part, sliding_window)
        mask = lines.mask(number, sliding_window, query.device)
        outs.append(_attend(way, query[:, :, place], keys[:, :, first:], values[:, :, first:], mask, s_aux))
    return torch.cat(outs, 2).transpose(1, 2).contiguous(), None


def _attend(
    way: AttentionRule,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    """(1, H, n, D)."""
    if query.device.type != "cpu" and way.softcap is None and sinks is None:
        mask = None if mask is None else mask.to(query.dtype)
        return functional.scaled_dot_product_attention(query, key, value, mask, scale=way.scale, enable_gqa=True)
    out, weight = way.attend(query, key, value, mask=mask)
    if sinks is not None:
        out = out * torch.sigmoid(weight - sinks.float()[:, None])[..., None].to(out.dtype)
    return out


AttentionInterface.register(NAME, batch_attention)
AttentionMaskInterface.register(NAME, no_mask)
