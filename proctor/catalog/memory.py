"""How much memory a worker will need with a model, before that is loaded.

What really has to fit is counted: on the CPU all that the worker's process holds, on a GPU what lies there. Pages of
the model's own file that a load reads are not: the system takes them back when it is short of memory. The demo model's
measured peaks, and the command that gives them, are in docs/experiments.md ("Memory predicted and measured").
"""

from __future__ import annotations

from proctor.catalog.weights import Weights
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import Device, DType, Quant

BYTES = {DType.FLOAT32: 4, DType.BFLOAT16: 2, DType.FLOAT16: 2}
# NF4 with double quantization: half a byte a weight, a one-byte scale for 64 of them, and a float32 for 256 scales.
_NF4_BYTES = 1 / 2 + 1 / 64 + 4 / (64 * 256)
# Tokens of a pack to one position whose logits are computed, at the fewest: a letter is read behind a whole question,
# of an option's own text every token is.
_LOGITS_EVERY = {
    Scoring.LETTERS: 32, Scoring.TEXT: 2, Scoring.ONE_TEXT: 2, Scoring.PAGES: 1, Scoring.WRITTEN: 32, Scoring.OPEN: 32,
    Scoring.JUDGED: 32,
}  # fmt: skip
# What is there beside any model. CPU: a worker's child with torch, transformers, Celery and the database's driver
# (0.45 GB resident, torch 2.13 on Linux), and a tokenizer, a model's code and what oneDNN keeps (0.1 GB). GPU: CUDA's
# context and kernels (estimated).
_BASE = {Device.CPU: 550_000_000, Device.GPU: 500_000_000, Device.NET: 550_000_000}
# Bytes that a load takes for each weight of the matrix at hand. CPU: a copy in the layout of oneDNN, or those that
# bitsandbytes' own functions make (backends/default/ops.py: `int8_vectorwise_quant`, `quantize_4bit`). GPUs: their
# kernels read a copy in 16 bit.
_QUANTIZING = {Quant.NONE: 4, Quant.EIGHT_BIT: 12, Quant.FOUR_BIT: 22}
_QUANTIZING_ON_GPU = 4
# Beside two copies of the matrix: places in MXFP4's table, as whole numbers of 4 bytes (measured, as above).
_UNPACKING = 4


def computed_dtype(wanted: DType, own: DType, quant: Quant, device: Device, has_bfloat16: bool) -> DType:
    """The type that a model computes in.

    What is asked for by name is taken. `auto` is the checkpoint's own type where the device does it natively, else
    float32, which holds every float16 and bfloat16 number exactly. NF4 is made for bfloat16, so at 4 bit `auto` is
    bfloat16 whatever the checkpoint's type, where the device does it. On a GPU that doesn't, what would be bfloat16 is
    float16: whoever loads the model tries whether its numbers hold there, and takes float32 where they don't.
    """
    if wanted is not DType.AUTO:
        return wanted
    if quant is Quant.FOUR_BIT or own is DType.BFLOAT16:
        instead = DType.FLOAT16 if device is Device.GPU else DType.FLOAT32
        return DType.BFLOAT16 if has_bfloat16 else instead
    if own is DType.FLOAT16 and device is Device.GPU:
        return DType.FLOAT16
    return DType.FLOAT32


def weight_bytes(weights: Weights, quant: Quant, dtype: DType) -> int:
    """Bytes of the weights in memory. Embeddings, output head and norms are not quantized; `auto` is the own type.

    Of a checkpoint that its makers quantized, what is packed as MXFP4 is unpacked, and all else stays as it is.
    """
    size = BYTES[weights.dtype if dtype is DType.AUTO else dtype]
    rest = (weights.parameters - weights.quantizable) * size
    each: dict[Quant, float] = {Quant.NONE: size, Quant.EIGHT_BIT: 1, Quant.FOUR_BIT: _NF4_BYTES}
    return rest + int(weights.quantizable * each[quant]) + weights.kept_bytes


def pack_bytes(weights: Weights, dtype: DType, pack_tokens: int, scoring: Scoring = Scoring.LETTERS) -> int:
    """Bytes that a pack of so many tokens takes while it goes through: an estimate from above for usual shapes.

    Keys and values of all layers for a prefix of that length, a layer's activations (residual, norms, projections,
    three of the inner width; where experts are gathered, nine of theirs for each that a token goes to), and logits over
    the vocabulary in their own type and, twice, in float32.
    """
    size = BYTES[weights.dtype if dtype is DType.AUTO else dtype]
    cache = 2 * weights.layers * weights.kv_heads * weights.head_dim * size
    if weights.experts_a_token:
        inner = weights.experts_a_token * (9 * weights.expert_width + 2 * weights.hidden) * size
    else:
        inner = 3 * weights.intermediate * max(size, 4)
    layer = 8 * weights.hidden * max(size, 4) + inner
    logits = weights.vocab * (size + 8) / _LOGITS_EVERY[scoring]
    return int(pack_tokens * (cache + layer + logits))


def loading_bytes(weights: Weights, quant: Quant, dtype: DType, device: Device) -> int:
    """Bytes that a load takes beside the weights: it lays out, quantizes or unpacks one matrix after the other."""
    if weights.packed:
        size = BYTES[weights.dtype if dtype is DType.AUTO else dtype]
        return weights.packed // weights.layers * 2 // 3 * (_UNPACKING + 2 * size)  # a layer's two matrices are 2 to 1
    largest = weights.hidden * max(weights.intermediate, weights.hidden)
    return largest * (_QUANTIZING_ON_GPU if device is Device.GPU else _QUANTIZING[quant])


def model_memory(weights: Weights, quant: Quant, dtype: DType, device: Device, conditions: Conditions) -> int:
    """Bytes that a model takes of a device: its weights, and what a load or a pack takes beside them, the larger."""
    pack = pack_bytes(weights, dtype, conditions.pack_tokens, conditions.scoring)
    return weight_bytes(weights, quant, dtype) + max(pack, loading_bytes(weights, quant, dtype, device))


def predicted_memory(weights: Weights, quant: Quant, dtype: DType, device: Device, conditions: Conditions) -> int:
    """Bytes that have to fit on a device for a worker to load this model and to score packs under these conditions."""
    return _BASE[device] + model_memory(weights, quant, dtype, device, conditions)
