"""The way over torch's kernel for GPUs: its calls, as far as a CPU can try them. On a GPU: test_device_check.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from proctor.nouns.exams import Pack
from proctor.nouns.models import DType, Quant
from tests import tiny
from workers.engines.hf.load import load
from workers.engines.hf.scoring import varlen, varlen_check
from workers.engines.hf.scoring.cascade import AttentionRule, cascade_attention, explicit
from workers.engines.hf.scoring.layout import CascadeLayout, LayerPrefix, Prefix, Segment
from workers.engines.hf.scoring.plain import PlainScorer
from workers.engines.hf.scoring.prefix import PrefixScorer

SHOTS = "The following are multiple choice questions (with answers) about astronomy.\n\nWhy?\nAnswer: A\n\n" * 2
TEXTS = ("Why?\nAnswer:", "What is the largest planet of the solar system?\nAnswer:", "A. One\nB. Two\nAnswer:" * 9)


def by_the_book(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_q: torch.Tensor,
    cu_seq_k: torch.Tensor,
    max_q: int,
    max_k: int,
    *,
    return_aux: object,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the documentation of `varlen_attn` says that it computes, line by line: (T, H, D) and (H, T).

    As in the kernel, products are summed and kept in float32, and only the result is rounded.
    """
    assert enable_gqa
    assert return_aux
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert (int(cu_seq_q.diff().max()), int(cu_seq_k.diff().max())) == (max_q, max_k)
    back, ahead = window_size
    outs, sums = [], []
    for line in range(len(cu_seq_q) - 1):
        q = query.float()[cu_seq_q[line] : cu_seq_q[line + 1]].transpose(0, 1)[None]
        k, v = (part.float()[cu_seq_k[line] : cu_seq_k[line + 1]].transpose(0, 1)[None] for part in (key, value))
        distance = torch.arange(q.shape[2])[:, None] - torch.arange(k.shape[2])
        hidden = torch.zeros_like(distance, dtype=torch.bool)
        hidden |= (distance < 0) if ahead == 0 else False
        hidden |= (distance > back) if back >= 0 else False
        out, total = explicit(
            q, k, v, AttentionRule(scale, None), mask=torch.zeros(hidden.shape).masked_fill(hidden, -1e30)
        )
        outs.append(out[0].transpose(0, 1))
        sums.append(total[0])
    return torch.cat(outs).to(query.dtype), torch.cat(sums, 1)


@pytest.mark.parametrize(("architecture", "calls"), [("llama", True), ("mistral", True), ("gemma2", False)])
def test_rows_through_the_kernel_score_as_full_prompts_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, calls: bool
) -> None:
    called: list[tuple[int, int]] = []

    def kernel(*tensors: object, **named: object) -> tuple[torch.Tensor, torch.Tensor]:
        called.append(cast("tuple[int, int]", named["window_size"]))
        return by_the_book(*tensors, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(varlen, "serves", lambda *_: True)
    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    engine = load(tiny.make(tmp_path, architecture), architecture, Quant.NONE, DType.FLOAT32, tiny.CPU)
    prompts = tuple(tiny.prompt(SHOTS + text, (" A", " B", " C", " D"), n) for n, text in enumerate(TEXTS))
    found = []
    for scorer in (
        PlainScorer(engine.model, engine.tokenizer, tiny.CPU),
        PrefixScorer(engine.model, engine.tokenizer, tiny.CPU),
    ):
        prepared = scorer.prepare(prompts)
        found.append(torch.tensor(scorer.score(prepared, Pack(0, (0, 1, 2))).options_logprob))
    assert float((found[0] - found[1]).abs().max()) < 1e-4
    assert bool(called) == calls  # scores with a soft cap are not for the kernel
    if architecture == "mistral":
        assert (31, 0) in called  # its window of 32 tokens is the token itself and 31 before it


def test_the_trial_finds_nothing_wrong_with_a_kernel_that_computes_what_its_documentation_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(varlen, "varlen_attn", by_the_book)
    out, total = varlen_check.worst(torch.device("cpu"), torch.bfloat16)
    assert (out < 0.03, total < 2e-3) == (True, True), (out, total)


def not_causal(*tensors: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return by_the_book(*tensors, **{**named, "window_size": (named["window_size"][0], -1)})


def to_base_2(*tensors: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
    out, total = by_the_book(*tensors, **named)
    return out, total / math.log(2)


def unscaled(*tensors: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return by_the_book(*tensors, **{**named, "scale": 1.0})


def lines_joined(q: Any, k: Any, v: Any, _edges: Any, _keys: Any, *_longest: int, **named: Any) -> Any:
    queries, keys = (torch.tensor([0, len(part)], dtype=torch.int32) for part in (q, k))
    return by_the_book(q, k, v, queries, keys, len(q), len(k), **named)


def heads_swapped(q: Any, k: Any, v: Any, *rest: Any, **named: Any) -> Any:
    return by_the_book(q, k.flip(1), v.flip(1), *rest, **named)


def of_no_numbers(*tensors: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
    out, total = by_the_book(*tensors, **named)
    return out * float("nan"), total


@pytest.mark.parametrize("kernel", [not_causal, to_base_2, unscaled, lines_joined, heads_swapped, of_no_numbers])
def test_a_kernel_that_is_wrong_in_one_thing_is_found_out_and_not_used_again(
    monkeypatch: pytest.MonkeyPatch, kernel: Callable[..., tuple[torch.Tensor, torch.Tensor]]
) -> None:
    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    out, total = varlen_check.worst(torch.device("cpu"), torch.bfloat16)
    assert not (out < 0.03 and total < 2e-3), (out, total)


def test_a_kernel_that_is_distrusted_serves_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varlen, "_TYPES", {torch.bfloat16, torch.float16})
    varlen.distrust(torch.bfloat16)
    assert {torch.float16} == varlen._TYPES


def test_the_cpu_has_no_choice_of_kernels() -> None:
    assert varlen_check.kernel_of(torch.device("cpu"), torch.bfloat16) == ("", "")


def test_the_kernel_takes_what_it_is_given() -> None:
    """The shapes and types that it gives for tensors without numbers."""
    query = torch.empty(1, 9, 30, 64, device="meta", dtype=torch.bfloat16)
    key, value = (torch.empty(1, 3, 30, 64, device="meta", dtype=torch.bfloat16) for _ in range(2))
    lines = varlen.bounds([10, 4, 16], query.device)
    for out, total in (
        varlen.within(query, key, value, lines, 0.125, None),
        varlen.within(query, key, value, lines, 0.125, 5),
        varlen.behind(query, key[:, :, 7:], value[:, :, 7:], 0.125),
    ):
        assert (out.shape, out.dtype) == ((1, 30, 9, 64), torch.bfloat16)
        assert (total.shape, total.dtype) == ((1, 9, 30), torch.float32)


def test_bounds_are_the_edges_of_lines() -> None:
    found = varlen.bounds([3, 1, 5], torch.device("cpu"))
    assert (found.edges.tolist(), found.longest) == ([0, 3, 4, 9], 5)


def test_the_cpu_has_kernels_of_its_own() -> None:
    row = torch.empty(1, 2, 3, 16, dtype=torch.bfloat16)
    assert not varlen.serves(row, row)


def test_each_layer_attends_on_the_device_that_it_lies_on() -> None:
    """Of a model over several GPUs; here one of its layers lies where tensors have no numbers."""
    prefix = Prefix(7)
    cascade = CascadeLayout([Segment(4), Segment(3, (2, 1))], prefix, torch.device("cpu"))
    for layer, (device, window) in enumerate([("cpu", None), ("meta", None), ("meta", 5)]):
        query = torch.empty(1, 4, 10, 16, device=device)
        key, value = (torch.empty(1, 2, 10, 16, device=device) for _ in range(2))
        before = torch.empty(1, 2, 7, 16, device=device)
        prefix.layers[layer] = LayerPrefix(before, before, window)
        module = cast("torch.nn.Module", SimpleNamespace(layer_idx=layer))
        reads = torch.tensor([3, 9], device=device) if layer == 2 else None
        out, _ = cascade_attention(module, query, key, value, None, cascade=cascade, sliding_window=window, reads=reads)
        assert (str(out.device), out.shape) == (device, (1, 10, 4, 16))
    there = cascade.on(torch.device("meta"))
    assert there is cascade.on(torch.device("meta"))
    assert {str(group.index.device) for group in there.groups} == {"meta"}
