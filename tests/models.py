"""The real demo model for tests: fetched and converted once, by whichever test process comes first."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from proctor.catalog.resolve import resolve
from tests.support import ROOT
from workers.models.local_files import local_folder


def cache_folder() -> Path:
    """PROCTOR_CACHE as make sets it, and the same folder of the checkout without make."""
    return Path(os.environ.get("PROCTOR_CACHE") or ROOT / ".cache")


@cache
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct. Tests that call it carry the mark `model`."""
    return local_folder(resolve("smollm2"), cache_folder())
