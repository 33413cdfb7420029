"""Facts about a model, read from its config and the headers of its weights; the weights themselves stay on disk."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proctor.catalog.gguf_model import read_model
from proctor.errors import BadModel
from proctor.lfs import FETCH, HEAD_BYTES, is_pointer
from proctor.nouns.models import DType

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_HEADER_LIMIT = 100_000_000  # bytes; the safetensors format's own
_CONFIG_LIMIT = 64_000_000  # bytes; the largest index of shards has a tenth of it
_MOST_DIMENSIONS = 8
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_DTYPES = {
    "F32": DType.FLOAT32,
    "F16": DType.FLOAT16,
    "BF16": DType.BFLOAT16,
    "float32": DType.FLOAT32,
    "float16": DType.FLOAT16,
    "bfloat16": DType.BFLOAT16,
}
# Bytes of the types that quantized checkpoints keep their weights in; no dtype of ours is made of them.
_KEPT = {"I8": 1, "U8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "I32": 4, "U32": 4, "I64": 8}
MXFP4 = "mxfp4"
# Parts of names of matrices that bitsandbytes leaves as they are: embeddings, output heads, experts, which
# transformers fuses into parameters of three dimensions, and the steps of state-space models.
_NOT_QUANTIZED = ("embed", "lm_head", "wte", "wpe", "token_embd", ".experts.", "_exps.", "router", "dt_proj", "ssm_dt")


_VOCABULARIES = (".model", ".spm", ".bpe", ".tiktoken", "merges.txt", "tekken.json")
_WITHOUT_VOCABULARY = ("ByT5", "Canine", "Perceiver")  # their tokens are bytes or characters
_TOKENIZER = "Copy the tokenizer's files into it too, as tokenizer.save_pretrained(FOLDER) writes them."


@dataclass(frozen=True)
class Tensor:
    """One tensor as a header describes it."""

    name: str
    dtype: str  # as the file says it: BF16, F32, Q4_1, …
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Weights:
    """What can be known of a model without loading it. 0 stands for what its config doesn't say."""

    architecture: str  # class name or GGUF architecture
    parameters: int
    quantizable: int  # of these, those in linear layers that bitsandbytes quantizes
    dtype: DType  # the checkpoint's own, what `auto` means before the device has its say
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    max_positions: int
    quantized_as: str = ""  # the method, where the checkpoint is already quantized: gptq, awq, bitsandbytes …
    packed: int = 0  # of the parameters, those that lie in blocks of MXFP4: loading unpacks them
    kept_bytes: int = 0  # of a quantized checkpoint's tensors that stay as the file has them; no parameters of these
    experts_a_token: int = 0  # of a mixture of experts, how many a token goes to; 0: it is none
    expert_width: int = 0  # the inner width of one


def read_folder(folder: Path, name: str = "") -> Weights:
    """Facts of a model folder: config.json and safetensors.

    Raises
    ------
    BadModel
        naming `name` (or the folder) and what is missing, damaged or refused.
    """
    name = name or str(folder)
    config = _read_json(folder / "config.json", name)
    files = weight_files(folder, name)
    return from_config(config, [tensor for file in files for tensor in read_safetensors(file, name)])


def read_gguf(path: Path, name: str = "") -> Weights:
    """Facts of a GGUF model, also of one in several files; errors as in `read_folder`. `dtype` is what it becomes."""
    name = name or str(path)
    header = read_model(path, name).header
    tensors = [Tensor(tensor.name, tensor.dtype, tensor.shape) for tensor in header.tensors]
    heads = header.number("attention.head_count")
    hidden = header.number("embedding_length")
    return Weights(
        architecture=header.architecture,
        parameters=sum(tensor.size for tensor in tensors),
        quantizable=_quantizable(tensors),
        dtype=header.dtype,
        layers=header.number("block_count"),
        hidden=hidden,
        intermediate=header.number("feed_forward_length"),
        heads=heads,
        kv_heads=header.number("attention.head_count_kv") or heads,
        head_dim=header.number("attention.key_length") or (hidden // heads if heads else 0),
        vocab=next((tensor.shape[0] for tensor in tensors if tensor.name == "token_embd.weight"), 0),
        max_positions=header.number("context_length"),
    )


def check_tokenizer(folder: Path, name: str) -> None:
    """Raise `BadModel` where a model folder holds no file that a tokenizer is made from."""
    config = folder / "tokenizer_config.json"
    said = str(_read_json(config, name).get("tokenizer_class", "")) if config.is_file() else ""
    files = (path.name for path in folder.iterdir() if path.is_file())
    if not any(is_vocabulary(file) for file in files) and not said.startswith(_WITHOUT_VOCABULARY):
        raise BadModel(
            name, f"there is no tokenizer in {folder}, such as tokenizer.json or tokenizer.model", _TOKENIZER
        )


def is_vocabulary(file: str) -> bool:
    """Whether a file of this name is one that a tokenizer is made from; its configs alone are not enough."""
    return file == "tokenizer.json" or file.endswith(_VOCABULARIES) or ("vocab" in file and not file.endswith(".py"))


def folder_chat_template(folder: Path, name: str) -> str:
    """A model folder's, wherever the versions of transformers have put it; "" where there is none. Raises `BadModel`.

    Of several templates it is the one called `default`.
    """
    jinja = folder / "chat_template.jinja"
    if jinja.is_file():
        return jinja.read_text(encoding="utf-8", errors="replace")
    for file in ("chat_template.json", "tokenizer_config.json"):
        said = _read_json(folder / file, name).get("chat_template") if (folder / file).is_file() else None
        if isinstance(said, list):
            several = {str(one.get("name")): one.get("template") for one in said if isinstance(one, dict)}
            said = several.get("default") or next(iter(several.values()), None)
        if isinstance(said, str) and said:
            return said
    return ""


def from_config(config: Mapping[str, object], tensors: Sequence[Tensor]) -> Weights:
    """Facts from a config and the description of all tensors. Multimodal configs nest the text model's."""
    text = config.get("text_config")
    text = text if isinstance(text, Mapping) else config
    heads = _number(text, "num_attention_heads", "n_head", "num_heads")
    hidden = _number(text, "hidden_size", "n_embd", "d_model")
    architectures = config.get("architectures")
    quantization = config.get("quantization_config")
    quantized_as = str(quantization.get("quant_method", "")) if isinstance(quantization, Mapping) else ""
    stored, packed, kept_bytes = _stored(tensors, quantized_as)
    experts_a_token = _number(text, "num_experts_per_tok", "num_experts_per_token", "moe_topk")
    return Weights(
        architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else "unknown",
        parameters=stored + packed,
        quantizable=_quantizable(tensors),
        dtype=_own_dtype(config, text, tensors),
        layers=_number(text, "num_hidden_layers", "n_layer", "num_layers"),
        hidden=hidden,
        intermediate=_number(text, "intermediate_size", "n_inner", "ffn_dim") or 4 * hidden,
        heads=heads,
        kv_heads=_number(text, "num_key_value_heads") or heads,
        head_dim=_number(text, "head_dim") or (hidden // heads if heads else 0),
        vocab=_number(text, "vocab_size"),
        max_positions=_number(text, "n_positions", "max_position_embeddings", "n_ctx", "max_seq_len"),
        quantized_as=quantized_as,
        packed=packed,
        kept_bytes=kept_bytes,
        experts_a_token=experts_a_token,
        expert_width=_number(text, "moe_intermediate_size", "intermediate_size") if experts_a_token else 0,
    )


def weight_files(folder: Path, name: str) -> tuple[Path, ...]:
    """The safetensors files of a model folder. Pickles are refused: they run code when they are opened."""
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    if (folder / INDEX).is_file():
        shards = _read_json(folder / INDEX, name).get("weight_map")
        names = sorted({str(shard) for shard in shards.values()}) if isinstance(shards, Mapping) else []
        files = tuple(folder / Path(shard).name for shard in names)
        missing = [file.name for file in files if not file.is_file()]
        if missing or not files:
            raise BadModel(
                name, f"{len(missing)} of {len(files)} shards are missing: {', '.join(missing[:3])}", "Copy them too."
            )
        return files
    if (folder / "adapter_config.json").is_file():
        raise BadModel(name, "it is an adapter, not a whole model", "Merge it into its base model and save that.")
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise BadModel(
            name,
            f"its weights are pickles ({pickles[0]}), which can run any code when they are opened",
            "Save it as safetensors: model.save_pretrained(FOLDER, safe_serialization=True).",
        )
    raise BadModel(name, f"there is no {SINGLE} in {folder}", "Name a folder as save_pretrained writes it.")


def read_safetensors(path: Path, name: str) -> tuple[Tensor, ...]:
    """The header of a safetensors file, checked against the file's size."""
    size = path.stat().st_size
    if size < 8:
        raise BadModel(name, f"{path.name} is empty" if not size else f"{path.name} is cut off", "Copy it again.")
    with path.open("rb") as file:
        if is_pointer(file.read(HEAD_BYTES)):
            raise BadModel(name, f"{path.name} is a pointer of Git LFS, not the weights", FETCH)
        file.seek(0)
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, _HEADER_LIMIT):
            raise BadModel(name, f"{path.name} is no safetensors file, or its header is cut off", "Copy it again.")
        text = file.read(length)
    try:
        entries = {key: entry for key, entry in json.loads(text).items() if key != "__metadata__"}
        tensors = tuple(Tensor(key, str(e["dtype"]), _shape(e["shape"])) for key, e in entries.items())
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    # RecursionError: brackets within brackets; OverflowError: numbers without end.
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError) as error:
        raise BadModel(name, f"the header of {path.name} is damaged", "Copy it again.") from error
    if end > size:
        raise BadModel(name, f"{path.name} is cut off: {size:,} of {end:,} bytes", "Copy it again.")
    return tensors


def _shape(lengths: Sequence[object]) -> tuple[int, ...]:
    """A tensor's shape. Raises ValueError for what is none: a length is a whole number that fits 64 bits."""
    if not isinstance(lengths, list):
        raise ValueError("no list")  # noqa: TRY004 -- read_safetensors takes it for a damaged header
    shape = tuple(length for length in lengths if isinstance(length, int) and 0 <= length < 1 << 63)
    if len(shape) != len(lengths) or len(shape) > _MOST_DIMENSIONS:
        raise ValueError("no shape")
    return shape


def _quantizable(tensors: Sequence[Tensor]) -> int:
    return sum(
        tensor.size
        for tensor in tensors
        if len(tensor.shape) == 2
        and tensor.name.endswith("weight")
        and tensor.name != "output.weight"
        and not any(part in tensor.name for part in _NOT_QUANTIZED)
    )


def _stored(tensors: Sequence[Tensor], quantized_as: str) -> tuple[int, int, int]:
    """Parameters that lie in the files one by one, those in blocks of MXFP4, and bytes of what stays as it is.

    MXFP4 (Open Compute Project's Microscaling formats) has two numbers of 4 bits in a byte of `…_blocks`, and for 32 of
    them a byte in `…_scales`. Other methods' tensors of whole or 8-bit numbers stay in memory as they are.
    """
    if quantized_as == MXFP4:
        packed = 2 * sum(tensor.size for tensor in tensors if tensor.name.endswith("_blocks"))
        rest = (tensor.size for tensor in tensors if not tensor.name.endswith(("_blocks", "_scales")))
        return sum(rest), packed, 0
    kept = [tensor for tensor in tensors if quantized_as and tensor.dtype in _KEPT]
    rest_of = sum(tensor.size for tensor in tensors) - sum(tensor.size for tensor in kept)
    return rest_of, 0, sum(tensor.size * _KEPT[tensor.dtype] for tensor in kept)


def _own_dtype(config: Mapping[str, object], text: Mapping[str, object], tensors: Sequence[Tensor]) -> DType:
    said = [where.get(key) for where in (config, text) for key in ("dtype", "torch_dtype")]
    stored = Counter[str]()
    for tensor in tensors:
        stored[tensor.dtype] += tensor.size
    candidates = [*said, *(dtype for dtype, _ in stored.most_common())]
    return next((_DTYPES[str(dtype)] for dtype in candidates if str(dtype) in _DTYPES), DType.FLOAT32)


def _number(config: Mapping[str, object], *keys: str) -> int:
    values = (config.get(key) for key in keys)
    return next((value for value in values if isinstance(value, int)), 0)


def _read_json(path: Path, name: str) -> Mapping[str, object]:
    try:
        if (size := path.stat().st_size) > _CONFIG_LIMIT:
            raise BadModel(name, f"{path.name} has {size:,} bytes, which no config has", "Copy it again.")
        text = path.read_bytes()
        if is_pointer(text):
            raise BadModel(name, f"{path.name} is a pointer of Git LFS", FETCH)
        found = json.loads(text)
    except FileNotFoundError as error:
        raise BadModel(
            name, f"there is no {path.name} in {path.parent}", "Name a folder as save_pretrained writes it."
        ) from error
    except RecursionError as error:
        raise BadModel(name, f"{path.name} can't be read: its brackets are too deep", "Copy it again.") from error
    except (OSError, ValueError) as error:
        raise BadModel(name, f"{path.name} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise BadModel(name, f"{path.name} is no JSON object")
    return found
