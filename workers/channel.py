"""What the two processes of one worker tell each other: made by the parent before it forks its child.

Parent to child: stop. Child to parent: that it has its device, the lane that it holds, what it waits for, at its
end that its device failed; and, counted, signs of life. Neither needs a lock, so that a child killed at any moment
leaves nothing locked behind.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import struct
from dataclasses import dataclass

from proctor.nouns.models import Device, Lane, Quant

PAGE_BYTES = 8192
COUNT = struct.Struct("=Q")
LONGEST_WORDS = 500  # of what is waited for


@dataclass(frozen=True)
class _Noted:
    """What stands on the page."""

    holding: list[str] | None = None
    waiting: str = ""
    broken: str = ""


class Channel:
    """A pipe that the parent closes to say stop, and a page of memory in which the child says how far it is."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._page = mmap.mmap(-1, PAGE_BYTES)
        self._count = mmap.mmap(-1, COUNT.size)
        self._holding: list[str] | None = None  # the child's: [] for no lane, None before it has its device
        self._waiting = self._broken = ""

    def become_child(self) -> None:
        """To be called in the child, first of all: from here on the parent alone can keep the pipe open."""
        self._close_writer()
        self._holding, self._waiting, self._broken = None, "", ""
        self._note()

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

    def beat(self) -> None:
        """Show the parent that the work moves; whatever is noted shows it, too."""
        COUNT.pack_into(self._count, 0, self.beats + 1)

    @property
    def beats(self) -> int:
        """How often this child and those before it have shown that they live."""
        count: int = COUNT.unpack_from(self._count)[0]
        return count

    def hold(self, lane: Lane | None) -> None:
        """Note that the child has its device, and the lane whose model is loaded there."""
        self._holding = [lane.device, lane.model, lane.quant] if lane is not None else []
        self._note()

    def wait_for(self, what: str) -> None:
        """Note what the child waits for, in words; "" when that is over."""
        self._waiting = what[:LONGEST_WORDS]
        self._note()

    def broke(self, why: str) -> None:
        """Note, as the last thing that the child does, that its device failed it."""
        self._broken = why[:LONGEST_WORDS]
        self._note()

    @property
    def ready(self) -> bool:
        """Whether the current child has opened its device."""
        return self._noted().holding is not None

    @property
    def held(self) -> Lane | None:
        """The lane that the child holds."""
        noted = self._noted().holding
        return Lane(Device(noted[0]), noted[1], Quant(noted[2])) if noted else None

    @property
    def waits_for(self) -> str:
        """What the child waits for, in words; "" for nothing."""
        return self._noted().waiting

    @property
    def broken(self) -> str:
        """Why the current child ended, if its device failed; "" otherwise."""
        return self._noted().broken

    def _note(self) -> None:
        self.beat()
        line = json.dumps([self._holding, self._waiting, self._broken]).encode() + b"\n"
        if len(line) <= PAGE_BYTES:  # a name that long is no path of any system; the parent then keeps the last one
            self._page[: len(line)] = line

    def _noted(self) -> _Noted:
        """What the child noted last; nothing before it did, and perhaps once in the middle of a change."""
        with contextlib.suppress(ValueError):
            return _Noted(*json.loads(self._page[: self._page.find(b"\n") + 1] or b"[]"))
        return _Noted()

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, -1
        if writer >= 0:
            os.close(writer)
