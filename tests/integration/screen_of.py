"""A command in a real terminal of 100 by 40 cells: what a person would see, and what they would type."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

from tests.support import wait_until

COLUMNS, ROWS = 100, 40


class Seen:
    """The terminal's screen as it stands; `raw` is every byte that was sent to it."""

    def __init__(self, child: pexpect.spawn[bytes]) -> None:
        self.child, self.raw = child, b""
        self.screen = pyte.HistoryScreen(COLUMNS, ROWS, history=2000)
        self._stream = pyte.ByteStream(self.screen)

    @property
    def text(self) -> str:
        """All lines that can be seen or scrolled back to."""
        self._read()
        above = ["".join(line[n].data for n in range(COLUMNS)) for line in self.screen.history.top]
        return "\n".join(line.rstrip() for line in (*above, *self.screen.display)).rstrip()

    def type(self, text: str) -> None:
        """Press keys; Enter is `\\r`, Ctrl-C `\\x03`."""
        self.child.send(text)

    def say(self, line: str, until: str) -> str:
        """Type a line and wait until `until` stands behind it, and the prompt is back; what came in between."""
        self.wait_for_prompt()
        before = self.text.count(until)
        self.type(line + "\r")
        self.wait_for(until, before + 1)
        self.wait_for_prompt()
        return self.text.rpartition(f"> {line}"[:60])[2]

    def wait_for_prompt(self) -> None:
        """Wait until the program waits for a line."""
        wait_until(lambda: self.text.endswith("\n>"), lambda: f"the prompt was back:\n{self.text}")

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until `text` stands on the screen so many times."""
        wait_until(lambda: self.text.count(text) >= times, lambda: f"{text!r} was on the screen {times}x:\n{self.text}")

    def ended(self) -> int:
        """Wait for the program's end; its exit code."""
        wait_until(self._over, "the program ended")
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -1)

    def _over(self) -> bool:
        self._read()
        return not self.child.isalive()

    def _read(self) -> None:
        while True:
            try:
                piece = self.child.read_nonblocking(65_536, timeout=0.02)
            except (pexpect.TIMEOUT, pexpect.EOF):
                return
            self.raw += piece
            self._stream.feed(piece)


@contextmanager
def terminal(arguments: list[str], environ: Mapping[str, str], folder: Path) -> Iterator[Seen]:
    """`proctor ARGUMENTS` in a terminal of its own, ended with the block."""
    child: pexpect.spawn[bytes] = pexpect.spawn(
        sys.executable,
        ["-m", "proctor.cli", *arguments],
        cwd=str(folder),
        dimensions=(ROWS, COLUMNS),
        env={**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "NO_COLOR": "", **environ},
    )
    try:
        yield Seen(child)
    finally:
        child.close(force=True)
