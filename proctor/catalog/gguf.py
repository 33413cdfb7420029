"""The header of a GGUF file (versions 2 and 3): enough to know the model, and that the file is whole.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from proctor.errors import BadModel
from proctor.lfs import FETCH, HEAD_BYTES, is_pointer
from proctor.nouns.models import DType

# Far above what models have: what claims more is damaged, or made to keep its reader busy.
_MOST_PAIRS, _MOST_TENSORS, _MOST_TEXTS, _MOST_DIMENSIONS = 1 << 14, 1 << 18, 1 << 22, 4
_MOST_ALIGNED = 1 << 20  # bytes

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# Type number -> (name, elements of a block, bytes of a block), from ggml's table of types.
_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}


@dataclass(frozen=True)
class GgufTensor:
    """One tensor of the file; `shape` is in the order of torch, the slowest dimension first."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    at: int = field(default=0, compare=False)  # where its numbers begin in its file, bytes


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF file says of itself. `facts` holds its scalar values and strings; arrays are left out."""

    facts: Mapping[str, str | int | float | bool]
    tensors: tuple[GgufTensor, ...]

    @property
    def architecture(self) -> str:
        return str(self.facts.get("general.architecture", "unknown"))

    @property
    def dtype(self) -> DType:
        """The type that its numbers are held in once they are unpacked.

        Files of one plain type keep it. Quantized blocks become bfloat16: its rounding (one part in 512) is far below
        that of the blocks, and it is what nearly all of their originals were.
        """
        matrices = {tensor.dtype for tensor in self.tensors if len(tensor.shape) > 1}
        plain = {"F32": DType.FLOAT32, "F16": DType.FLOAT16, "BF16": DType.BFLOAT16}
        return plain.get(matrices.pop(), DType.BFLOAT16) if len(matrices) == 1 else DType.BFLOAT16

    def number(self, key: str) -> int:
        """A whole number of this architecture, such as `block_count`; 0 where the file doesn't say."""
        value = self.facts.get(f"{self.architecture}.{key}", 0)
        return value if isinstance(value, int) else 0


def read(path: Path, name: str) -> GgufHeader:
    """The header of a GGUF file, checked against the file's size.

    Raises
    ------
    BadModel
        naming `name`, for a file that is empty, no GGUF, of an unknown version, or cut off.
    """
    size = path.stat().st_size
    if not size:
        raise BadModel(name, "the file is empty", "Copy it again.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            header, end = _Cursor(data).header(name)
        except (struct.error, UnicodeDecodeError, ValueError) as error:
            raise BadModel(name, f"its GGUF header is damaged or cut off ({size:,} bytes)", "Copy it again.") from error
    if end > size:
        raise BadModel(name, f"the file is cut off: {size:,} of {end:,} bytes", "Copy it again.")
    return header


class _Cursor:
    """Reads one thing after another from the mapped file."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 0

    def header(self, name: str) -> tuple[GgufHeader, int]:
        """The header, and how long the file must be to hold all its tensors."""
        if is_pointer(self.data[:HEAD_BYTES]):
            raise BadModel(name, "the file is a pointer of Git LFS, not the model", FETCH)
        if self.data[:4] != b"GGUF":
            raise BadModel(name, "it is no GGUF file", "Name a folder as save_pretrained writes it, or a GGUF file.")
        self.at = 4
        version = self.scalar("I")
        if version not in (2, 3):
            raise BadModel(name, f"it is GGUF of version {version}; 2 and 3 are read", "Convert it again.")
        tensors, pairs = int(self.scalar("Q")), int(self.scalar("Q"))
        facts = {}
        if pairs > _MOST_PAIRS or tensors > _MOST_TENSORS:
            raise ValueError("more values or tensors than models have")
        for _ in range(pairs):
            key, value = self.string(), self.value(int(self.scalar("I")))
            if value is not None:
                facts[key] = value
        described = [self.tensor(name) for _ in range(tensors)]
        alignment = facts.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= _MOST_ALIGNED:
            raise ValueError("an alignment that no file has")
        start = -(-self.at // alignment) * alignment
        end = start + max((last for _, last in described), default=0)
        return GgufHeader(facts, tuple(replace(tensor, at=start + tensor.at) for tensor, _ in described)), end

    def scalar(self, code: str) -> int | float | bool:
        layout = "<" + code
        found: tuple[int | float | bool] = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return found[0]

    def string(self) -> str:
        return self.skip(int(self.scalar("Q"))).decode()

    def skip(self, length: int) -> bytes:
        if length > len(self.data) - self.at:
            raise ValueError("longer than the file")
        self.at += length
        return self.data[self.at - length : self.at]

    def value(self, kind: int) -> str | int | float | bool | None:
        """A value of the given kind; None for an array, which is passed over."""
        if kind == _STRING:
            return self.string()
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind != _ARRAY:
            raise ValueError(f"no kind {kind}")
        kind, length = int(self.scalar("I")), int(self.scalar("Q"))
        if kind in _SCALARS:
            self.skip(length * struct.calcsize("<" + _SCALARS[kind]))
            return None
        if kind != _STRING:
            raise ValueError("arrays of arrays are nothing that model files have")
        if length > _MOST_TEXTS:
            raise ValueError("more texts than vocabularies have")
        for _ in range(length):
            self.skip(int(self.scalar("Q")))
        return None

    def tensor(self, name: str) -> tuple[GgufTensor, int]:
        """A tensor's description, and where its data end, counted from the start of all data."""
        called, dimensions = self.string(), int(self.scalar("I"))
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError("more dimensions than ggml has")
        shape = tuple(int(self.scalar("Q")) for _ in range(dimensions))
        kind, offset = int(self.scalar("I")), int(self.scalar("Q"))
        if kind not in _TYPES:
            raise BadModel(name, f"tensor {called} is of ggml's type {kind}, which isn't known here")
        dtype, block, size = _TYPES[kind]
        return GgufTensor(called, dtype, shape[::-1], offset), offset + math.prod(shape) // block * size
