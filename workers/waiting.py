"""Retry while the database, the hub or space on the disk is missing: bounded, jittered, reported.

Never past the moment that the worker is to stop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from proctor.errors import Away
from proctor.retry import jittered

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0

log = logging.getLogger(__name__)
T = TypeVar("T")


class OutageRetry:
    """`retry(work)` is `work()`, tried again while what it needs is away, for at most `limit_s`.

    `pause` waits for so many seconds and says whether the worker was told to stop meanwhile. `tell` hears what is
    waited for at each wait, and "" when that is over.
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
        end = time.monotonic() + self.limit_s
        wait_s, waited = FIRST_WAIT_S, False
        while True:
            try:
                done = work()
            except Away as error:
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
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
