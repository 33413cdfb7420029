"""What the two processes of one worker tell each other: made by the parent before it forks its child.

Parent to child: stop. Child to parent: the lane that it holds. Neither needs a lock, so that a child killed at any
moment leaves nothing locked behind.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select

from proctor.nouns import Device, Lane, Quant

HELD_BYTES = 8192


class Link:
    """A pipe that the parent closes to say stop, and a page of memory in which the child keeps its held lane."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._page = mmap.mmap(-1, HELD_BYTES)

    def become_child(self) -> None:
        """To be called in the child, first of all: from here on the parent alone can keep the pipe open."""
        self._close_writer()
        self.hold(None)

    def stop(self) -> None:
        """Say stop, to this child and to any later one. The parent's end, however it comes, says it as well.

        May be called from a signal handler, and again.
        """
        self._close_writer()

    @property
    def stopped(self) -> bool:
        return self.wait(0.0)

    def wait(self, limit_s: float) -> bool:
        """Wait for up to `limit_s` to be told to stop; whether that came."""
        ready, _, _ = select.select([self._reader], [], [], limit_s)
        return bool(ready)

    def hold(self, lane: Lane | None) -> None:
        """Note the lane whose model is loaded."""
        text = json.dumps([lane.device, lane.model, lane.quant]) if lane is not None else "null"
        line = text.encode() + b"\n"
        if len(line) <= HELD_BYTES:  # a name that long is no path of any system; the parent then keeps the last one
            self._page[: len(line)] = line

    @property
    def held(self) -> Lane | None:
        """The lane that the child holds. Read in the middle of a change it may be None for once."""
        with contextlib.suppress(ValueError):
            told = json.loads(self._page[: self._page.find(b"\n") + 1] or b"null")
            return Lane(Device(told[0]), told[1], Quant(told[2])) if told is not None else None
        return None

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, -1
        if writer >= 0:
            os.close(writer)
