"""Whether a bfloat16 model's numbers hold in float16, tried on the loaded model.

GPUs before Ampere multiply float16 natively and bfloat16 not. float16 has the finer steps and the shorter reach: above
65,504 it is infinity, which many a model passes that was trained in bfloat16 (Gemma 3 is one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map_only
from transformers import PreTrainedModel

# Read by the model in the trial. Large numbers arise at a text's first token and at its marks, so it has many.
TEXT = (
    "The following are multiple choice questions (with answers) about the sea.\n\n"
    "Question 1: How deep is the deepest trench, in metres?\nA. 350\nB. 10,900\nC. 120,000\nD. 4\nAnswer: B\n\n"
    "Question 2: 'La mer est bleue' - what is it?\nA. The sea is blue.\nB. (3 + 4) * 5 = 35\nC. None; or \"yes\"\n"
    "D. It doesn't.\nAnswer: A\n\nfor (i = 0; i < 9; i++) { print(i); }\n\nHow would you put that in other words?"
)
LARGEST = torch.finfo(torch.float16).max
HEADROOM = 2  # another text may well reach twice as far as the trial's
NEAR = 0.05  # mean difference of logits in parts of their spread; float16's own rounding is a tenth of it


@torch.inference_mode()
def why_not_float16(model: PreTrainedModel, tokens: Sequence[int]) -> str:
    """Why a model that is loaded in float16 must compute in float32 instead; "" where its numbers hold.

    They do where all that its modules give out for `tokens` stays below half of float16's largest number, and where
    its logits are those of float32 up to rounding. The second is not asked of a quantized model, whose own kernels
    demand float16. The reference takes each matrix to float32 for its product alone, so no second model is in memory.
    """
    row = torch.tensor([list(tokens)], device=model.device)
    with _watched(model) as largest:
        logits = model(input_ids=row, use_cache=False).logits
    reached = largest()
    if not math.isfinite(reached):
        return "it computes infinity or NaN in float16"
    if reached * HEADROOM > LARGEST:
        return f"its numbers reach {reached:,.0f} in float16, which ends at {LARGEST:,.0f}"
    if getattr(model, "hf_quantizer", None) is not None:
        return ""
    with InFloat32():
        exact = model(input_ids=row, use_cache=False).logits.float()
    difference = float((logits.float() - exact).abs().mean() / exact.std())
    return "" if difference <= NEAR else f"in float16 its logits are off by {difference:.2g} of their spread"


class InFloat32(TorchFunctionMode):
    """Computes a float16 model in float32: what is looked up is widened, and whatever meets a float32 is, too."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        given, _ = tree_flatten((args, kwargs))
        if any(isinstance(one, torch.Tensor) and one.dtype is torch.float32 for one in given):
            args, kwargs = tree_map_only(torch.Tensor, _widened, (args, kwargs))
        found = func(*args, **kwargs)
        return _widened(found) if func is functional.embedding else found


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype is torch.float16 else tensor


@contextmanager
def _watched(model: PreTrainedModel) -> Iterator[Callable[[], float]]:
    """Within the block, notes what modules give out in float16; the call gives the largest magnitude, NaN above all."""
    largest: list[torch.Tensor] = []

    def note(_module: nn.Module, _given: object, out: object) -> None:
        several = out if isinstance(out, tuple) else (out,)
        largest.extend(
            one.abs().max() for one in several if isinstance(one, torch.Tensor) and one.dtype is torch.float16
        )

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    try:
        yield lambda: max((float(one) for one in largest), key=lambda value: (math.isnan(value), value), default=0.0)
    finally:
        for hook in hooks:
            hook.remove()
