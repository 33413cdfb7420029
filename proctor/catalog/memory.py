"""How much memory a model will need, before it is loaded."""

from __future__ import annotations

from proctor.catalog.weights import Weights
from proctor.nouns import Device, DType, Quant

BYTES = {DType.FLOAT32: 4, DType.BFLOAT16: 2, DType.FLOAT16: 2}
# NF4 with double quantization: half a byte a weight, a one-byte scale for 64 of them, and a float32 for 256 scales.
_NF4_BYTES = 1 / 2 + 1 / 64 + 4 / (64 * 256)
_LOGITS_EVERY = 32  # tokens of a pack to one position whose logits are computed, at the most


def computed_dtype(wanted: DType, own: DType, quant: Quant, device: Device, has_bfloat16: bool) -> DType:
    """The type that a model computes in.

    What is asked for by name is taken. `auto` is the checkpoint's own type where the device does it natively, else
    float32, which holds every float16 and bfloat16 number exactly. NF4 is made for bfloat16, so at 4 bit `auto` is
    bfloat16 whatever the checkpoint's type, where the device does it.
    """
    if wanted is not DType.AUTO:
        return wanted
    if quant is Quant.FOUR_BIT or own is DType.BFLOAT16:
        return DType.BFLOAT16 if has_bfloat16 else DType.FLOAT32
    if own is DType.FLOAT16 and device is Device.GPU:
        return DType.FLOAT16
    return DType.FLOAT32


def weight_bytes(weights: Weights, quant: Quant, dtype: DType) -> int:
    """Bytes of the weights in memory. Embeddings, output head and norms are not quantized; `auto` is the own type."""
    size = BYTES[weights.dtype if dtype is DType.AUTO else dtype]
    rest = (weights.parameters - weights.quantizable) * size
    each: dict[Quant, float] = {Quant.NONE: size, Quant.EIGHT_BIT: 1, Quant.FOUR_BIT: _NF4_BYTES}
    return rest + int(weights.quantizable * each[quant])


def pack_bytes(weights: Weights, dtype: DType, pack_tokens: int) -> int:
    """Bytes that a pack of so many tokens takes while it goes through: an estimate from above for usual shapes.

    Keys and values of all layers, a layer's activations (residual, norms, projections, three of the inner width), and
    logits in their own type and, twice, in float32.
    """
    size = BYTES[weights.dtype if dtype is DType.AUTO else dtype]
    cache = 2 * weights.layers * weights.kv_heads * weights.head_dim * size
    layer = (8 * weights.hidden + 3 * weights.intermediate) * max(size, 4)
    logits = weights.vocab * (size + 8) / _LOGITS_EVERY
    return int(pack_tokens * (cache + layer + logits))


def predicted_memory(weights: Weights, quant: Quant, dtype: DType, pack_tokens: int) -> int:
    """Bytes that a model takes on its device, loaded and scoring packs of `pack_tokens` tokens."""
    return weight_bytes(weights, quant, dtype) + pack_bytes(weights, dtype, pack_tokens)
