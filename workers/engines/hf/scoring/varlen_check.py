"""A trial of torch's variable-length attention on the device that it is to run on, once a process and type.

A kernel that is slightly wrong (another base of the logarithm, another scale, a line that sees its neighbour) moves an
option by a tenth of a nat, which the trial on the model takes for rounding. So its numbers are held against attention
spelled out in float32, over lines of several lengths, one query, a window, and prefixes of two lengths.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch

from workers.engines.hf.scoring import varlen
from workers.engines.hf.scoring.cascade import AttentionRule, explicit

_HEADS, _KEY_HEADS, _WIDTH = 6, 2, 64
_LINES, _PREFIXES, _WINDOW = (5, 1, 33), (7, 130), 4
_SCALE = 0.15  # neither 1 nor the usual 1/8
_OUT, _LOGSUMEXP = 0.03, 2e-3  # differences that 16-bit inputs and results explain; a wrong kernel is off by tenths


@lru_cache
def kernel_of(device: torch.device, dtype: torch.dtype) -> tuple[str, str]:
    """What attends on this device in this type, and a note where that isn't the kernel although it could be.

    ("", "") where there is no choice: on the CPU, and for float32. A kernel whose numbers are off is not used again in
    this process.
    """
    like = torch.empty(1, _HEADS, 1, _WIDTH, device=device, dtype=dtype)
    if device.type != "cuda" or dtype == torch.float32:
        return "", ""
    if not varlen.serves(like, like):
        return "spelled out", ""
    out, total = worst(device, dtype)
    if out <= _OUT and total <= _LOGSUMEXP:  # NaN is neither
        return "varlen", ""
    varlen.distrust(dtype)
    return "spelled out", f"torch's attention kernel is off here (by {out:.2g}, {total:.2g} in sums): it is not used"


def worst(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """The largest difference of results, and of log-sum-exps in nats, from attention spelled out in float32."""
    pairs = list(_cases(device, dtype))
    outs = [float((out.float() - expected).abs().max()) for (out, _), (expected, _) in pairs]
    sums = [float((total - expected).abs().max()) for (_, total), (_, expected) in pairs]
    # `max` would pass over NaN.
    return float(torch.tensor(outs).max()), float(torch.tensor(sums).max())


Attended = tuple[torch.Tensor, torch.Tensor]  # (1, N, H, D) and (1, H, N)


def _cases(device: torch.device, dtype: torch.dtype) -> Iterator[tuple[Attended, Attended]]:
    """What the kernel gives, and what it should."""
    draw = torch.Generator().manual_seed(7)

    def rows(heads: int, tokens: int) -> torch.Tensor:
        return torch.randn(1, heads, tokens, _WIDTH, generator=draw).to(device, dtype)

    way = AttentionRule(_SCALE, None)
    count = sum(_LINES)
    query, key, value = rows(_HEADS, count), rows(_KEY_HEADS, count), rows(_KEY_HEADS, count)
    for window in (None, _WINDOW):
        found = varlen.within(query, key, value, varlen.bounds(_LINES, device), _SCALE, window)
        yield found, _spelled(query, key, value, way, _own_lines(window, device))
    for tokens in _PREFIXES:
        for queries in (query, query[:, :, :1]):
            before = rows(_KEY_HEADS, tokens), rows(_KEY_HEADS, tokens)
            yield varlen.behind(queries, *before, _SCALE), _spelled(queries, *before, way, None)


def _spelled(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, way: AttentionRule, mask: torch.Tensor | None
) -> Attended:
    out, total = explicit(query.float(), key.float(), value.float(), way, mask=mask)
    return out.transpose(1, 2), total


def _own_lines(window: int | None, device: torch.device) -> torch.Tensor:
    """(N, N) what is added to scores: nothing where a token sees another, so much that nothing is left elsewhere."""
    line = torch.repeat_interleave(torch.arange(len(_LINES)), torch.tensor(_LINES))
    distance = torch.arange(len(line))[:, None] - torch.arange(len(line))
    seen = (line[:, None] == line) & (distance >= 0)
    if window is not None:
        seen &= distance < window
    return torch.zeros(seen.shape).masked_fill(~seen, -1e30).to(device)
