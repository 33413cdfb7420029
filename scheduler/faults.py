"""Everything that is wrong with a request, gathered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from proctor.errors import ProctorError, SeveralFaults

Result = TypeVar("Result")


def tried(faults: list[ProctorError], work: Callable[[], Result]) -> Result | None:
    """What `work` finds; what it raises of our own errors is added to `faults`, and None is returned."""
    try:
        return work()
    except SeveralFaults as several:
        faults += several.faults
    except ProctorError as fault:
        faults.append(fault)
    return None
