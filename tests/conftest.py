"""What holds for all tests: Ctrl-C reaches the commands that they start, and no example is failed for being slow."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Threads of torch that wait for one another sleep: they would spin, and several test processes share the cores. It is
# read when torch is imported, here and in what tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A busy machine is no fault: an example and its drawing take the time that they take.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


# Rooms of tests whose modules take longest begin first: no core idles at the end while another sits in one of them.
ORDER = ("chaos", "acceptance", "integration", "tour", "unit")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by room, and leave the random order within it."""
    here = Path(__file__).parent
    room = {name: place for place, name in enumerate(ORDER)}
    items.sort(key=lambda item: room.get(item.path.relative_to(here).parts[0], len(ORDER)))


def pytest_collection_finish() -> None:
    freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Freeze what a module's tests imported, once its own fixtures are gone."""
    yield
    if nextitem is None or nextitem.path != item.path:
        freeze()


def freeze() -> None:
    """Let the garbage collector pass over what stays: a worker collects at each load, and tests are thousands."""
    gc.collect()
    gc.freeze()


def pytest_configure() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and children inherit that: here it is undone."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
