"""Signs of life of work that finishes no pack for a while: a download, a conversion, a wait that has its own bound."""

from __future__ import annotations


class Pulse:
    """`beat` says that the work moves; the thread that renews the lease passes it on, so that nobody takes it for hung.

    Both may be called from any thread: a beat that is missed in between is followed by another.
    """

    def __init__(self) -> None:
        self._beaten = False

    def beat(self) -> None:
        self._beaten = True

    def taken(self) -> bool:
        """Whether there was a beat since the last call."""
        beaten, self._beaten = self._beaten, False
        return beaten
