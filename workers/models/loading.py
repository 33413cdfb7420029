"""From a model's name to an engine that has it loaded: which engine serves it, and its files on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proctor.nouns.models import ModelRef, ModelSource
from workers.engines.base import ComputeDevice, Engine, Files, LoadRequest
from workers.engines.hf.engine import load_engine
from workers.models.held import Load
from workers.models.local_files import Progress, local_folder


@dataclass(frozen=True)
class EngineRow:
    """An engine, and the models that it serves."""

    name: str
    sources: frozenset[ModelSource]
    load: Callable[[LoadRequest, Files, ComputeDevice], Engine]


ENGINES = (EngineRow("hf", frozenset(ModelSource), load_engine),)


def engine_of(ref: ModelRef) -> EngineRow:
    """The first engine that serves a model."""
    return next(row for row in ENGINES if ref.source in row.sources)


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
            folder = local_folder(request.ref, cache, progress, moved)
            progress(f"{request.ref.label} ({request.quant}): loading")
            return folder

        return engine_of(request.ref).load(request, files, device)

    return load
