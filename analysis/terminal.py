"""What the commands of this room share: opening what was named, and printing tables. Light to import."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from analysis.data.results import Results
    from analysis.data.tables import Column, Table, Value
    from proctor.settings import Settings
    from proctor.store.database.session import Store


def our_settings() -> Settings:
    """The settings of this process's environment."""
    from proctor.settings import Settings

    return Settings.read(os.environ)


def our_store() -> Store:
    """The store of this process's environment; close it."""
    from proctor.store.database.open import open_store

    return open_store(our_settings())


def ids_of(store: Store, names: Sequence[str]) -> list[int]:
    """Ids of sweeps by name or number, the latest sweep's where none is named."""
    from proctor.store.runs.sweeps import find

    return list(dict.fromkeys(find(store, name).id for name in names or (None,)))


def read_named(names: Sequence[str]) -> Results:
    """Everything about sweeps and imported results of these names; the latest sweep where none is named."""
    from dataclasses import replace

    from analysis.data.results import Results, read_results
    from analysis.exchange.imports import kept

    home = our_settings().home
    imported = {name: taken for name in names if (taken := kept(name, home)) is not None}
    theirs = tuple(panel for taken in imported.values() for panel in taken.panels)
    notes = tuple(note for taken in imported.values() for note in taken.notes)
    sweeps = [name for name in names if name not in imported]
    if imported and not sweeps:
        return Results((), theirs, imported=theirs, notes=notes)
    with our_store() as store:
        results = read_results(store, ids_of(store, sweeps))
    return replace(results, panels=(*results.panels, *theirs), imported=theirs, notes=notes)


def objects(table: Table) -> list[dict[str, Value]]:
    """A table's rows as JSON takes them: headings to values, None for what isn't known."""
    heads = [column.heading for column in table.columns]
    about: dict[str, Value] = {"set": table.of_set} if table.of_set else {}
    return [dict(zip(heads, (_known(value) for value in row), strict=True)) | about for row in table.rows]


def print_table(table: Table, most: int | None = None) -> None:
    """Rich on a terminal, plain text otherwise; the first `most` rows."""
    from dataclasses import replace

    from analysis.data.tables import to_text
    from proctor.printing import visible

    cut = replace(table, rows=list(table.rows)[:most])
    if not sys.stdout.isatty():
        click.echo((f"{visible(cut.of_set)}\n" if cut.of_set else "") + to_text(cut))
    else:
        from rich.console import Console

        console = Console()
        console.print(fitted(cut, console.width))
    if most is not None and len(table.rows) > most:
        click.echo(f"… and {len(table.rows) - most:,} more rows")


def print_captioned(table: Table, most: int | None = None) -> None:
    """The table under its caption and an empty line; on a terminal it bears its caption itself."""
    from proctor.printing import visible

    click.echo("" if sys.stdout.isatty() else f"\n{visible(table.caption)}")
    print_table(table, most)


def fitted(table: Table, width: int) -> RenderableType:
    """The table for a terminal of so many columns: texts wrap at words, numbers with their units not at all.

    Where there is no room for the longest of them, rows are stacked.
    """
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    from proctor.printing import visible
    from proctor.prose import folded, stacked

    cells = [[visible(cell) for cell in row] for row in table.shown()]
    heads = [column.heading for column in table.columns]
    longest = [longest_part(column, texts) for column, *texts in zip(table.columns, *cells, strict=True)]
    room = width - 3 * len(heads) - 1  # for frames
    if sum(longest) > room:
        return Group(Text(folded(table.said, width), style="dim"), *(Text(stacked(heads, row, width)) for row in cells))
    whole = [max(map(len, texts)) for texts in zip(heads, *cells, strict=True)]
    shown = RichTable()
    for column, columns in zip(table.columns, shared_out(longest, whole, room), strict=True):
        shown.add_column(column.heading, justify="right" if column.numeric else "left", width=columns)
    for row in cells:
        shown.add_row(*map(Text, row))
    return Group(Text(folded(table.said, width), style="dim"), shown)


def longest_part(column: Column, texts: Sequence[str]) -> int:
    """Letters of the longest part of a column that isn't broken: a word, or a number with its unit."""
    cells = texts if column.numeric else [word for text in texts for word in text.split()]
    return max(map(len, (*column.heading.split(), *cells)))


def shared_out(least: Sequence[int], whole: Sequence[int], room: int) -> list[int]:
    """Widths between each column's longest word and its longest text: those who lack least of it get it first."""
    widths, left = list(least), room - sum(least)
    by_lack = sorted(range(len(widths)), key=lambda place: whole[place] - least[place])
    for rank, place in enumerate(by_lack):
        more = min(whole[place] - least[place], left // (len(by_lack) - rank))
        widths[place], left = widths[place] + more, left - more
    return widths


def _known(value: Value) -> Value:
    return None if isinstance(value, float) and isnan(value) else value
