"""Cascade attention: many questions behind one prefix, in one row, each as if it stood there alone.

What a token attends to falls in two parts: the prefix, the same for all, in one call for the whole row; and what
stands before it in its own question, in a call for every group of questions of about one length. A softmax over both
is the mean of the parts' own results, weighted by their sums of exponentials, which is why each part also gives
its log-sum-exp. transformers calls `cascade_attention` wherever a model attends, once `NAME` is set as the model's
attention; what it needs to know travels with the call as the keyword `cascade`.

Shapes: H heads, J heads of keys and values (H is a multiple), N tokens of the row, P of the prefix, D a head's width,
B questions of a group, L tokens of its longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface

NAME = "cascade"
_HIDDEN = -1e30  # added to a score: its weight is 0 beside any other, and a row of nothing else stays finite
_UNLIKE = 1.25  # how much longer than its shortest question a group's longest may be


@dataclass(frozen=True)
class Segment:
    """One question's place in a row: `stem` tokens of its own, then branches of these lengths behind them."""

    stem: int  # at least 1
    branches: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        return self.stem + sum(self.branches)


@dataclass(frozen=True)
class LayerPrefix:
    """One layer's keys and values of the prefix, each (1, J, P, D), and the layer's window in tokens."""

    key: torch.Tensor
    value: torch.Tensor
    window: int | None


@dataclass(frozen=True)
class Prefix:
    """What a Run's prompts begin with, computed once."""

    length: int
    layers: dict[int, LayerPrefix] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Questions that stand behind one another in the row and attend in one call, padded to the longest on the right.

    `index` (B, L) are places in the row, with a question's last place for padding; `back` are the places of the
    flattened (B × L) that are no padding, in the row's order. `position` and `branch` (B, L) tell who sees whom:
    branch 0 is the question itself, which its branches 1, 2, … all see; no branch sees another.
    """

    index: torch.Tensor
    back: torch.Tensor
    position: torch.Tensor
    branch: torch.Tensor
    padded: bool
    branched: bool


class Cascade:
    """A row's layout, and the prefix it stands behind. Masks are made once for all layers with the same window.

    With `recording`, the row itself is a prefix to be: each layer's keys and values are kept in `prefix.layers`.
    """

    def __init__(self, segments: Sequence[Segment], prefix: Prefix, device: torch.device, *, recording: bool = False):
        self.prefix, self.recording = prefix, recording
        self.shared = 0 if recording else prefix.length
        self.groups = tuple(_group(part, start, self.shared, device) for start, part in _parts(segments))
        self._longest = max(int(group.position.max()) + 1 for group in self.groups)
        self._position = torch.cat([group.position.flatten()[group.back] for group in self.groups])  # (N,)
        self._masks: dict[tuple[int, int | None], torch.Tensor] = {}

    def narrowed(self, window: int | None) -> int | None:
        """The window, or None where no token of the row stands that far behind another."""
        return window if window is not None and window < self._longest else None

    def own_mask(self, number: int, window: int | None) -> torch.Tensor | None:
        """(B, 1, L, L), to be added to group `number`'s scores; None where it is plainly causal."""
        group = self.groups[number]
        if window is None and not group.branched:
            return None
        if (number, window) not in self._masks:
            self._masks[number, window] = _own_mask(group, window)
        return self._masks[number, window]

    def prefix_mask(self, window: int, reads: torch.Tensor | None = None) -> torch.Tensor:
        """(1, 1, N, keys), to be added to the scores of the prefix's last `window - 1` tokens; or of `reads`."""
        if (-1, window) not in self._masks:
            keys = torch.arange(max(0, self.shared - window + 1), self.shared, device=self._position.device)
            far = self._position[:, None] - keys >= window
            self._masks[-1, window] = _additive(far)[None, None]
        mask = self._masks[-1, window]
        return mask if reads is None else mask[:, :, reads]


def cascade_attention(  # noqa: PLR0913 -- transformers calls it so
    module: torch.nn.Module,
    query: torch.Tensor,  # (1, H, N, D)
    key: torch.Tensor,  # (1, J, N, D)
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 -- always None: `no_mask`
    *,
    cascade: Cascade,
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
    if cascade.recording:
        cascade.prefix.layers[layer] = LayerPrefix(key.contiguous(), value.contiguous(), sliding_window)
    way = Way(scaling if scaling is not None else query.shape[-1] ** -0.5, softcap)
    window = cascade.narrowed(sliding_window)
    out, weight = _own_part(cascade, query, key, value, window, way)
    if reads is not None:
        query, out, weight = query[:, :, reads], out[:, reads], weight[:, :, reads]
    if cascade.shared and window != 1:
        before = cascade.prefix.layers[layer]
        first = 0 if window is None else max(0, cascade.shared - window + 1)
        mask = None if window is None else cascade.prefix_mask(window, reads)
        seen, sum_seen = way.attend(query, before.key[:, :, first:], before.value[:, :, first:], mask=mask)
        share = torch.sigmoid(sum_seen - weight).transpose(1, 2)[..., None]  # (1, N, H, 1), float32
        out = torch.lerp(out, seen.transpose(1, 2), share.to(out.dtype))
        weight = torch.logaddexp(sum_seen, weight)
    if s_aux is not None:
        out = out * torch.sigmoid(weight - s_aux.float()[:, None]).transpose(1, 2)[..., None].to(out.dtype)
    return out if reads is None else _spread(out, reads, key.shape[2]), None


def _spread(rows: torch.Tensor, places: torch.Tensor, count: int) -> torch.Tensor:
    """(1, K, …) at their places among `count` rows, the others 0: a layer wants as many rows as it gave."""
    return rows.new_zeros(1, count, *rows.shape[2:]).index_copy(1, places, rows)


def _own_part(
    cascade: Cascade,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    window: int | None,
    way: Way,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention inside each question (1, N, H, D) and its log-sum-exp (1, H, N)."""
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
        start, (questions, longest) = int(group.index[0, 0]), group.index.shape
        rows = rows[start : start + questions * longest].reshape(questions, longest, *rows.shape[1:])
    else:
        rows = rows[group.index]
    return rows.transpose(1, 2)


@dataclass(frozen=True)
class Way:
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


def explicit(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    way: Way,
    *,
    mask: torch.Tensor | None = None,
    causal: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`Way.attend`, spelled out: for devices and layers that torch has no kernel for which gives the log-sum-exp."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = (query @ key.transpose(2, 3)).float() * way.scale
    if way.softcap is not None:
        scores = torch.tanh(scores / way.softcap) * way.softcap
    if causal:
        scores = scores + _additive(torch.ones(scores.shape[-2:], device=scores.device).triu(1).bool())
    if mask is not None:
        scores = scores + mask
    return functional.softmax(scores, -1).to(value.dtype) @ value, scores.logsumexp(-1)


def _parts(segments: Sequence[Segment]) -> list[tuple[int, list[Segment]]]:
    """Neighbours of about one length, with the place of the first in the row."""
    parts: list[tuple[int, list[Segment]]] = []
    place = 0
    for segment in segments:
        lengths = [one.length for one in parts[-1][1]] if parts else []
        if parts and max(*lengths, segment.length) <= _UNLIKE * min(*lengths, segment.length):
            parts[-1][1].append(segment)
        else:
            parts.append((place, [segment]))
        place += segment.length
    return parts


def _group(segments: Sequence[Segment], start: int, shared: int, device: torch.device) -> Group:
    longest = max(segment.length for segment in segments)
    index: list[list[int]] = []
    position: list[list[int]] = []
    branch: list[list[int]] = []
    back: list[int] = []
    for b, segment in enumerate(segments):
        fill = longest - segment.length
        places, branches = list(range(shared, shared + segment.stem)), [0] * segment.stem
        for number, length in enumerate(segment.branches, start=1):
            places += range(shared + segment.stem, shared + segment.stem + length)
            branches += [number] * length
        index.append([*range(start, start + segment.length), *[start + segment.length - 1] * fill])
        position.append(places + places[-1:] * fill)
        branch.append(branches + branches[-1:] * fill)
        back += range(b * longest, b * longest + segment.length)
        start += segment.length
    return Group(
        index=torch.tensor(index, device=device),
        back=torch.tensor(back, device=device),
        position=torch.tensor(position, device=device),
        branch=torch.tensor(branch, device=device),
        padded=len(back) < longest * len(segments),
        branched=any(segment.branches for segment in segments),
    )


def _own_mask(group: Group, window: int | None) -> torch.Tensor:
    later = torch.ones(group.index.shape[1], group.index.shape[1], device=group.index.device).triu(1).bool()
    of_key, of_query = group.branch[:, None, :], group.branch[:, :, None]
    hidden = later | ((of_key != 0) & (of_key != of_query))
    if window is not None:
        hidden |= group.position[:, :, None] - group.position[:, None, :] >= window
    return _additive(hidden)[:, None]


def _additive(hidden: torch.Tensor) -> torch.Tensor:
    return torch.zeros(hidden.shape, device=hidden.device).masked_fill(hidden, _HIDDEN)


def no_mask(*_arguments: object, **_more: object) -> None:
    """transformers asks for a mask before the layers; this attention knows from its layout who sees whom."""


AttentionInterface.register(NAME, cascade_attention)
AttentionMaskInterface.register(NAME, no_mask)
