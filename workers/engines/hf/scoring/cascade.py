"""Cascade attention: many questions behind one cached prefix, in one row, each as if it stood there alone.

What a token attends to falls in two parts: the prefix, the same for all, in one call for the whole row; and what
stands before it in its own question, in a call for every group of questions of about one length. A softmax over both
is the mean of the parts' own results, weighted by their sums of exponentials, which is why each part also gives
its log-sum-exp. transformers calls `cascade_attention` wherever a model attends, once `NAME` is set as the model's
attention; what it needs to know travels with the call as the keyword `cascade`.

Shapes: H heads, J heads of keys and values (H is a multiple), N tokens of the row, P of the prefix, D a head's width,
B questions of a group, L tokens of its longest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface

from workers.engines.hf.scoring import varlen
from workers.engines.hf.scoring.layout import CascadeLayout, Group, LayerPrefix, additive

NAME = "cascade"


def cascade_attention(  # noqa: PLR0913 -- transformers calls it so
    module: torch.nn.Module,
    query: torch.Tensor,  # (1, H, N, D)
    key: torch.Tensor,  # (1, J, N, D)
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 -- always None: `no_mask`
    *,
    cascade: CascadeLayout,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    reads: torch.Tensor | None = None,
    **_others: object,
) -> tuple[torch.Tensor, None]:
    """Attention of a row behind its prefix: (1, N, H, D). The signature is transformers'; `s_aux` are sinks (H,).

    With `reads` (K,), indexes into the row, what is returned for all other tokens has no meaning.
    """
    layer = int(module.layer_idx)  # type: ignore[arg-type] # a plain attribute
    cascade = cascade.on(query.device)
    if cascade.recording:
        cascade.prefix.layers[layer] = LayerPrefix(key.contiguous(), value.contiguous(), sliding_window)
    way = AttentionRule(scaling if scaling is not None else query.shape[-1] ** -0.5, softcap)
    window = cascade.narrowed(sliding_window)
    out, weight = _own_part(cascade, query, key, value, window, way)
    if reads is not None:
        query, out, weight = query[:, :, reads], out[:, reads], weight[:, :, reads]
    if cascade.shared and window != 1:
        before = cascade.prefix.layers[layer]
        first = 0 if window is None else max(0, cascade.shared - window + 1)
        mask = None if window is None else cascade.prefix_mask(window, reads)
        seen, sum_seen = way.behind(query, before.key[:, :, first:], before.value[:, :, first:], mask)
        share = torch.sigmoid(sum_seen - weight).transpose(1, 2)[..., None]  # (1, N, H, 1), float32
        out = torch.lerp(out, seen, share.to(out.dtype))
        weight = torch.logaddexp(sum_seen, weight)
    if s_aux is not None:
        out = out * torch.sigmoid(weight - s_aux.float()[:, None]).transpose(1, 2)[..., None].to(out.dtype)
    return out if reads is None else _spread(out, reads, key.shape[2]), None


def _spread(rows: torch.Tensor, places: torch.Tensor, count: int) -> torch.Tensor:
    """(1, K, …) at their places among `count` rows, the others 0: a layer wants as many rows as it gave."""
    return rows.new_zeros(1, count, *rows.shape[2:]).index_copy(1, places, rows)


def _own_part(
    cascade: CascadeLayout,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    window: int | None,
    way: AttentionRule,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention inside each question (1, N, H, D) and its log-sum-exp (1, H, N)."""
    if way.softcap is None and not cascade.branched and varlen.serves(query, value):
        return varlen.within(query, key, value, cascade.lines, way.scale, window)
    outs, sums = [], []
    for number, group in enumerate(cascade.groups):
        q, k, v = (_gather(part, group) for part in (query, key, value))
        mask = cascade.own_mask(number, window)
        out, total = way.attend(q, k, v, mask=mask, causal=mask is None)
        out, total = out.transpose(1, 2).flatten(0, 1), total.transpose(1, 2).flatten(0, 1)  # (B × L, H, D), (B × L, H)
        outs.append(out[group.back] if group.padded else out)
        sums.append(total[group.back] if group.padded else total)
    return torch.cat(outs)[None], torch.cat(sums).T[None]


def _gather(part: torch.Tensor, group: Group) -> torch.Tensor:
    """(1, H, N, D) to the group's (B, H, L, D)."""
    rows = part[0].transpose(0, 1)  # (N, H, D)
    if not group.padded:
        questions, longest = group.index.shape
        rows = rows[group.start : group.start + questions * longest].reshape(questions, longest, *rows.shape[1:])
    else:
        rows = rows[group.index]
    return rows.transpose(1, 2)


@dataclass(frozen=True)
class AttentionRule:
    """How this layer scores: the factor on products of queries and keys, and the cap on scores (Gemma 2)."""

    scale: float
    softcap: float | None

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        causal: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The result (B, H, L, D) and its log-sum-exp (B, H, L) in float32."""
        fused = query.device.type == "cpu" and self.softcap is None and key.shape[-1] == value.shape[-1]
        if not fused:
            return explicit(query, key, value, self, mask=mask, causal=causal)
        out, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, attn_mask=mask, scale=self.scale
        )
        return out, total

    def behind(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention over a prefix (1, J, P, D): the result (1, N, H, D) and its log-sum-exp (1, H, N)."""
        if mask is None and self.softcap is None and varlen.serves(query, value):
            return varlen.behind(query, key, value, self.scale)
        out, total = self.attend(query, key, value, mask=mask)
        return out.transpose(1, 2), total


def explicit(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    way: AttentionRule,
    *,
    mask: torch.Tensor | None = None,
    causal: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`AttentionRule.attend`, spelled out: for devices and layers that torch has no kernel for which gives the
    log-sum-exp."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if query.dtype == torch.float16:  # products of wide heads pass its largest number, 65,504, before they are scaled
        scores = ((query * way.scale) @ key.transpose(2, 3)).float()
    else:
        scores = (query @ key.transpose(2, 3)).float() * way.scale
    if way.softcap is not None:
        scores = torch.tanh(scores / way.softcap) * way.softcap
    if causal:
        scores = scores + additive(torch.ones(scores.shape[-2:], device=scores.device).triu(1).bool())
    if mask is not None:
        scores = scores + mask
    return functional.softmax(scores, -1).to(value.dtype) @ value, scores.logsumexp(-1)


def no_mask(*_arguments: object, **_more: object) -> None:
    """transformers asks for a mask before the layers; this attention knows from its layout who sees whom."""


AttentionInterface.register(NAME, cascade_attention)
AttentionMaskInterface.register(NAME, no_mask)
