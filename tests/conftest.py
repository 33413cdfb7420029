"""What holds for all tests: Ctrl-C reaches the commands that they start, wherever the tests themselves were started."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and children inherit that: here it is undone."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
