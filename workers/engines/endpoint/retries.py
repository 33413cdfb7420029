"""What to do about a request that failed: try again, after how long, or not at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from proctor.retry import doubling

# Not now: 409 and 425 by RFC 9110 and 8470, 529 of hosts that are overloaded.
_BUSY = frozenset({408, 409, 425, 429, 503, 529})
_FAILED = frozenset({500, 502, 504, 520, 522, 524})


@dataclass(frozen=True)
class Setback:
    """One failure of a request that may go well another time."""

    cause: str
    busy: bool = False  # the server is well, and has no room
    outage: bool = False  # it can't be reached: no try was counted by anybody
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Patience:
    """How long a request is tried: `limit_s` in all, and so many `tries` where the server fails or breaks off."""

    limit_s: float = 600.0
    tries: int = 8
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


PATIENCE = Patience()


class Persistence:
    """Decides on one request: `wait` after each setback, until patience is at an end."""

    def __init__(self, began: float, patience: Patience = PATIENCE) -> None:
        self._end, self._left = began + patience.limit_s, patience.tries
        self._waits: Iterator[float] = doubling(patience.first_wait_s, patience.longest_wait_s)

    def wait(self, setback: Setback, now: float) -> float | None:
        """Seconds before the next try; None: no more. A server that says when is asked then, and no sooner."""
        wait_s = max(next(self._waits), setback.retry_after_s or 0.0)
        if not (setback.busy or setback.outage):
            self._left -= 1
        return wait_s if self._left > 0 and now + wait_s <= self._end else None


def setback_of(status: int, retry_after: str | None, now: datetime) -> Setback | None:
    """What a status means; None for one that the next try would only repeat."""
    if status in _BUSY:
        return Setback(f"it answers {status}", busy=True, retry_after_s=seconds_of(retry_after, now))
    if status in _FAILED:
        return Setback(f"it answers {status}", retry_after_s=seconds_of(retry_after, now))
    return None


def seconds_of(retry_after: str | None, now: datetime) -> float | None:
    """`Retry-After` in seconds: a number, or a date (RFC 9110, 10.2.3); None where it says nothing that can be read."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
