"""How many requests are under way at a server: more while it keeps up, half as many when it pushes back.

Additive increase, multiplicative decrease, as TCP does it (Jacobson, 1988). What a server says of when to come back
(`Retry-After`) holds for all requests, not just for the one that heard it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST = 4  # requests under way at the beginning
LOOK_S = 0.5  # between two looks whether to give up waiting


class Throttle:
    """`with throttle.turn(): ...` around each request, and `push_back` where the server has no room.

    `check` is called while a request waits for its turn; what it raises ends the wait.
    """

    def __init__(
        self,
        most: int,
        check: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most, self._check, self._clock = most, check, clock
        self.limit = float(min(FIRST, most))
        self.under_way = 0
        self._not_before = 0.0
        self._lowered = -1.0  # when the limit was last halved: requests of before then say nothing new
        self._free = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a place among those under way, and keep it within the block. One that ends well makes room."""
        began = self._begin()
        try:
            yield
        except BaseException:
            self._end()
            raise
        self._end(well=began)

    def push_back(self, retry_after_s: float | None = None) -> None:
        """The server has no room: half as many from now on, and none before `retry_after_s` have passed."""
        with self._free:
            now = self._clock()
            if now > self._lowered:
                self.limit = max(1.0, self.limit / 2)
                self._lowered = now
            self._not_before = max(self._not_before, now + (retry_after_s or 0.0))

    def _begin(self) -> float:
        with self._free:
            while True:
                now = self._clock()
                if now >= self._not_before and self.under_way < int(self.limit):
                    self.under_way += 1
                    return now
                self._check()
                self._free.wait(min(LOOK_S, max(0.01, self._not_before - now)))

    def _end(self, well: float | None = None) -> None:
        """`well`: when a request began that ended well. A round of them makes room for one more."""
        with self._free:
            self.under_way -= 1
            if well is not None and well > self._lowered:
                self.limit = min(float(self.most), self.limit + 1 / self.limit)
            self._free.notify_all()
