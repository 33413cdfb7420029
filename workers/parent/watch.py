"""Whether a worker's child hangs, told from what it shows its parent in shared memory: without the database.

A child that hangs may hold SQLite's one lock, in the middle of a load, a claim or a reply as well as of a Run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_LOOK_S = 5.0  # of what passed between two looks counts: a parent that was paused has seen nothing


@dataclass
class Watch:
    """How long a child that was given work has shown no sign of life; one without work need show none."""

    limit_s: float
    silent_s: float = 0.0
    _seen: tuple[tuple[int, ...], int] = ((), 0)
    _looked_at: float = 0.0

    def hangs(self, pids: Sequence[int], beats: int, now: float, *, busy: bool) -> bool:
        """Whether the child is to be taken for hung: `beats` is its count of signs, `now` the monotonic clock."""
        passed, self._looked_at = min(now - self._looked_at, LONGEST_LOOK_S), now
        seen = (tuple(pids), beats)
        if not busy or seen != self._seen:
            self._seen, self.silent_s = seen, 0.0
            return False
        self.silent_s += passed
        return self.silent_s > self.limit_s
