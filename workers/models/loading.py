"""From a model's name to an engine that has it loaded: which engine serves it, and its files on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proctor.nouns.models import Device, ModelRef, ModelSource
from workers.engines.base import ComputeDevice, Engine, Files, LoadRequest
from workers.models.held import Load, Progress


@dataclass(frozen=True)
class EngineRow:
    """An engine, and the models that it serves, on which devices."""

    name: str
    sources: frozenset[ModelSource]
    devices: frozenset[Device]
    load: Callable[[LoadRequest, Files, ComputeDevice], Engine]


def _load_hf(request: LoadRequest, files: Files, device: ComputeDevice) -> Engine:
    from workers.engines.hf.engine import load_engine  # torch comes with it, for workers that compute themselves

    return load_engine(request, files, device)


def _load_endpoint(request: LoadRequest, files: Files, device: ComputeDevice) -> Engine:
    from workers.engines.endpoint.engine import load_engine

    return load_engine(request, files, device)


def _load_vllm(request: LoadRequest, files: Files, device: ComputeDevice) -> Engine:
    from workers.engines.endpoint.vllm import load_engine

    return load_engine(request, files, device)


_SERVED, _HERE = frozenset({ModelSource.ENDPOINT}), frozenset({Device.CPU, Device.GPU})
ENGINES = (
    EngineRow("hf", frozenset(ModelSource) - _SERVED, _HERE, _load_hf),
    EngineRow("vllm", frozenset(ModelSource) - _SERVED, frozenset({Device.NET}), _load_vllm),
    EngineRow("endpoint", _SERVED, frozenset(Device), _load_endpoint),
)


def engine_of(ref: ModelRef, device: Device) -> EngineRow:
    """The first engine that serves a model on such a device."""
    return next(row for row in ENGINES if ref.source in row.sources and device in row.devices)


def engine_loader(
    device: ComputeDevice, cache: Path, progress: Progress = lambda _: None, moved: Callable[[], None] = lambda: None
) -> Load:
    """What loads models on this device, with the files of `cache`. `moved` is called while files are fetched.

    The call that is returned raises:

    BadModel, NotHere, DoesNotFit
        where a model can't be loaded.
    HubUnavailable, DiskFull
        where its files can't be had now: another try later may have them.
    """

    def load(request: LoadRequest) -> Engine:
        def files() -> Path:
            from workers.models.local_files import local_folder

            folder = local_folder(request.ref, cache, progress, moved)
            progress(f"{request.ref.label} ({request.quant}): loading")
            return folder

        return engine_of(request.ref, device.kind).load(request, files, device)

    return load
