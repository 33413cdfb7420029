"""A GGUF model as it lies on disk: one file or several, with all of the tensors that its architecture needs.

A model that lacks some would be given random numbers for them, and those would be scored.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proctor.catalog import gguf
from proctor.catalog.gguf import GgufHeader
from proctor.catalog.gguf_rope import Rotation, read_rotation
from proctor.errors import BadModel

# As llama-gguf-split and gguf's own writer name the files of one model.
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_NAMED = 3  # files or tensors that an error names
_JOIN = "Put all of them into one folder, or join them where they are: llama-gguf-split --merge FIRST_FILE ONE_FILE."
_AGAIN = "Copy it again, or convert the original model again."

_ATTENTION = "attn_norm attn_q attn_k attn_v attn_output"
_FUSED = "attn_norm attn_qkv attn_output"
_PLAIN = "ffn_up ffn_down"
_GATED = "ffn_gate ffn_up ffn_down"
_EXPERTS = "ffn_gate_inp ffn_gate_exps ffn_up_exps ffn_down_exps"
_NORMS = "attn_q_norm attn_k_norm"
_POST = "post_attention_norm post_ffw_norm"
# The weights of each block of an architecture: gguf's constants.MODEL_TENSORS, as far as transformers asks for them.
_BLOCKS = {
    "llama": f"{_ATTENTION} ffn_norm {_GATED}",
    "qwen2": f"{_ATTENTION} ffn_norm {_GATED}",
    "qwen3": f"{_ATTENTION} {_NORMS} ffn_norm {_GATED}",
    "qwen2moe": f"{_ATTENTION} ffn_norm {_EXPERTS}",
    "qwen3moe": f"{_ATTENTION} {_NORMS} ffn_norm {_EXPERTS}",
    "minimax-m2": f"{_ATTENTION} {_NORMS} ffn_norm {_EXPERTS}",
    "gemma2": f"{_ATTENTION} {_POST} ffn_norm {_GATED}",
    "gemma3": f"{_ATTENTION} {_NORMS} {_POST} ffn_norm {_GATED}",
    "phi3": f"{_FUSED} ffn_norm {_PLAIN}",
    "gpt2": f"{_FUSED} ffn_norm {_PLAIN}",
    "bloom": f"{_FUSED} ffn_norm {_PLAIN}",
    "falcon": f"{_FUSED} {_PLAIN}",
    "stablelm": f"{_ATTENTION} {_GATED}",
    "starcoder2": f"{_ATTENTION} ffn_norm {_PLAIN}",
    "nemotron": f"{_ATTENTION} ffn_norm {_PLAIN}",
    "mamba": "attn_norm ssm_in ssm_conv1d ssm_x ssm_dt ssm_out",
    "lfm2": f"attn_norm ffn_norm {_GATED}",
    "qwen35": f"attn_norm post_attention_norm {_GATED}",
}
_MIXED = ("lfm2", "qwen35")  # their blocks are not all of one kind


@dataclass(frozen=True)
class GgufModel:
    """A model's files in their order, and its header: the facts of the first, the tensors of all."""

    files: tuple[Path, ...]
    header: GgufHeader
    rotation: Rotation


def read_model(path: Path, name: str) -> GgufModel:
    """The model that a GGUF file belongs to: `path` alone, or all files of a split model, whichever of them it is.

    Raises
    ------
    BadModel
        naming `name` and the files or tensors that are missing; also as `gguf.read` and `read_rotation` do.
    """
    files = split_files(path, name)
    headers = [gguf.read(file, name if file == path else str(file)) for file in files]
    if len(files) > 1:
        _check_parts(files, headers, name)
    header = GgufHeader(headers[0].facts, tuple(tensor for one in headers for tensor in one.tensors))
    _check_tensors(header, name)
    return GgufModel(files, header, read_rotation(files, headers, name))


def split_files(path: Path, name: str) -> tuple[Path, ...]:
    """The files of the model that `path` belongs to, in order: itself, where it isn't one of several.

    Raises
    ------
    BadModel
        where some of them are not beside it, or can't be found by their names.
    """
    number, count = _place(gguf.read(path, name))
    if count < 2:
        return (path,)
    part = _PART.fullmatch(path.name)
    if part is None or int(part["count"]) != count or int(part["number"]) != number + 1:
        cause = f"it is file {number + 1} of the {count} of a split model, and its name doesn't tell the others'"
        raise BadModel(name, cause, f"Name them as they were, such as …-{number + 1:05}-of-{count:05}.gguf. {_JOIN}")
    files = tuple(path.with_name(f"{part['stem']}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1))
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise BadModel(name, f"of its {count} files {len(missing)} are missing: {_some(missing)}", _JOIN)
    return files


def fingerprint(path: Path, name: str, of_file: Callable[[Path], str]) -> str:
    """16 hex digits over a GGUF model: `of_file` of the file, or over those of all files of a split model."""
    files = split_files(path, name) if _PART.fullmatch(path.name) else (path,)
    if len(files) == 1:
        return of_file(files[0])
    lines = "".join(f"{file.name}:{of_file(file)}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def missing_tensors(header: GgufHeader) -> list[str]:
    """The names of tensors that the model can't do without and that no file holds, in order.

    For architectures that aren't known here that is the embedding alone: what converts the file checks the rest. An
    output head is never asked for: where there is none, it is the embedding. Tensors of rotary frequencies are
    optional, and so are biases, but where one block has a bias all have it.
    """
    present = {tensor.name for tensor in header.tensors}
    wanted = ["token_embd.weight"]
    architecture, blocks = header.architecture, header.number("block_count")
    if architecture in _BLOCKS:
        wanted += [] if architecture in _MIXED else ["output_norm.weight"]
        experts = header.number("expert_count") and "_exps" not in _BLOCKS[architecture]
        each = [f"{part}.weight" for part in _BLOCKS[architecture].split() if not (experts and part in _GATED.split())]
        # A count above that of all tensors is wrong: the first blocks without any show it.
        numbers = range(min(blocks, len(present) + 1))
        each += [] if architecture in _MIXED else sorted(_suffixes(present, numbers) - set(each))
        wanted += [f"blk.{block}.{suffix}" for block in numbers for suffix in each]
    return [tensor for tensor in wanted if tensor not in present]


def _suffixes(names: set[str], blocks: range) -> set[str]:
    """What these blocks hold, without their numbers; rotary frequencies are left out: not every block needs them."""
    parts = (name.split(".", 2) for name in names if name.startswith("blk.") and name.count(".") > 1)
    found = {part[2] for part in parts if part[1].isdecimal() and int(part[1]) in blocks}
    return {suffix for suffix in found if "rope" not in suffix and "rot" not in suffix}


def _check_tensors(header: GgufHeader, name: str) -> None:
    missing = missing_tensors(header)
    if missing:
        count, tensors = len(missing), "tensor is" if len(missing) == 1 else "tensors are"
        cause = f"{count} {tensors} missing from its file, which would become random numbers: {_some(missing)}"
        raise BadModel(name, cause, _AGAIN)


def _check_parts(files: Sequence[Path], headers: Sequence[GgufHeader], name: str) -> None:
    """Refuse files that bear the right names and are of another model, or stand in another's place."""
    for number, (file, header) in enumerate(zip(files, headers, strict=True)):
        if _place(header) != (number, len(files)):
            raise BadModel(name, f"{file.name} is no file {number + 1} of a model of {len(files)}", _AGAIN)
    held = defaultdict[str, int](int)
    for header in headers:
        for tensor in header.tensors:
            held[tensor.name] += 1
    twice = [tensor for tensor, count in held.items() if count > 1]
    said = headers[0].facts.get("split.tensors.count", len(held))
    if twice or said != len(held):
        doubled = f", {_some(twice)} twice," if twice else ""
        cause = f"its files hold {len(held)} tensors{doubled} where {said} should be"
        raise BadModel(name, cause, _AGAIN)


def _place(header: GgufHeader) -> tuple[int, int]:
    """Which file of how many it is, from 0."""
    number, count = header.facts.get("split.no", 0), header.facts.get("split.count", 1)
    return (number, count) if isinstance(number, int) and isinstance(count, int) else (0, 1)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
