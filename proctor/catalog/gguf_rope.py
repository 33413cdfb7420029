"""How a GGUF file says that positions rotate, as transformers' rope parameters; what can't be said there is refused.

transformers' own reader of GGUF takes the base alone, from some architectures, and passes over every scaling. Keys:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; what they do when absent: llama.cpp's src/llama-model.cpp.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from proctor.catalog.gguf import GgufHeader, GgufTensor
from proctor.errors import BadModel

_FACTORS = "rope_freqs.weight"
_BASE = 10_000.0
# transformers turns whole heads in these, whatever the config says of a part.
_WHOLE_HEADS = ["llama", "qwen2", "qwen3", "qwen2moe", "qwen3moe", "gemma2", "gemma3", "starcoder2", "falcon", "lfm2"]
_SCALED_AS = {"none": "default", "linear": "linear", "yarn": "yarn"}
_READ = [
    "freq_base",
    "freq_base_swa",
    "dimension_count",
    "scale_linear",
    "scaling.type",
    "scaling.factor",
    "scaling.original_context_length",
    "scaling.yarn_beta_fast",
    "scaling.yarn_beta_slow",
    "scaling.finetuned",
]
# Keys without a place in transformers, and the value at which they change nothing.
_UNTOUCHED = {
    "scaling.attn_factor": 1.0,
    "scaling.yarn_attn_factor": 1.0,
    "scaling.yarn_ext_factor": 1.0,
    "scaling.yarn_log_multiplier": 0.0,
}
# Llama 3.1 to 3.3 have 8 or 32, 1, 4 and 8192.
_LOWEST, _HIGHEST, _WINDOWS = 1.0, 4.0, tuple(1 << power for power in range(9, 21))
_EXACT = 1e-5  # the tensor is in float32, and was computed in it
_INSTEAD = "Name the folder or hub id of the original model, whose config says how it turns."


@dataclass(frozen=True)
class Rotation:
    """How queries and keys turn with their position.

    `scaling` holds transformers' rope parameters but for the base and the part of the head: `rope_type`, `factor` and
    the like. `factors` are what the file's own tensor divides each frequency by; empty where it has none.
    """

    base: float
    sliding_base: float  # of the layers that see a window alone; nothing is scaled in them
    dims: int  # of a head, how many turn; 0: the file doesn't say, all do
    scaling: Mapping[str, str | float]
    factors: tuple[float, ...] = ()

    @property
    def amplitude(self) -> float:
        """What cosines and sines are multiplied by: YaRN's attention factor, else 1."""
        return 0.1 * math.log(max(1.0, self._number("factor"))) + 1 if self.scaling["rope_type"] == "yarn" else 1.0

    def frequencies(self, dims: int) -> list[float]:
        """Radians a position, one a pair of the `dims` numbers that turn."""
        plain = unscaled(self.base, dims)
        kind = self.scaling["rope_type"]
        if self.factors:
            return [one / factor for one, factor in zip(plain, self.factors, strict=True)]
        if kind == "linear":
            return [one / self._number("factor") for one in plain]
        return self._yarn(plain, dims) if kind == "yarn" else plain

    def _yarn(self, plain: Sequence[float], dims: int) -> list[float]:
        """Peng et al. 2023 (arXiv 2309.00071), section 3.2, with the rounded bounds of llama.cpp's ggml_rope_yarn."""
        window, factor = self._number("original_max_position_embeddings"), self._number("factor")

        def bound(turns: float) -> float:
            return dims * math.log(window / (turns * 2 * math.pi)) / (2 * math.log(self.base))

        low = max(0, math.floor(bound(self._number("beta_fast"))))
        high = min(dims - 1, math.ceil(bound(self._number("beta_slow"))))
        ramp = [min(1.0, max(0.0, (pair - low) / max(0.001, high - low))) for pair in range(len(plain))]
        return [one / factor * share + one * (1 - share) for one, share in zip(plain, ramp, strict=True)]

    def _number(self, key: str) -> float:
        return float(self.scaling[key])


def unscaled(base: float, dims: int) -> list[float]:
    """Su et al. 2021 (arXiv 2104.09864): base^(-2i/dims), one a pair."""
    return [base ** (-2 * pair / dims) for pair in range(dims // 2)]


def read_rotation(files: Sequence[Path], headers: Sequence[GgufHeader], name: str) -> Rotation:
    """The rotation of the model in these files.

    Raises
    ------
    BadModel
        naming `name` and the key or tensor by which it turns in a way that can't be written down for transformers.
    """
    header = headers[0]
    tensors = {tensor.name: (file, tensor) for file, one in zip(files, headers, strict=True) for tensor in one.tensors}
    _refuse_tensors(tensors, name)
    _refuse_keys(header, name)
    dims, head = header.number("rope.dimension_count"), _head(header)
    if head and dims and dims != head and header.architecture in _WHOLE_HEADS:
        key = f"{header.architecture}.rope.dimension_count"
        raise _refused(name, f"{key} is {dims} of {head} numbers a head, and transformers turns all of them")
    base = _float(header, "freq_base", _BASE, name)
    sliding = _float(header, "freq_base_swa", _BASE if header.architecture == "gemma3" else base, name)
    scaling = _scaling(header, name)
    if _FACTORS not in tensors:
        return Rotation(base, sliding, dims, scaling)
    factors = _numbers(*tensors[_FACTORS], name)
    if all(factor == 1 for factor in factors):
        return Rotation(base, sliding, dims, scaling)
    if scaling["rope_type"] != "default":
        raise _refused(name, f"it has both a tensor {_FACTORS} and {header.architecture}.rope.scaling")
    found = _llama3(factors, base) if not dims or len(factors) == dims // 2 else None
    if found is None:
        raise _refused(name, f"no scaling of Llama 3's kind gives the {len(factors)} numbers in its tensor {_FACTORS}")
    return Rotation(base, sliding, dims, found, factors)


def _head(header: GgufHeader) -> int:
    heads = header.number("attention.head_count")
    return header.number("attention.key_length") or (header.number("embedding_length") // heads if heads else 0)


def _refuse_tensors(names: Mapping[str, object], name: str) -> None:
    odd = sorted(one for one in names if "rope" in one and one != _FACTORS)
    if odd:
        raise _refused(name, f"its tensor {odd[0]} scales the rotation of positions")


def _refuse_keys(header: GgufHeader, name: str) -> None:
    start = f"{header.architecture}.rope."
    for key, value in header.facts.items():
        short = key.removeprefix(start)
        if key.startswith(start) and short not in _READ and value != _UNTOUCHED.get(short):
            raise _refused(name, f"{key} is {value}")


def _scaling(header: GgufHeader, name: str) -> dict[str, str | float]:
    start = f"{header.architecture}.rope.scaling"
    said = str(header.facts.get(f"{start}.type", "linear"))
    if said not in _SCALED_AS:
        raise _refused(name, f"{start}.type is {said}")
    factor = _float(header, "scaling.factor", _float(header, "scale_linear", 1.0, name), name)
    if said == "none" or (said == "linear" and factor == 1):
        return {"rope_type": "default"}
    if said == "linear":
        return {"rope_type": "linear", "factor": factor}
    if header.architecture == "gpt-oss":
        raise _refused(name, f"{start}.type is yarn, without the rounding that gpt-oss leaves out")
    window = header.number("rope.scaling.original_context_length") or header.number("context_length")
    if not window:
        raise _refused(name, f"{start}.type is yarn, and {start}.original_context_length is missing")
    return {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": window,
        "beta_fast": _float(header, "scaling.yarn_beta_fast", 32.0, name),
        "beta_slow": _float(header, "scaling.yarn_beta_slow", 1.0, name),
    }


def _float(header: GgufHeader, key: str, otherwise: float, name: str) -> float:
    """A positive number; llama.cpp takes 0 for one that wasn't given."""
    full = f"{header.architecture}.rope.{key}"
    value = header.facts.get(full, 0.0)
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise _refused(name, f"{full} is {value}")
    return float(value) or otherwise


def _llama3(factors: Sequence[float], base: float) -> dict[str, str | float] | None:
    """The parameters of `rope_type: llama3` that give these factors to float precision; None: none do."""
    plain = unscaled(base, 2 * len(factors))
    largest = max(factors)
    for factor, window in product(dict.fromkeys((float(round(largest)), largest, 8.0, 32.0)), _WINDOWS):
        wanted = [_llama3_factor(one, factor, window) for one in plain]
        if all(math.isclose(one, other, rel_tol=_EXACT) for one, other in zip(wanted, factors, strict=True)):
            return {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": _LOWEST,
                "high_freq_factor": _HIGHEST,
                "original_max_position_embeddings": window,
            }
    return None


def _llama3_factor(frequency: float, factor: float, window: int) -> float:
    """As llama.cpp's convert_hf_to_gguf.py writes `rope_freqs`."""
    turns = window * frequency / (2 * math.pi)
    smooth = min(1.0, max(0.0, (turns - _LOWEST) / (_HIGHEST - _LOWEST)))
    return 1 / ((1 - smooth) / factor + smooth)


def _numbers(path: Path, tensor: GgufTensor, name: str) -> tuple[float, ...]:
    count = math.prod(tensor.shape)
    code = {"F32": "f", "F16": "e"}.get(tensor.dtype)
    if code is None or len(tensor.shape) != 1 or not 0 < count <= 1 << 14:
        raise _refused(name, f"its tensor {tensor.name} is of type {tensor.dtype} and shape {list(tensor.shape)}")
    with path.open("rb") as file:
        file.seek(tensor.at)
        found = struct.unpack(f"<{count}{code}", file.read(count * struct.calcsize(code)))
    if not all(math.isfinite(one) and one > 0 for one in found):
        raise _refused(name, f"its tensor {tensor.name} holds numbers that no rotation has")
    return found


def _refused(name: str, cause: str) -> BadModel:
    return BadModel(name, f"{cause}: it would be scored with other angles than it was trained with", _INSTEAD)
