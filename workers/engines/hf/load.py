"""A model from a local folder into memory, or a reason why not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from proctor.catalog.memory import pack_bytes, weight_bytes
from proctor.catalog.weights import Weights, check_tokenizer, read_folder
from proctor.errors import BadModel, DoesNotFit, NotHere, first_line
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, Quant
from proctor.nouns.runs import Cost
from workers.engines.devices import TORCH_DTYPES, DeviceMap, TorchDevice, is_of_the_device, is_shortage, place
from workers.engines.hf.cpu.fused_gates import fuse
from workers.engines.hf.cpu.onednn import PLAIN, pack
from workers.engines.hf.float16 import TEXT, why_not_float16
from workers.engines.hf.head import widen_head
from workers.engines.hf.model import CausalModel
from workers.engines.hf.own_weights import leave_file
from workers.engines.hf.quantize import check_computes, notes, prequantized_notes, quantization, settle, unpacked
from workers.engines.hf.quiet import quiet_libraries
from workers.engines.hf.tokens import HfTokenizer
from workers.engines.measure import Meter

BUSY_S = 30.0  # for memory that somebody else is giving back
_GLANCE_S = 0.5
_MOST = 0.9  # of a device's memory, that a model can hope for
_NO_WINDOW = 1 << 30  # tokens: models without positions read as much as they are given
# How transformers refuses a quantized model that accelerate found too large for the GPUs (its quantizer_bnb_*.py).
_OFFLOADS = "dispatched on the CPU or the disk"
_NO_BFLOAT16 = "computed in {}: this GPU has no bfloat16"
_TOKENIZER_SAYS = 1_000_000_000  # tokenizers that know no limit say a number above this


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory with its tokenizer."""

    model: CausalModel
    tokenizer: HfTokenizer
    weights: Weights
    dtype: DType  # what it computes in, never `auto`
    products: str  # what multiplies its matrices: see `Provenance.products`
    bytes: int  # of parameters and buffers, as they lie in memory
    cost: Cost
    notes: tuple[str, ...]


def load(
    folder: Path,
    name: str,
    quant: Quant,
    dtype: DType,
    device: TorchDevice,
    pack_tokens: int = Conditions.pack_tokens,
) -> LoadedModel:
    """Load tokenizer and weights (safetensors only, no code of the model's own).

    Of a group of GPUs it takes one alone where packs of `pack_tokens` have room beside the weights. On GPUs without
    bfloat16, `auto` is float16 for a model of bfloat16 where its numbers hold there, else float32.

    Raises
    ------
    BadModel
        naming `name` and what is missing, damaged or not supported.
    NotHere
        where this installation can't load it, and another one may.
    DoesNotFit
        where the weights alone need more memory than is free, predicted before anything is loaded, or where layers
        would have to lie outside of the GPUs.
    """
    weights = read_folder(folder, name)
    if weights.quantized_as and quant is not Quant.NONE:
        raise BadModel(name, f"it is already quantized ({weights.quantized_as})", "Use -q none: it stays as it is.")
    check_known(folder, name)
    check_tokenizer(folder, name)
    computed = device.resolve(dtype, weights.dtype, quant)
    order = _Order(folder, name, weights, quant, pack_tokens, device)
    told = notes(quant, device.kind) + prequantized_notes(weights)
    with Meter(device) as meter, quiet_libraries():
        library, model = order.put(computed)
        if computed is DType.FLOAT16 and DType.FLOAT16 not in (dtype, weights.dtype):
            tokenizer = HfTokenizer(library, _window(weights, library), name)
            with _named(name, 0, device):
                why = why_not_float16(model, tokenizer.ids(TEXT)[: tokenizer.window])
            told += (_NO_BFLOAT16.format(f"float32, as {why}" if why else "float16"),)
            if why:
                del model
                device.release()
                computed = DType.FLOAT32
                library, model = order.put(computed, why)
        with _named(name, 0, device):
            products = pack(model, device)
            if products != PLAIN or quant is not Quant.NONE:
                leave_file(model)
            if fuse(model):
                products += ", gates fused"
    vocabulary_size = int(model.config.get_text_config().vocab_size)
    tokenizer = HfTokenizer(library, _window(weights, library), name, vocabulary_size)
    size = int(model.get_memory_footprint())  # type: ignore[no-untyped-call]
    return LoadedModel(
        CausalModel(model, _padding(library, model)), tokenizer, weights, computed, products, size, meter.cost, told
    )


@dataclass(frozen=True)
class _Order:
    """A model that is to be loaded on a device, whatever it computes in."""

    folder: Path
    name: str
    weights: Weights
    quant: Quant
    pack_tokens: int
    device: TorchDevice

    def put(self, dtype: DType, because: str = "") -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
        """Tokenizer and model, which computes in `dtype` for the reason that is given. Errors as of `load`."""
        needs = weight_bytes(self.weights, self.quant, dtype)
        has = room_for(needs, self.device)
        if needs > has:
            raise DoesNotFit(self.name, needs, has, self.device.name, because)
        where = placement(self.weights, self.quant, dtype, self.pack_tokens, self.device)
        with _named(self.name, needs, self.device):
            library = AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
            model = self._load(dtype, where)
            if is_offloaded(getattr(model, "hf_device_map", {})):
                raise DoesNotFit(self.name, needs, has, self.device.name, because)
            return library, model

    def _load(self, dtype: DType, where: DeviceMap) -> PreTrainedModel:
        torch_dtype = TORCH_DTYPES[dtype]
        asked = quantization(self.quant, torch_dtype, self.folder, self.name)
        way = asked or unpacked(self.weights.quantized_as)
        # Even as None the keyword would replace what the checkpoint's own config says of its quantization.
        named = {} if way is None else {"quantization_config": way}
        found: tuple[PreTrainedModel, dict[str, set[str]]] = AutoModelForCausalLM.from_pretrained(  # type: ignore[assignment]
            self.folder,
            dtype=torch_dtype,
            device_map=where.device_map,
            max_memory=where.max_memory,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **named,
        )
        model, report = found
        check_complete(report, self.name)
        settle(model)
        check_computes(model, self.quant, self.name)
        widen_head(model)
        return model


@contextmanager
def _named(name: str, needs: int, device: TorchDevice) -> Iterator[None]:
    """Turn what libraries raise over a model that can't be loaded into `BadModel` and `DoesNotFit`."""
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, safetensors.SafetensorError) as error:
        if is_shortage(error) or _OFFLOADS in str(error):
            raise DoesNotFit(name, needs, device.available_bytes(), device.name) from error
        if is_of_the_device(error):
            raise  # a sick GPU is no fault of the model
        raise BadModel(name, first_line(error)) from error


def room_for(needs: int, device: TorchDevice, limit_s: float = BUSY_S) -> int:
    """Memory that is free on the device, in bytes, once it is enough or waiting for it is in vain.

    A GPU's memory is busy for seconds after the process that held it was killed.
    """
    end = time.monotonic() + limit_s
    has = device.available_bytes()
    most = _MOST * min(device.memory_bytes, device.limit_bytes or device.memory_bytes)
    hopeful = device.kind is Device.GPU and needs <= most
    while hopeful and needs > has and time.monotonic() < end:
        time.sleep(_GLANCE_S)
        has = device.available_bytes()
    return has


def placement(weights: Weights, quant: Quant, dtype: DType, pack_tokens: int, device: TorchDevice) -> DeviceMap:
    """Where a model goes that is to compute in `dtype` and to score packs of so many tokens."""
    room = weight_bytes(weights, quant, dtype) + pack_bytes(weights, dtype, pack_tokens)
    return place(str(device.torch), room, device.free_by_gpu())


def check_known(folder: Path, name: str) -> None:
    """Raise `NotHere` where this transformers has no code for the model's type: a newer one may have it."""
    kind = json.loads((folder / "config.json").read_bytes()).get("model_type")
    if isinstance(kind, str) and kind and kind not in CONFIG_MAPPING:
        raise NotHere(
            name,
            f"transformers {version('transformers')} knows no model of type {kind!r}",
            "Start a worker with a newer transformers, or take another model.",
        )


def is_offloaded(device_map: Mapping[str, object]) -> bool:
    """Whether a loaded model's `hf_device_map` keeps layers on disk, or some on the CPU beside others on GPUs."""
    places = {str(place).partition(":")[0] for place in device_map.values()}
    return "disk" in places or ("cpu" in places and len(places) > 1)


def check_complete(report: Mapping[str, set[Any]], name: str) -> None:
    """Raise `BadModel` where transformers' report on loading names weights that it filled with random numbers.

    Those are the ones that no file holds, and the ones that a file holds in another shape (key, its shape, the
    model's). An output head that shares the embedding's numbers is neither.
    """
    missing = sorted({*report["missing_keys"], *(key for key, *_ in report.get("mismatched_keys", ()))})
    if missing:
        raise BadModel(
            name, f"{len(missing)} of its weights are missing, such as {missing[0]}: they would be random numbers"
        )


def _window(weights: Weights, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that the model reads at once: its config's word, else its tokenizer's, else no limit."""
    said = int(tokenizer.model_max_length)
    return weights.max_positions or (said if said < _TOKENIZER_SAYS else _NO_WINDOW)


def _padding(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """A token to fill lines with; no line ever looks at it, and the embedding has a row for it.

    Many a tokenizer was given a token for padding that its model was never given a row for.
    """
    rows = int(model.get_input_embeddings().num_embeddings)  # type: ignore[arg-type] # a plain attribute
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((token for token in known if isinstance(token, int) and 0 <= token < rows), 0)
