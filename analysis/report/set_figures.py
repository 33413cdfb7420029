"""Figures of whole sets as a table, as lines of a comparison, and as JSON."""

from __future__ import annotations

from math import isfinite
from typing import Any

from analysis.data.panel import Panel
from analysis.data.tables import Column, Table, Value, number, scaled
from analysis.report.blocks import Block, Text
from analysis.stats.intervals import Interval
from analysis.stats.set_figures import DRAWS
from analysis.verdicts.set_figures import CANT_TELL, SetFigure, set_figures, verdict
from proctor.errors import BadInput

CHANGE = scaled(1, 4, signed=True)
CAPTION = (
    f"Figures of all questions together, as their task sums them up. 95 % percentiles of {DRAWS:,} sets of questions "
    "drawn with replacement; differences from the best by the standard error of the same draws, adjusted for all pairs."
)


def set_figure_blocks(panel: Panel) -> tuple[Block, ...]:
    """The table; nothing where no task names such figures, and what to install where a library lacks."""
    try:
        table = set_figures_table(panel)
    except BadInput as error:
        return (Text(f"Figures of the set are left out. {error}"),)
    return (table,) if table.rows else ()


def set_figures_table(panel: Panel) -> Table:
    """A row a subject, metric and contestant, the best first. Raises as `set_figures`."""
    columns = (
        Column("subject"), Column("metric"), Column("contestant"), Column("figure", number(4), numeric=True),
        Column("low", number(4), numeric=True), Column("high", number(4), numeric=True),
        Column("from the best", CHANGE, numeric=True), Column("low of it", CHANGE, numeric=True),
        Column("high of it", CHANGE, numeric=True), Column("verdict"), Column("questions", numeric=True),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for one in set_figures(panel):
        for rank, place in enumerate(one.order):
            found, change = one.drawn.interval(place), one.from_best(place)
            apart = (change.estimate, change.low, change.high, verdict(change)) if rank else (None, None, None, "best")
            rows.append(
                (
                    one.subject, one.metric.name, panel.labels[place], found.estimate, found.low, found.high, *apart,
                    one.questions,
                )
            )  # fmt: skip
    return Table("set_figures", CAPTION, columns, rows)


def compared_lines(panel: Panel, first: str, second: str) -> list[str]:
    """A line a figure of two contestants."""
    try:
        return [_line(one, first, second) for one in set_figures(panel)]
    except BadInput as error:
        return [f"figures of the set are left out: {error}"]


def compared_object(panel: Panel) -> dict[str, Any]:
    """The same for JSON; nothing where there are none."""
    try:
        found = [_object(one) for one in set_figures(panel)]
    except BadInput:
        found = []
    return {"set_figures": found} if found else {}


def _line(one: SetFigure, first: str, second: str) -> str:
    mine, theirs = (_with_ends(one.drawn.interval(place)) for place in (0, 1))
    change = one.drawn.difference(0, 1)
    said = verdict(change)
    more = CANT_TELL if said == CANT_TELL else "a difference"
    return (
        f"{one.metric.name} of {one.subject}: {first} {mine}, {second} {theirs}; {second} minus {first} "
        f"{_with_ends(change)}: {more}"
    )


def _object(one: SetFigure) -> dict[str, Any]:
    change = one.drawn.difference(0, 1)
    return {
        "subject": one.subject,
        "metric": one.metric.name,
        "questions": one.questions,
        "figures": [_ends(one.drawn.interval(place)) for place in (0, 1)],
        "change": _ends(change),
        "verdict": verdict(change),
    }


def _with_ends(found: Interval) -> str:
    return f"{found.estimate:.4g} ({found.low:.4g} to {found.high:.4g})"


def _ends(found: Interval) -> list[float | None]:
    return [value if isfinite(value) else None for value in (found.estimate, found.low, found.high)]
