"""Decode steps compiled: the next token of each of some conversations through all layers in one call (`decode.c`).

A step of torch's operations is some 400 calls, which for one conversation take as long as reading the weights. Compiled
it reads the weights where oneDNN has them, in bfloat16 alone, and each line's keys and values where its KV cache has
them; the output head gives float32 without a wider copy of its weights. It serves models whose layers are Llama's in
kind, on CPUs with instructions for bfloat16, where a C compiler is found; all others go on as they did.

A line's numbers are the same to the bit whatever lines stand beside it in a step.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from workers.engines.hf.cpu import compiled
from workers.engines.hf.cpu.fused_gates import activation_of
from workers.engines.hf.cpu.onednn import PackedLinear, lies_in_blocks, padded
from workers.engines.hf.generation.attention import LayerRule
from workers.engines.hf.generation.kv_cache import KVCache
from workers.engines.hf.head import WideHead

SOURCE = Path(compiled.__file__).with_name("decode.c")
FLAGS = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mfma")
MOST_LINES = 64  # MOST_ROWS of decode.c, as the next two are of it
_MOST_QUERIES, _WIDEST_HEAD = 16, 256
_FIRST_POSITIONS = 1024  # whose rotations are there from the start

_MATRICES = ("query", "key", "value", "output", "gate", "up", "down")
_Int, _Address, _Float = ctypes.c_int64, ctypes.c_void_p, ctypes.c_float


class _Matrix(ctypes.Structure):
    _fields_ = [("weights", _Address), ("bias", _Address), ("rows", _Int), ("columns", _Int)]


class _Layer(ctypes.Structure):
    _fields_ = [
        *((f"{name}_norm", _Address) for name in ("attention", "mlp", "query", "key")),
        *((name, _Matrix) for name in _MATRICES),
        ("window", _Int),
    ]


class _Model(ctypes.Structure):
    _fields_ = [
        *((name, _Address) for name in ("layers", "norm", "head", "cosine", "sine")),
        *(
            (name, _Int)
            for name in ("depth", "width", "inner", "vocabulary", "heads", "key_heads", "head_width", "rotated")
        ),
        *((name, _Float) for name in ("scale", "epsilon", "head_epsilon")),
    ]


class _Line(ctypes.Structure):
    _fields_ = [("caches", _Address), ("room", _Int), ("position", _Int)]


class _Buffers(ctypes.Structure):
    _fields_ = [(name, _Address) for name in ("hidden", "normed", "projected", "attended", "inner")]


class NoDecoder(Exception):
    """Why a model's decode steps aren't compiled."""


class Decoder:
    """Compiled decode steps of one loaded model, which it keeps.

    Raises
    ------
    NoDecoder
        where the model isn't of this kind, or nothing can be compiled. That its numbers are right is for the caller to
        try.
    """

    def __init__(self, model: PreTrainedModel, rules: Mapping[int, LayerRule], cache: Path) -> None:
        parts = _parts(model, rules)
        library = compiled.compiled(SOURCE, FLAGS, cache)
        if library is None:
            raise NoDecoder("decode steps can't be compiled here")
        self._step, self._parts = library.decode_step, parts
        self._step.restype = None
        layers = (_Layer * len(parts.layers))(*(_layer(layer, rules[n]) for n, layer in enumerate(parts.layers)))
        if len({_shape(layer) for layer in layers}) != 1:
            raise NoDecoder("its layers are of several shapes")
        self._layers, first = layers, layers[0]  # they are read by address
        self._model = _model(parts, layers, rules[0])
        sizes = (
            first.query.columns,
            first.query.columns,
            first.query.rows + 2 * first.key.rows,
            first.output.columns,
            first.down.columns,
        )
        self._rows = [torch.zeros(MOST_LINES, size, dtype=torch.bfloat16) for size in sizes]
        self._buffers = _Buffers(*(rows.data_ptr() for rows in self._rows))
        self._rotations: tuple[torch.Tensor, torch.Tensor] = self._rotate(_FIRST_POSITIONS)

    def logits(self, tokens: torch.Tensor, lines: Sequence[KVCache], starts: Sequence[int]) -> torch.Tensor:
        """Logits (lines, V) in float32 after one token more of each line (at most `MOST_LINES`), at these positions."""
        self._rotate_up_to(max(starts))
        embedded = self._parts.embedding(tokens)
        self._rows[0][: len(lines), : embedded.shape[1]] = embedded
        found = torch.empty(len(lines), self._model.vocabulary)
        rows = (_Line * len(lines))()
        for row, line, start in zip(rows, lines, starts, strict=True):
            row.caches, row.room, row.position = *line.addresses(start + 1), start
        threads = torch.get_num_threads()
        self._step(
            ctypes.byref(self._model),
            rows,
            _Int(len(lines)),
            ctypes.byref(self._buffers),
            _Address(found.data_ptr()),
            threads,
        )
        return found

    def _rotate_up_to(self, position: int) -> None:
        if position >= len(self._rotations[0]):
            self._rotations = self._rotate(max(position + 1, 2 * len(self._rotations[0])))

    def _rotate(self, positions: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines (positions, rotated), as the model itself turns by them."""
        turn = self._parts.rotary(self._rows[0][:1, None], torch.arange(positions)[None])
        cosine, sine = (part[0].contiguous() for part in turn)
        self._model.cosine, self._model.sine, self._model.rotated = cosine.data_ptr(), sine.data_ptr(), cosine.shape[1]
        return cosine, sine


@dataclass(frozen=True)
class _Parts:
    """What a model is made of."""

    embedding: nn.Module
    layers: Sequence[Any]
    norm: nn.Module
    rotary: nn.Module
    head: WideHead


def _parts(model: PreTrainedModel, rules: Mapping[int, LayerRule]) -> _Parts:
    base: Any = model.base_model
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call] # transformers leaves it untyped
    names = {"embed_tokens", "layers", "norm", "rotary_emb"}
    if {name for name, _ in base.named_children()} != names:
        raise NoDecoder("the model has other parts")
    if not isinstance(head, WideHead) or head.weight.dtype != torch.bfloat16:
        raise NoDecoder("its output head is another")
    head_bias: torch.Tensor | None = head.bias
    if head_bias is not None:
        raise NoDecoder("its output head is another")
    if rules.keys() != set(range(len(base.layers))) or len({rule.scale for rule in rules.values()}) != 1:
        raise NoDecoder("its layers score in different ways")
    if any(rule.softcap is not None or rule.has_sinks for rule in rules.values()):
        raise NoDecoder("its layers score in another way")
    return _Parts(base.embed_tokens, list(base.layers), base.norm, base.rotary_emb, head)


def _layer(layer: Any, rule: LayerRule) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    own = {name for name, _ in layer.named_children()}
    if own != {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}:
        raise NoDecoder("its layers have other parts")
    if activation_of(getattr(mlp, "act_fn", None)) != ("swish", ""):
        raise NoDecoder("its gates are others")
    norms = [layer.input_layernorm, layer.post_attention_layernorm]
    norms += [getattr(attention, name, None) for name in ("q_norm", "k_norm")]
    matrices = [getattr(attention, f"{name}_proj", None) for name in "qkvo"]
    matrices += [getattr(mlp, f"{name}_proj", None) for name in ("gate", "up", "down")]
    return _Layer(*map(_weight_of, norms), *map(_matrix, matrices), rule.window or 0)


def _shape(layer: _Layer) -> tuple[int, ...]:
    return tuple(side for name in _MATRICES for side in (getattr(layer, name).rows, getattr(layer, name).columns))


def _matrix(linear: object) -> _Matrix:
    if not isinstance(linear, PackedLinear) or linear.weight.dtype != torch.bfloat16:
        raise NoDecoder("its matrices aren't laid out for oneDNN in bfloat16")
    if not lies_in_blocks(linear.out_features, linear.in_features):
        raise NoDecoder("oneDNN lays its matrices out in another way")
    bias: torch.Tensor | None = linear.bias
    address = torch.ops.mkldnn.data_ptr(linear.weight)
    return _Matrix(address, None if bias is None else bias.data_ptr(), linear.out_features, padded(linear.in_features))


def _weight_of(norm: Any) -> int | None:
    if norm is None:
        return None
    weight = getattr(norm, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.dtype != torch.bfloat16 or len(weight) % 16:
        raise NoDecoder("its norms are others")
    return weight.data_ptr()


def _model(parts: _Parts, layers: ctypes.Array[_Layer], rule: LayerRule) -> _Model:
    first, attention = layers[0], parts.layers[0].self_attn
    head_width = int(attention.head_dim)
    heads, key_heads = first.query.rows // head_width, first.key.rows // head_width
    lean = heads // key_heads <= _MOST_QUERIES and head_width <= _WIDEST_HEAD and head_width % 16 == 0
    head_norms = [norm for name in ("q_norm", "k_norm") if (norm := getattr(attention, name, None)) is not None]
    if not lean or any(len(norm.weight) != head_width for norm in head_norms):
        raise NoDecoder("its heads are others")
    vocabulary, width = parts.head.weight.shape
    epsilons = [_epsilon(norm) for norm in (parts.norm, *head_norms[:1])]
    return _Model(
        layers=ctypes.addressof(layers),
        norm=_weight_of(parts.norm),
        head=parts.head.weight.data_ptr(),
        depth=len(layers),
        width=width,
        inner=first.gate.rows,
        vocabulary=vocabulary,
        heads=heads,
        key_heads=key_heads,
        head_width=head_width,
        scale=rule.scale,
        epsilon=epsilons[0],
        head_epsilon=epsilons[-1],
    )


def _epsilon(norm: Any) -> float:
    found = getattr(norm, "variance_epsilon", None) or getattr(norm, "eps", None)
    if not isinstance(found, float):
        raise NoDecoder("its norms are others")
    return found
