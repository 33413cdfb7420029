"""Sentences for a terminal: lines that are too long for it go on at a word, never in the middle of one."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from textwrap import wrap

import click

_BETWEEN = " · "  # two cells of a row that is stacked
_UNIT, _BOUND_UNIT = (re.compile(rf"(\d){space}(%|[kMG]i?B\b)") for space in (" ", "\N{NO-BREAK SPACE}"))


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
    """The line folded at words, what goes on indented. A number and its unit are one word; colours take no room."""
    coloured = iter(line.split())
    bound = _UNIT.sub("\\1\N{NO-BREAK SPACE}\\2", click.unstyle(line))
    found = wrap(bound, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    free = [_BOUND_UNIT.sub("\\1 \\2", part) for part in found]
    return [re.sub(r"\S+", lambda _: next(coloured), part) for part in free] or [line]
