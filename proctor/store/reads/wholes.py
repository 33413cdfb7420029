"""Runs that are sat in parts, read as one: counts and times add up, and what one part lacks the whole lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any, Protocol, TypeVar

from proctor.nouns.runs import Noise, RunStatus
from proctor.store.runs.parts import status_of

OVER = (RunStatus.DONE, RunStatus.FAILED, RunStatus.CANCELLED)
Added = TypeVar("Added", bound=Any)


class Part(Protocol):
    """What is asked of a Run, or a part of one, to join it to the others."""

    @property
    def run_id(self) -> int: ...
    @property
    def status(self) -> RunStatus: ...
    @property
    def attempt(self) -> int: ...
    @property
    def worker(self) -> str | None: ...
    @property
    def answered(self) -> int: ...
    @property
    def correct(self) -> int: ...
    @property
    def tied(self) -> int: ...
    @property
    def correct_norm(self) -> int: ...
    @property
    def partial(self) -> float: ...
    @property
    def failures(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def noise(self) -> Noise | None: ...


def in_common(parts: Sequence[Part]) -> dict[str, Any]:
    """The fields that RunProgress and RunRecord share, of a Run in these parts."""
    status = status_of(part.status for part in parts)
    workers = dict.fromkeys(part.worker for part in parts if part.worker is not None)
    ends = [part.ended_at for part in parts if part.ended_at is not None]
    return {
        "run_id": parts[0].run_id,
        "status": status,
        "attempt": max(part.attempt for part in parts),
        "worker": ", ".join(workers) or None,
        "answered": sum(part.answered for part in parts),
        "correct": sum(part.correct for part in parts),
        "tied": sum(part.tied for part in parts),
        "correct_norm": sum(part.correct_norm for part in parts),
        "partial": sum(part.partial for part in parts),
        "failures": sum(part.failures for part in parts),
        "reason": reasons(parts),
        "started_at": min((part.started_at for part in parts if part.started_at is not None), default=None),
        "ended_at": max(ends, default=None) if status in OVER else None,
        "noise": total(part.noise for part in parts),
    }


def reasons(parts: Sequence[Part]) -> str:
    """`part 2 of 5 (Run 18): why`, each reason once with all parts that have it; the bare reason where all have one."""
    found: dict[str, list[str]] = {}
    for number, part in enumerate(parts, start=1):
        if part.reason:
            found.setdefault(part.reason, []).append(f"{number} of {len(parts)} (Run {part.run_id})")
    if [len(theirs) for theirs in found.values()] == [len(parts)]:
        return parts[0].reason
    return "; ".join(
        f"part{'s' if len(theirs) > 1 else ''} {', '.join(theirs)}: {reason}" for reason, theirs in found.items()
    )


def total(values: Iterable[Added | None]) -> Added | None:
    """The sum of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return reduce(add, known) if known else None
