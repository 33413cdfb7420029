"""Sentences for a terminal: lines that are too long for it go on at a word, never in the middle of one."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from textwrap import wrap

import click

_BETWEEN = " · "  # two cells of a row that is stacked
_PERCENT, _BOUND_PERCENT = re.compile(r"(\d) %"), re.compile("(\\d)\N{NO-BREAK SPACE}%")


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
    """A row of a table that is too wide: its first cell on a line, the others below it with their headings.

    A heading and its cell are never parted where a line has room for both.
    """
    first, *others = cells
    lines = [first]
    for head, cell in zip(heads[1:], others, strict=True):
        said = f"{head}: {cell}"
        if not cell:
            continue
        if len(lines) > 1 and len(lines[-1]) + len(_BETWEEN) + len(said) <= width:
            lines[-1] += _BETWEEN + said
        else:
            lines += _wrapped(f"  {said}", width, indent="    ")
    return "\n".join(lines)


def _fold(line: str, width: int) -> list[str]:
    if len(click.unstyle(line)) <= width:
        return [line]
    return _wrapped(line, width, indent=" " * (len(line) - len(line.lstrip()) + 2))


def _wrapped(line: str, width: int, indent: str) -> list[str]:
    """The line folded at words, of which a number and its percent sign are one; what goes on is indented."""
    whole = _PERCENT.sub("\\1\N{NO-BREAK SPACE}%", line)
    found = wrap(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [_BOUND_PERCENT.sub("\\1 %", part) for part in found] or [line]
