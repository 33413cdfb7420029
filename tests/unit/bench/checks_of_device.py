"""Processes of checks that die, hang or end early, for the tests of what supervises them. They import no torch."""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing.connection import Connection

from bench.device_check.results import Began, Result, Verdict
from bench.device_check.supervise import Order

NAMES = ("first", "second", "third")


def good(order: Order, line: Connection) -> None:
    """Tells each check, and that it is done."""
    for name in left(order):
        line.send(Began(name, "all is well"))
        line.send(result(name))
    line.send(None)


def killed_in_the_second(order: Order, line: Connection) -> None:
    """Is killed by the system in the midst of a check."""
    for name in left(order):
        line.send(Began(name, "all is well"))
        if name == "second":
            os.kill(os.getpid(), signal.SIGKILL)
        line.send(result(name))
    line.send(None)


def hangs_in_the_second(order: Order, line: Connection) -> None:
    """Never comes back from a check."""
    for name in left(order):
        line.send(Began(name, "all is well"))
        while name == "second":
            time.sleep(1)
        line.send(result(name))
    line.send(None)


def broken_after_each(order: Order, line: Connection) -> None:
    """Is left with a broken device by each check, and ends."""
    name = next(iter(left(order)), "")
    if name:
        line.send(Began(name, "all is well"))
        line.send(result(name))
        return
    line.send(None)


def never_begins(_order: Order, _line: Connection) -> None:
    """Ends before the first check."""
    sys.exit(2)


def left(order: Order) -> list[str]:
    """The checks without a result."""
    return [name for name in NAMES if name not in order.without]


def result(name: str) -> Result:
    """A good one, told by this process."""
    return Result(name, "all is well", f"by {os.getpid()}", Verdict.OK, 0.0)
