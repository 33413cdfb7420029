"""What a person sees: replies as they stream, one dim line after each, and nothing that drives their terminal.

Whatever a model, a file or a name says goes through `plain`: control characters and the characters that reorder text
are written out, so that no reply can move the cursor, change the title or hide what it says.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import Any, TextIO

import click

from chat.terminal.wrap import WordWrap
from proctor.nouns.conversations import Finish
from proctor.printing import printable

_LINES = re.compile(r"([\n\t])")


def plain(text: str) -> str:
    """`text` with line breaks and tabs as they are, and every other control character written out."""
    return "".join(part if part in "\n\t" else printable(part) for part in _LINES.split(text))


class Screen:
    """Where it is shown. `styled` is off for a pipe, a file, a dumb terminal, and where NO_COLOR is set."""

    def __init__(self, out: TextIO | None = None, *, styled: bool | None = None) -> None:
        self.out = out or sys.stdout
        on = self.out.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
        self.styled = on if styled is None else styled
        self._status = ""
        self._at_line_start = True
        self._flow: WordWrap | None = None  # of the line that was begun, at a terminal

    def text(self, text: str) -> None:
        """A piece of a reply, at once."""
        self.status("")
        if text:
            self._write(self._broken(plain(text)))

    def line(self, text: str = "", **style: Any) -> None:
        """A line of ours, on a line of its own; `style` as `click.style` takes it."""
        self.status("")
        self.break_line()
        said = self._broken(plain(text))
        self._write(f"{click.style(said, **style)}\n" if style and self.styled and said else f"{said}\n")

    def dim(self, text: str) -> None:
        self.line(text, dim=True)

    def error(self, text: str) -> None:
        self.line(text, fg="red")

    def break_line(self) -> None:
        """End the line where one was begun."""
        if not self._at_line_start:
            self._write("\n")

    def status(self, text: str) -> None:
        """A line that the next output replaces; nothing where there is no terminal. "" takes it away."""
        if not self.styled or text == self._status:
            return
        if text:
            self.break_line()
        shown = plain(text)[: shutil.get_terminal_size().columns - 1]  # a second line would not be taken away
        self.out.write(f"\r\x1b[K{click.style(shown, dim=True)}" if text else "\r\x1b[K")
        self.out.flush()
        self._status = text

    def _broken(self, text: str) -> str:
        """`text` with line breaks between words, where there is a terminal to be as wide as."""
        if not self.styled:
            return text
        if self._at_line_start or self._flow is None:
            self._flow = WordWrap(shutil.get_terminal_size().columns)
        return self._flow.take(text)

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()
        self._at_line_start = text.endswith("\n")


FINISHES = {
    Finish.STOP: "",
    Finish.LENGTH: "cut at its longest, /continue goes on",
    Finish.STOPPED: "stopped, this part is kept",
    Finish.FAILED: "failed",
}
