"""What several tests need: where the real exam data lies, and waiting for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_data(part: str) -> Path:
    """The folder or file `part` of the real data that lies beside the checkout; skips by name where it is absent."""
    path = ROOT.parent / "shared" / "data" / part
    if not path.exists():
        pytest.skip(f"real data ../shared/data/{part} is not on this machine")
    return path


def wait_until(predicate: Callable[[], bool], description: str | Callable[[], str], limit_s: float = 60.0) -> None:
    """Poll until `predicate()` holds; fail the test with `description` after `limit_s`, a bound for hangs only.

    A description that tells how things stand is a function: it is asked at the end, not at the beginning.
    """
    end = time.monotonic() + limit_s
    while not predicate():
        if time.monotonic() > end:
            told = description if isinstance(description, str) else description()
            pytest.fail(f"waited {limit_s:.0f} s in vain until {told}")
        time.sleep(0.02)
