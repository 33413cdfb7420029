"""Runs checks in a process of its own, and in another one where that dies, hangs or is left with a broken device.

So a kernel that breaks the device, a segmentation fault or a hang costs the check that made it, and no other.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from bench.device_check.results import Began, Result, Verdict

_START_S = 600.0  # for torch, from a disk that may be slow
_END_S = 30.0  # for a process to be gone


@dataclass(frozen=True)
class Order:
    """What a process of checks is to do."""

    device: str  # cuda or cpu
    patterns: tuple[str, ...]  # of names; empty: all
    cache: str  # where the demo model may lie
    scratch: str  # a folder for what checks make
    ends_at: float  # on the monotonic clock: no check begins after it
    without: tuple[str, ...] = ()  # checks that have their results


@dataclass(frozen=True)
class Limits:
    """Seconds that a check may take, and that the one under way may go on for when the time is over."""

    hang_s: float = 300.0
    grace_s: float = 60.0


Message = Began | Result | None
Work = Callable[[Order, Connection], None]


class Stopped(Exception):
    """The checks couldn't begin."""


@dataclass(frozen=True)
class _Ended:
    """How a process ended: `during` which check, why, and whether it had told anything."""

    complete: bool
    during: Began | None = None
    since: float = 0.0  # on the monotonic clock: when that check began
    why: str = ""
    verdict: Verdict = Verdict.FAILED
    told: bool = False


def supervise(work: Work, order: Order, tell: Callable[[Result], None], limits: Limits = Limits()) -> None:
    """Have `work` do what is ordered, in as many processes as that takes, and tell each result.

    `work` sends `Began` and a `Result` for each check, and None when there is nothing left. Another process must be
    able to import it.

    Raises
    ------
    Stopped
        where a process ended before it began a check.
    """
    done: list[str] = []

    def record(result: Result) -> None:
        done.append(result.check)
        tell(result)

    while True:
        ended = _one_process(work, replace(order, without=(*order.without, *done)), record, limits)
        if ended.complete:
            return
        if ended.during is not None:
            seconds = round(time.monotonic() - ended.since, 2)
            record(Result(ended.during.check, ended.during.expected, ended.why, ended.verdict, seconds))
        elif not ended.told:
            raise Stopped(ended.why)


def _one_process(work: Work, order: Order, record: Callable[[Result], None], limits: Limits) -> _Ended:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(order, there), name="device-check")
    process.start()
    there.close()
    under_way: Began | None = None
    since, told = 0.0, False
    try:
        while here.poll(_START_S if under_way is None else _limit(order, limits)):
            message: Message = here.recv()
            if message is None:
                process.join(_END_S)
                return _Ended(complete=True)
            if isinstance(message, Began):
                under_way, since = message, time.monotonic()
            else:
                under_way, told = None, True
                record(message)
        cut = time.monotonic() >= order.ends_at + limits.grace_s
        why = "cut off: the time was over" if cut else f"no end within {limits.hang_s:.0f} s"
        return _Ended(False, under_way, since, why, Verdict.NOT_TRIED if cut else Verdict.FAILED, told)
    except EOFError:
        process.join(_END_S)
        return _Ended(False, under_way, since, f"its process ended with {_code(process.exitcode)}", told=told)
    finally:
        if process.is_alive():
            process.kill()
        process.join(_END_S)
        here.close()


def _limit(order: Order, limits: Limits) -> float:
    """Seconds that the check under way may still take."""
    return min(limits.hang_s, max(0.0, order.ends_at - time.monotonic()) + limits.grace_s)


def _code(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return signal.Signals(-exitcode).name
    return f"exit code {exitcode}"
