"""Variable-length attention (`varlen_attn`) of 16-bit rows on NVIDIA's GPUs, which needs no padding.

It is FlashAttention behind `torch.nn.attention.varlen`, and gives the log-sum-exp that a cascade is merged by. Shapes:
N tokens of a row, P of a prefix, H heads, J heads of keys and values, D a head's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import signature
from typing import Any

import torch
from torch.nn.attention.varlen import AuxRequest, varlen_attn

_AMPERE = (8, 0)  # the first generation that the kernel runs on
_WIDEST = 256  # of a head
# torch 2.11 groups heads without being told, 2.12 and newer want to be.
_GROUPED: dict[str, Any] = {"enable_gqa": True} if "enable_gqa" in signature(varlen_attn).parameters else {}

_TYPES = {torch.bfloat16, torch.float16}  # in which its numbers are trusted


@dataclass(frozen=True)
class Bounds:
    """Where the lines of a row begin and end: `edges` (lines + 1) in tokens, int32, and the longest line's tokens."""

    edges: torch.Tensor
    longest: int


def bounds(lengths: Sequence[int], device: torch.device) -> Bounds:
    """Of lines of these lengths behind one another."""
    edges = torch.tensor([0, *lengths], device=device).cumsum(0).int()
    return Bounds(edges, max(lengths))


@lru_cache(maxsize=64)  # every layer of a row asks for the same, and each would wait for the GPU to be given it
def _one_line(tokens: int, device: torch.device) -> Bounds:
    return bounds([tokens], device)


def serves(query: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether the kernel takes these (1, H, N, D): their type, their width, and the GPU they lie on."""
    if query.device.type != "cuda" or query.dtype not in _TYPES or torch.version.cuda is None:
        return False
    width = query.shape[-1]
    fits = width == value.shape[-1] and width % 8 == 0 and width <= _WIDEST
    return fits and torch.cuda.get_device_capability(query.device) >= _AMPERE


def distrust(dtype: torch.dtype) -> None:
    """The kernel's numbers are wrong in this type: it serves nothing more in this process."""
    _TYPES.discard(dtype)


def within(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lines: Bounds, scale: float, window: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each token over those before it in its own line, the last `window` at most: (1, N, H, D) and (1, H, N)."""
    back = -1 if window is None else window - 1
    return _attend(query, key, value, lines, lines, scale, (back, 0))


def behind(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Every token over the whole of a prefix (1, J, P, D): (1, N, H, D) and (1, H, N)."""
    queries, keys = (_one_line(part.shape[2], part.device) for part in (query, key))
    return _attend(query, key, value, queries, keys, scale, (-1, -1))


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    queries: Bounds,
    keys: Bounds,
    scale: float,
    window: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))  # (tokens, heads, D)
    out, total = varlen_attn(
        q, k, v, queries.edges, keys.edges, queries.longest, keys.longest,
        return_aux=AuxRequest(lse=True), scale=scale, window_size=window, **_GROUPED,
    )  # fmt: skip
    return out[None], total[None]
