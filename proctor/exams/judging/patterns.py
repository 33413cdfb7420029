"""Regular expressions that come from outside, of a task's file or `--judge regex:`, with an end to what each may take.

They are Python's own, as lm-evaluation-harness computes them; the library `regex` has a time limit, and other ideas of
what `\\w` and `\\s` are. Python's engine looks for signals every few thousand steps, so that a timer of the process's
own CPU time ends a match that explodes, in the main thread, where commands and workers judge. In other threads nothing
does.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType
from typing import Any, TypeVar

from proctor.errors import BadExam
from proctor.printing import quoted

MOST_CPU_S = 5.0  # of one expression on one text
PROBE_CPU_S = 2.0  # of one expression on all texts that it is tried on
_PROBED = 600  # characters of each of those texts
_USUAL = "0a ,.\n"
T = TypeVar("T")
_slow: set[str] = set()  # expressions that took too long once in this process: nothing waits for them again


class PatternTooSlow(BadExam):
    """A regular expression that backtracks without end on some text."""

    def __init__(self, pattern: str, where: str, limit_s: float) -> None:
        super().__init__(
            f"The regular expression {quoted(pattern)} takes more than {limit_s:g} s on {where}.",
            "Write it without repeats in repeats, as (a+)+, or of alternatives that match the same; replies that are "
            "stored stay stored.",
        )


class Pattern:
    """A regular expression with the limit. Each search raises `PatternTooSlow`."""

    def __init__(self, compiled: re.Pattern[str]) -> None:
        self._compiled = compiled

    @property
    def pattern(self) -> str:
        """As it was written."""
        return self._compiled.pattern

    def findall(self, text: str) -> list[Any]:
        """As of `re.Pattern`."""
        return self._within(lambda: self._compiled.findall(text), text)

    def search(self, text: str) -> re.Match[str] | None:
        """As of `re.Pattern`."""
        return self._within(lambda: self._compiled.search(text), text)

    def sub(self, by: str, text: str, count: int = 0) -> str:
        """As of `re.Pattern`."""
        return self._within(lambda: self._compiled.sub(by, text, count=count), text)

    def probe(self) -> None:
        """Try it on texts that make such expressions explode: what it has itself, over and over, and no match behind.

        Raises `PatternTooSlow`. An expression that passes may still be slow on others.
        """
        if self.pattern in _slow:
            raise PatternTooSlow(self.pattern, "texts like those it looks for", PROBE_CPU_S)
        try:
            with cpu_time(PROBE_CPU_S):
                for text in _texts(self.pattern):
                    self._compiled.search(text)
        except _OverTime:
            _slow.add(self.pattern)
            raise PatternTooSlow(self.pattern, "texts like those it looks for", PROBE_CPU_S) from None

    def _within(self, work: Callable[[], T], text: str) -> T:
        where = f"a text of {len(text):,} characters"
        if self.pattern in _slow:
            raise PatternTooSlow(self.pattern, where, MOST_CPU_S)
        try:
            with cpu_time(MOST_CPU_S):
                return work()
        except _OverTime:
            _slow.add(self.pattern)
            raise PatternTooSlow(self.pattern, where, MOST_CPU_S) from None


@lru_cache(maxsize=512)
def pattern_of(text: str, flags: int = 0) -> Pattern:
    """The expression. Raises `re.error` for a text that is none."""
    return Pattern(re.compile(text, flags))


@contextmanager
def cpu_time(limit_s: float) -> Iterator[None]:
    """End the block with an error of ours once the process computed for so long; in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _end)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class _OverTime(Exception):
    """The block took more than it may."""


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _OverTime


def _texts(pattern: str) -> Iterator[str]:
    runs = re.findall(r"\w{2,}", pattern)
    for unit in dict.fromkeys([*_USUAL, *pattern[:24], *runs[:8]]):
        yield unit * (_PROBED // len(unit)) + "\N{NULL}"
