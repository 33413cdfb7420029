"""How fast a sweep goes, from what was seen: questions a second, and the time that is left."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW_S = 60.0


@dataclass(frozen=True)
class Speed:
    """Questions a second; 0 where nothing was measured, or nothing moves."""

    per_second: float = 0.0

    def left_s(self, remaining: int) -> float | None:
        """Seconds until `remaining` questions are answered; None where the speed isn't known yet."""
        if remaining == 0:
            return 0.0
        return remaining / self.per_second if self.per_second else None


class Pace:
    """Questions a second over the last minute in which anything was answered.

    Answers arrive a Pack at a time, so a shorter window would jump; loading a model stands still in it and slows it,
    as it slows the sweep.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, now_s: float, answered: int) -> None:
        """Note that at `now_s` (of a clock that never goes back) so many questions were answered in all."""
        self._seen.append((now_s, answered))
        while len(self._seen) > 2 and now_s - self._seen[1][0] >= WINDOW_S:
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
