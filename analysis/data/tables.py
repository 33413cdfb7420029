"""A table once, shown in many ways: HTML in the report, a CSV file, Markdown, or text on a terminal."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from math import isnan
from typing import TypeGuard

from proctor.printing import visible

Value = str | int | float | bool | None


def as_text(value: Value) -> str:
    """Plain text; nothing for None, thousands separated."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


@dataclass(frozen=True)
class Column:
    """A heading, and how its values are shown to people; files get the values themselves."""

    heading: str
    show: Callable[[Value], str] = as_text
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of values under columns. The first column names the row. `name` is that of its CSV file.

    `of_set` names the set of several that it is about, such as `Set 2: mmlu, 0 shots`; files have it in a column.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Value]]
    most: int = 500  # rows on a page; files have them all
    of_set: str = ""

    @property
    def said(self) -> str:
        """The caption, with the set that the table is about."""
        return f"{self.of_set}. {self.caption}" if self.of_set else self.caption

    def shown(self) -> list[list[str]]:
        """Every cell as people see it."""
        return [[column.show(value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]


def is_known(value: Value) -> TypeGuard[int | float]:
    """Whether it is a number at all: neither None nor not-a-number."""
    return isinstance(value, int | float) and not isnan(value)


def number(digits: int) -> Callable[[Value], str]:
    """Show with so many digits after the point; a dash for what isn't known."""

    def show(value: Value) -> str:
        return f"{value:,.{digits}f}" if is_known(value) else "–"

    return show


def scaled(factor: float, digits: int, unit: str = "", *, signed: bool = False) -> Callable[[Value], str]:
    """Show times `factor`, with a unit behind: `scaled(100, 1, " %")` for a fraction."""

    def show(value: Value) -> str:
        if not is_known(value):
            return "–"
        return f"{factor * value:{'+' if signed else ''},.{digits}f}{unit}".replace("-", "−")

    return show


PERCENT = scaled(100, 1, " %")
POINTS = scaled(100, 1, signed=True)
GIB = scaled(1 / 2**30, 2, " GiB")
SECONDS = scaled(1, 1, " s")


def p_value(value: Value) -> str:
    """`.031`, or `< .001`."""
    if not is_known(value):
        return "–"
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def to_csv(table: Table) -> str:
    """The values, not what is shown, and the set in a last column where there are several.

    Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    heading, value = (["set"], [table.of_set]) if table.of_set else ([], [])
    out = StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.heading for column in table.columns] + heading)
    writer.writerows([[harmless(cell) for cell in row] + value for row in table.rows])
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """A pipe table with its caption above."""
    heads = [column.heading for column in table.columns]
    rule = ["---:" if column.numeric else "---" for column in table.columns]
    lines = [" | ".join(map(_in_pipe, cells)) for cells in (heads, rule, *table.shown())]
    return "\n".join([f"**{table.said}**", "", *(f"| {line} |" for line in lines)])


def to_text(table: Table) -> str:
    """Columns aligned with spaces, for a pipe or a dumb terminal; control characters made visible."""
    heads = [column.heading for column in table.columns]
    cells = [[visible(cell) for cell in row] for row in (heads, *table.shown())]
    widths = [max(len(row[place]) for row in cells) for place in range(len(heads))]
    numeric = [column.numeric for column in table.columns]
    return "\n".join("  ".join(_aligned(row, widths, numeric)).rstrip() for row in cells)


def _aligned(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    return [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(row, widths, numeric, strict=True)
    ]


_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet runs, behind any apostrophes


def harmless(value: Value) -> Value:
    """Text that a spreadsheet would run as a formula, with an apostrophe in front; all else as it is.

    Text that begins like that already gets one more, so that `unharmed` gives each text back.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def told_apart(value: Value) -> Value:
    """Text as it is, but with an apostrophe more where `unharmed` would take its own for one of `harmless`."""
    return harmless(value) if isinstance(value, str) and value[:1] == "'" else value


def unharmed(text: str) -> str:
    """What `harmless` or `told_apart` was given."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text


def _in_pipe(cell: str) -> str:
    return visible(cell).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
