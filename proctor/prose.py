"""Sentences for a terminal: lines that are too long for it go on at a word, never in the middle of one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from textwrap import wrap

import click


def tell(text: str, *, err: bool = False) -> None:
    """Print to standard output or standard error; folded at words where that is a terminal, as it is in a pipe."""
    stream = sys.stderr if err else sys.stdout
    click.echo(folded(text, shutil.get_terminal_size().columns) if stream.isatty() else text, err=err)


def folded(text: str, width: int) -> str:
    """The text with each line no wider than so many columns, unless one word is; what goes on is indented below it.

    A line that fits stays as it is, spaces included.
    """
    return "\n".join(part for line in text.split("\n") for part in _fold(line, width))


def stacked(heads: Sequence[str], cells: Sequence[str], width: int) -> str:
    """A row of a table that is too wide: its first cell on a line, the others below it with their headings."""
    first, *others = cells
    said = " · ".join(f"{head}: {cell}" for head, cell in zip(heads[1:], others, strict=True) if cell)
    below = wrap(
        said, width, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join([first, *below])


def _fold(line: str, width: int) -> list[str]:
    if len(click.unstyle(line)) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [line]
