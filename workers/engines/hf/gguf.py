"""A GGUF model unpacked to a folder of safetensors in plain numbers, every one of which was in its files.

transformers fills what a file lacks with fresh random numbers and says so in a report alone: that report is read here,
and a folder is only used that bears the record of the checks it has passed.
"""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from proctor.catalog.conversion import record
from proctor.catalog.gguf import GgufHeader
from proctor.catalog.gguf_model import GgufModel, read_model
from proctor.errors import BadModel, first_line

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def unpack(path: Path, folder: Path, name: str) -> None:
    """Write the GGUF model that `path` belongs to as safetensors, config and tokenizer, with its record, to `folder`.

    Needs room for the model once more while that lasts, if it is one of several files.

    Raises
    ------
    BadModel
        naming `name`, where a tensor is missing, where transformers can't read the model, or not all of it.
    """
    from workers.engines.hf.quiet import quiet_libraries

    model = read_model(path, name)
    # The loader of GGUF shows a bar of its own that no switch turns off.
    with quiet_libraries(), contextlib.redirect_stderr(io.StringIO()), contextlib.ExitStack() as stack:
        whole = path
        if len(model.files) > 1:
            whole = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder.parent))) / "whole.gguf"
            _join(model.files, whole)
        try:
            _save(whole, model, folder, name)
        except (ValueError, KeyError, OSError, RuntimeError, NotImplementedError) as error:
            raise BadModel(name, f"transformers can't convert this GGUF file: {first_line(error)}") from error
    record(folder)


def _save(whole: Path, read: GgufModel, folder: Path, name: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from workers.engines.devices import TORCH_DTYPES
    from workers.engines.hf.load import check_complete
    from workers.engines.hf.rope import check_rotation, put_rotation

    config = AutoConfig.from_pretrained(whole.parent, gguf_file=whole.name)
    put_rotation(config, read.rotation)
    tokenizer = AutoTokenizer.from_pretrained(whole.parent, gguf_file=whole.name)
    found: tuple[PreTrainedModel, dict[str, set[str]]] = AutoModelForCausalLM.from_pretrained(  # type: ignore[assignment]
        whole.parent,
        config=config,
        gguf_file=whole.name,
        dtype=TORCH_DTYPES[read.header.dtype],
        quantization_config=GgufConfig(dequantize=True),
        output_loading_info=True,
    )
    model, report = found
    check_complete(report, name)
    _check_all_read(model, read.header, name)
    check_rotation(model, read.rotation, name)
    # It is plain numbers now; with these marks save_pretrained would refuse it as quantized.
    model.hf_quantizer = None  # type: ignore[assignment] # transformers' modules take any attribute
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _check_all_read(model: PreTrainedModel, header: GgufHeader, name: str) -> None:
    """Raise `BadModel` where the file holds more numbers than the model took: transformers passes over what it lacks a
    place for, such as the biases of a Llama, without a word."""
    layers = int(getattr(model.config, "num_hidden_layers", 0)) or header.number("block_count")
    tied = bool(getattr(model.config, "tie_word_embeddings", False))
    stored = sum(math.prod(tensor.shape) for tensor in header.tensors if _is_weight(tensor.name, layers, tied=tied))
    held = sum(parameter.numel() for parameter in model.parameters()) + sum(b.numel() for b in _kept_buffers(model))
    if stored > held:
        raise BadModel(
            name,
            f"transformers reads {held:,} of the {stored:,} numbers in this GGUF file: what it would leave out is part "
            "of the model",
            "Name the folder of the original model.",
        )


def _kept_buffers(model: PreTrainedModel) -> list[torch.Tensor]:
    """Buffers that are part of a model's state, as files hold them."""
    state = model.state_dict(keep_vars=True)
    return [buffer for key, buffer in model.named_buffers() if key in state]


def _is_weight(tensor: str, layers: int, *, tied: bool) -> bool:
    """Whether a tensor is part of what the model computes with: rotary frequencies follow from its config, blocks
    behind the last layer predict further tokens, and of a tied output head the embedding is the original."""
    block = tensor.split(".")[1] if tensor.startswith("blk.") else ""
    behind = block.isdecimal() and int(block) >= layers
    return not (behind or "rope" in tensor or (tied and tensor == "output.weight"))


def _join(files: Sequence[Path], whole: Path) -> None:
    """One file out of those of a split model, as `llama-gguf-split --merge` makes it."""
    import gguf

    readers = [gguf.GGUFReader(file) for file in files]
    writer = gguf.GGUFWriter(whole, str(readers[0].fields["general.architecture"].contents()))
    left_out = ("GGUF.", "split.", "general.architecture", "general.alignment")  # the writer's own, and what was split
    for field in readers[0].fields.values():
        if not field.name.startswith(left_out):
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
    tensors = [tensor for reader in readers for tensor in reader.tensors]
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, tensor.data.shape, tensor.data.dtype, tensor.data.nbytes, tensor.tensor_type
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(tensor.data)
    writer.close()
