"""Waiting out a database that is away: bounded, with jitter, and not past the moment that the worker is to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from proctor.errors import StoreUnavailable
from proctor.jitter import jittered

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0

log = logging.getLogger(__name__)
T = TypeVar("T")


class Patience:
    """`patience(work)` is `work()`, tried again while the store is away, for at most `limit_s`.

    `pause` waits for so many seconds and says whether the worker was told to stop meanwhile.
    """

    def __init__(self, pause: Callable[[float], bool], limit_s: float) -> None:
        self.pause, self.limit_s = pause, limit_s

    def __call__(self, work: Callable[[], T]) -> T:
        """What `work` returns.

        Raises
        ------
        StoreUnavailable
            the last one, when patience is at an end or the worker is to stop. Whatever else `work` raises passes.
        """
        end = time.monotonic() + self.limit_s
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return work()
            except StoreUnavailable as error:
                if time.monotonic() + wait_s > end:
                    raise
                log.warning("waiting for the database: %s", error.problem)
                if self.pause(jittered(wait_s)):
                    raise
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
