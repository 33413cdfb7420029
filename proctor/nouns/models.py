"""Models and where they run: quantization, device, type of the numbers, and the lane that these make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from proctor.errors import BadInput


class Quant(StrEnum):
    """Quantization of the weights: as stored, LLM.int8, or NF4 with double quantization."""

    NONE = "none"
    EIGHT_BIT = "8bit"
    FOUR_BIT = "4bit"


class Device(StrEnum):
    """The class of device that a Run wants; also the name of the Celery queue that carries its bell."""

    GPU = "gpu"
    CPU = "cpu"
    NET = "net"  # a server elsewhere computes, and is asked over the network


class DType(StrEnum):
    """The type that a model computes in; `auto` is the checkpoint's own where the device has it."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class ModelSource(StrEnum):
    """Where a model's files come from, or that a server has them."""

    HUB = "hub"
    FOLDER = "folder"
    GGUF = "gguf"
    DEMO = "demo"
    ENDPOINT = "endpoint"


# Of a GGUF file, and of one of the several of a split model.
_ENDING = re.compile(r"(-\d{5}-of-\d{5})?\.gguf$")


def without_ending(model: str) -> str:
    """A hub id or path without `.gguf`, or `-00001-of-00002.gguf`, at its end."""
    return _ENDING.sub("", model.rstrip("/"))


def short_name(model: str) -> str:
    """The last part of a hub id or path, without the ending of a file: what tables and graphs call a model."""
    return without_ending(model).rsplit("/", 1)[-1]


@dataclass(frozen=True)
class ModelRef:
    """A model by name. `revision` is a hub commit or a fingerprint of local files; "" until it is known."""

    name: str  # hub id, absolute path of a folder or GGUF file, a demo model's short name, or what a server calls it
    source: ModelSource
    revision: str = ""

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip() or any(ord(c) < 32 for c in self.name):
            raise BadInput(f"{self.name!r} is no model name.", "Give a hub id, a folder or a GGUF file.")

    @property
    def label(self) -> str:
        """Short and readable, for tables and graphs: the last part of the name."""
        return short_name(self.name)

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


@dataclass(frozen=True)
class Lane:
    """What a worker can do without loading anything: device class, model (with revision), quantization."""

    device: Device
    model: str
    quant: Quant

    def __str__(self) -> str:
        return f"{self.device}/{self.model}/{self.quant}"

    @classmethod
    def parse(cls, text: str) -> Lane:
        """The Lane that `str` wrote: of its parts only the model may hold a slash. Raises `ValueError` for others."""
        device, _, rest = text.partition("/")
        model, _, quant = rest.rpartition("/")
        return cls(Device(device), model, Quant(quant))
