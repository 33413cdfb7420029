"""Models for tests: held by the engine of transformers on the test CPU; and the real demo model, fetched once."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from proctor.catalog.resolve import resolve
from tests import tiny
from tests.support import ROOT
from workers.engines.base import Engine
from workers.engines.devices import TorchDevice
from workers.engines.hf.engine import HfEngine
from workers.models.held import Models
from workers.models.loading import engine_loader
from workers.models.local_files import local_folder


def on_cpu(cache: Path) -> Models:
    """Models on the test CPU; what has to be fetched or converted lies in `cache`."""
    return on(tiny.CPU, cache)


def on(device: TorchDevice, cache: Path) -> Models:
    """The same on another device."""
    return Models(device, engine_loader(device, cache))


def of_hf(engine: Engine | None) -> HfEngine:
    """The engine as what it is, where a test looks behind the seam."""
    assert isinstance(engine, HfEngine)
    return engine


def cache_folder() -> Path:
    """PROCTOR_CACHE as make sets it, and the same folder of the checkout without make."""
    return Path(os.environ.get("PROCTOR_CACHE") or ROOT / ".cache")


@cache
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct. Tests that call it carry the mark `model`."""
    return local_folder(resolve("smollm2"), cache_folder())
