"""Signs of life of work that finishes no pack for a while: a download, a conversion, a wait that has its own bound."""

from __future__ import annotations

from collections.abc import Callable


class Liveness:
    """`beat` says that the work moves, to the worker's parent at once by `show`.

    The thread that renews the lease passes it on to the database, so that nobody takes the work for hung.

    Both may be called from any thread: a beat that is missed in between is followed by another.
    """

    def __init__(self, show: Callable[[], None] = lambda: None) -> None:
        self._show = show
        self._beaten = False

    def beat(self) -> None:
        self._beaten = True
        self._show()

    def taken(self) -> bool:
        """Whether there was a beat since the last call."""
        beaten, self._beaten = self._beaten, False
        return beaten
