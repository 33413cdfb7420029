"""Retry while the broker, the database, the hub or space on the disk is missing: bounded, jittered, reported."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from proctor.errors import Away

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0

# One of its own: it never depends on, nor disturbs, a seed that somebody sets for their numbers.
_generator = random.Random()  # noqa: S311 -- spreads waits, keeps no secret

log = logging.getLogger(__name__)
T = TypeVar("T")


def jittered(seconds: float) -> float:
    """Between half of `seconds` and all of it, so that many who wait for one thing don't come back at one moment."""
    return seconds * _generator.uniform(0.5, 1.0)


def doubling(first_s: float, longest_s: float) -> Iterator[float]:
    """Seconds between tries, without end: twice as many each time, up to `longest_s`. Jitter is the caller's."""
    wait_s = first_s
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, longest_s)


class OutageRetry:
    """`retry(work)` is `work()`, tried again while what it needs is away, for at most `limit_s`.

    `pause` waits for so many seconds and says whether the worker was told to stop meanwhile: then nothing is tried
    again. `tell` hears what is waited for at each wait, and "" when that is over.
    """

    def __init__(
        self, pause: Callable[[float], bool], limit_s: float, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.pause, self.limit_s, self.tell = pause, limit_s, tell

    def __call__(self, work: Callable[[], T]) -> T:
        """What `work` returns.

        Raises
        ------
        Away
            the last one, when patience is at an end or the worker is to stop. Whatever else `work` raises passes.
        """
        end, waited = time.monotonic() + self.limit_s, False
        waits = doubling(FIRST_WAIT_S, LONGEST_WAIT_S)
        while True:
            try:
                done = work()
            except Away as error:
                wait_s = next(waits)
                if time.monotonic() + wait_s > end:
                    raise
                log.warning("waiting: %s", error.problem)
                waited = True
                self.tell(error.problem)
                if self.pause(jittered(wait_s)):
                    raise
            else:
                if waited:
                    self.tell("")
                return done
