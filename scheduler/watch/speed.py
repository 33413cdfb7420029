"""How fast a sweep goes, from what was seen: questions a second, and the time that is left."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from proctor.nouns.models import Lane
from proctor.store.reads.fleet import Fleet

WINDOW_S = 60.0


@dataclass(frozen=True)
class Loading:
    """A model that a worker is loading, and for how long already."""

    lane: Lane
    for_s: float


@dataclass(frozen=True)
class Speed:
    """Questions a second (0 where nothing was measured, or nothing moves), and what stands beside the answering."""

    per_second: float = 0.0
    loads_left_s: float = 0.0  # what the loads of models still to come take
    loads_unknown: int = 0  # loads to come whose length nobody knows
    staffed: bool = True  # whether a worker is alive
    loading: tuple[Loading, ...] = ()
    starting: bool = False  # whether the workers that a command brought along haven't begun yet

    def left_s(self, remaining: int) -> float | None:
        """Seconds until `remaining` questions are answered; None where the speed isn't known yet, or nobody works."""
        if remaining == 0:
            return 0.0
        return remaining / self.per_second + self.loads_left_s if self.per_second and self.staffed else None

    def left(self, remaining: int) -> str:
        """`7 min 5 s and 2 loads of a model left`; empty where that isn't known, or nothing is left."""
        seconds = self.left_s(remaining)
        if not seconds:
            return ""
        loads = f"{self.loads_unknown} load{'s' if self.loads_unknown > 1 else ''} of a model"
        return f"{duration(seconds)}{f' and {loads}' if self.loads_unknown else ''} left"


def beside(per_second: float, fleet: Fleet, runs: Collection[int]) -> Speed:
    """This speed with the loads that the fleet has before it, those for these Runs.

    A load lasts since its Run was claimed, whatever life the Run shows meanwhile (a download that moves).
    """
    loading = tuple(
        Loading(sight.lane, max(0.0, (fleet.read_at - sight.claimed_at).total_seconds()))
        for sight in fleet.workers
        if sight.record.alive and sight.lane is not None and sight.lane != sight.record.held
        if sight.record.run_id in runs and sight.claimed_at is not None
    )
    return Speed(per_second, fleet.loads_left_s, fleet.loads_unknown, fleet.staffed, loading)


class Pace:
    """Questions a second over the last minute in which questions were answered.

    Answers arrive a Pack at a time, so a shorter window would jump. Time in which models are loaded, and nothing else
    happens, is left out: the loads still to come are counted apart.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._last_s: float | None = None
        self._loaded_s = 0.0

    def see(self, now_s: float, answered: int, *, loading: bool = False) -> None:
        """Note that at `now_s` (of a clock that never goes back) so many questions were answered in all.

        `loading`: since the last time nobody could answer, as models were being loaded.
        """
        if loading and self._last_s is not None:
            self._loaded_s += now_s - self._last_s
        self._last_s = now_s
        self._seen.append((now_s - self._loaded_s, answered))
        while len(self._seen) > 2 and self._seen[-1][0] - self._seen[1][0] >= WINDOW_S:
            self._seen.popleft()

    @property
    def speed(self) -> Speed:
        """What was seen so far comes to this."""
        if len(self._seen) < 2:
            return Speed()
        (start_s, before), (end_s, after) = self._seen[0], self._seen[-1]
        return Speed((after - before) / (end_s - start_s)) if end_s > start_s else Speed()


def duration(seconds: float) -> str:
    """`42 s`, `7 min 5 s`, `3 h 12 min`: two units at most."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
