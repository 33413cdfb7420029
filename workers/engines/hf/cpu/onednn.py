"""Weights prepacked for oneDNN once, when a model is loaded, instead of at every product.

A layer's weight then lies in the blocks that the CPU's own instructions want, and goes through oneDNN in float32 too,
where torch would take MKL. On AMD with AVX-512 that is a fifth more products a second in float32, a tenth in bfloat16,
and twice as many for the few tokens of a reply; without AVX-512 it is a tenth fewer (docs/experiments.md), and nothing
is laid out. The numbers differ from torch's own by rounding, so a Run records which it had (`Provenance.products`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from proctor.nouns.models import Device
from workers.engines.devices import TorchDevice

NAME, PLAIN = "onednn", "torch"
BLOCK = 64  # rows of a bfloat16 matrix that lie together on a CPU with AVX512-BF16


class PackedLinear(nn.Linear):
    """A linear layer whose weight is laid out for oneDNN: same shape, same type, not to be read as numbers."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., columns) to (..., rows), as `nn.Linear`."""
        if hidden.numel() == 0:  # an expert that no token goes to
            return hidden.new_empty(*hidden.shape[:-1], self.out_features)
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(hidden, self.weight, self.bias, "none", [], "")
        return found


@torch.inference_mode()
def pack(model: PreTrainedModel, device: TorchDevice) -> str:
    """Lay out the model's linear layers, all but its output head; returns what multiplies from now on.

    Left as they are: everything on a GPU or a CPU without AVX-512, quantized layers, types that the CPU has no
    instructions for, and a model whose own code reads its weights in another way (tried with one token).
    """
    layers = _packable(model, device)
    if not layers:
        return PLAIN
    for layer in layers:
        _replace(layer, torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach()), PackedLinear)
    try:
        model(input_ids=torch.zeros(1, 1, dtype=torch.long), use_cache=False)
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError):  # it reads its weights itself
        for layer in layers:
            _replace(layer, layer.weight.to_dense(), nn.Linear)
        return PLAIN
    return NAME


@cache
def lies_in_blocks(rows: int, columns: int) -> bool:
    """Whether a bfloat16 matrix is laid out as [rows / BLOCK][columns / 2][BLOCK][2], padded with zeros.

    Padded to whole blocks, and to a multiple of 32 columns. Found with random numbers; False for any other layout, and
    where torch doesn't say where the numbers lie.
    """
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)).bfloat16()
    laid = torch.ops.mkldnn._reorder_linear_weight(matrix)
    try:
        size, address = torch.ops.mkldnn._nbytes(laid), torch.ops.mkldnn.data_ptr(laid)
    except AttributeError:
        return False
    numbers = torch.frombuffer(bytearray(ctypes.string_at(address, size)), dtype=torch.bfloat16)
    high, wide = -(-rows // BLOCK) * BLOCK, padded(columns)
    if len(numbers) != high * wide:
        return False
    read = numbers.view(high // BLOCK, wide // 2, BLOCK, 2).permute(0, 2, 1, 3).reshape(high, wide)
    return torch.equal(read, functional.pad(matrix, (0, wide - columns, 0, high - rows)))


def padded(columns: int) -> int:
    """How many columns a bfloat16 matrix has where it lies in blocks."""
    return -(-columns // 32) * 32


def _packable(model: PreTrainedModel, device: TorchDevice) -> Sequence[nn.Linear]:
    if device.kind is not Device.CPU or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return ()
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return ()
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return ()
    types = {torch.float32}
    if device.has_bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        types.add(torch.bfloat16)
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call] # transformers leaves it untyped
    return [
        module
        for module in model.modules()
        if type(module) is nn.Linear and module is not head and module.weight.dtype in types
    ]


def _replace(layer: nn.Linear, weight: torch.Tensor, kind: type[nn.Linear]) -> None:
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.__class__ = kind
