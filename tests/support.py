"""What several tests need: where the real exam data lies, waiting for a condition, a process of one's own."""

from __future__ import annotations

import subprocess
import sys
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


def wait_until(predicate: Callable[[], bool], description: str | Callable[[], str], limit_s: float = 300.0) -> None:
    """Poll until `predicate()` holds; fail the test with `description` after `limit_s`, a bound for hangs only.

    A description that tells how things stand is a function: it is asked at the end, not at the beginning.
    """
    end = time.monotonic() + limit_s
    while not predicate():
        if time.monotonic() > end:
            told = description if isinstance(description, str) else description()
            pytest.fail(f"waited {limit_s:.0f} s in vain until {told}")
        time.sleep(0.02)


def printed_by(program: str) -> list[str]:
    """The words that this Python program prints, in a process of its own at the project's root."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()
