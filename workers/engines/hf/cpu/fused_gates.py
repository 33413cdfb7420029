"""A gated layer's element-wise work done inside its matrix products, while the numbers are in the CPU's cache.

`down(act(gate(x)) * up(x))` otherwise writes and reads three matrices of tokens × intermediate width that are larger
than the cache: a sixth of such a layer's time in float32 (docs/experiments.md). oneDNN applies the activation to the
one product and multiplies it into the other as it stores them, which in bfloat16 rounds less often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from workers.engines.hf.cpu.onednn import PackedLinear
from workers.engines.hf.hooked import set_forward

# oneDNN's activations, name and algorithm, and the functions that they are.
_ACTIVATIONS: dict[tuple[str, str], Callable[[torch.Tensor], torch.Tensor]] = {
    ("swish", ""): functional.silu,
    ("gelu", "none"): functional.gelu,
    ("gelu", "tanh"): lambda x: functional.gelu(x, approximate="tanh"),
    ("relu", ""): functional.relu,
}
# Mean difference over the spread of a layer's output that is rounding; another formula would be off by about 1.
_ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
_TRIED = 8  # tokens


@torch.inference_mode()
def fuse(model: PreTrainedModel) -> int:
    """Fuse each gated layer whose three matrices are packed; returns how many layers that are.

    One with another activation, or that computes anything else than `down(act(gate(x)) * up(x))` (tried with random
    numbers), stays as it is.
    """
    fused = 0
    for module in model.modules():
        products = _products(module)
        if products is not None and _agree(module, products):
            set_forward(module, products)
            fused += 1
    return fused


@dataclass(frozen=True)
class GatedProducts:
    """`down(act(gate(x)) * up(x))` of packed layers: (..., width) to (..., width)."""

    gate: PackedLinear
    up: PackedLinear
    down: PackedLinear
    activation: tuple[str, str]

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        linear, (name, algorithm) = torch.ops.mkldnn._linear_pointwise, self.activation
        opened = linear(hidden, self.gate.weight, self.gate.bias, name, [], algorithm)
        found: torch.Tensor = self.down(linear.binary(hidden, opened, self.up.weight, self.up.bias, "mul"))
        return found


def _products(module: nn.Module) -> GatedProducts | None:
    gate, up, down = (getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj"))
    if not (isinstance(gate, PackedLinear) and isinstance(up, PackedLinear) and isinstance(down, PackedLinear)):
        return None
    activation = activation_of(getattr(module, "act_fn", None))
    return None if activation is None else GatedProducts(gate, up, down, activation)


def activation_of(function: Callable[[torch.Tensor], torch.Tensor] | None) -> tuple[str, str] | None:
    """oneDNN's name of a function, found by its values: transformers has several classes for each."""
    if function is None:
        return None
    x = torch.linspace(-8, 8, 257)
    own = function(x)
    return next((name for name, one in _ACTIVATIONS.items() if torch.allclose(one(x), own, atol=1e-6)), None)


def _agree(module: nn.Module, products: GatedProducts) -> bool:
    """Whether they give what the module's own code gives, up to rounding."""
    dtype = products.gate.weight.dtype
    hidden = torch.randn(1, _TRIED, products.gate.in_features, generator=torch.Generator().manual_seed(0)).to(dtype)
    own = module(hidden).float()
    return bool((products(hidden).float() - own).abs().mean() / own.std() <= _ROUNDING[dtype])
