"""Overall accuracy: dots with intervals, numbers in columns, lines joining what can't be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from analysis.data.panel import Panel
from analysis.data.phrases import listed
from analysis.graphs.style import (
    BLUE,
    INK,
    MUTED,
    PAPER,
    SMALL,
    Graph,
    new_figure,
    percent_axis,
    put_title,
    row_axis,
    shortened,
    styled,
)
from analysis.stats.intervals import Interval
from analysis.verdicts.standings import Standings
from analysis.verdicts.wording import percent, span, standing_title

ROW = 0.24  # inches
LANE = 0.09  # inches between two joining lines


@dataclass(frozen=True)
class Column:
    """Numbers beside the rows: a heading, a text a row, and its width in inches."""

    heading: str
    texts: Sequence[str]
    width: float = 0.75
    left: bool = False  # words rather than numbers


@styled
def forest(panel: Panel, standings: Standings) -> Graph:
    """The best overview: accuracy of every contestant, sorted, with its 95 % interval."""
    order = standings.order
    accuracies = [panel.accuracies[place] for place in order]
    names = shortened(panel.labels[place] for place in order)
    right = panel.marks.sum(axis=1)
    what, digits = panel.unit, int(panel.graded)
    columns = [
        Column(what, [percent(accuracy.estimate) for accuracy in accuracies], 0.7),
        Column("95 % interval", [span(accuracy) for accuracy in accuracies], 1.1),
        Column(f"{what}/asked", [f"{right[place]:,.{digits}f}/{len(panel.questions):,}" for place in order], 0.95),
    ]
    silent = panel.unanswered
    if silent.any():
        columns.append(Column("no answer", [f"{int(silent[place]):,}" for place in order], 0.75))
    lanes = _lanes(standings.groups())
    width = 9.5 + 0.75 * bool(silent.any()) + LANE * max((lane for _, _, lane in lanes), default=0)
    figure = new_figure(width, 1.35 + ROW * len(names))
    title = standing_title(panel, standings)
    note = f"{_dots(panel)} {chance_note(accuracies, panel.chance)}".rstrip()
    if silent.any():
        note += f" No answer: questions {_without(panel)}; they count as not right."
    if lanes:
        test = "paired" if panel.graded else "mid-p McNemar"
        note += f" Lines at the right join contestants that can't be told apart ({test}, Holm over all pairs)."
    put_title(figure, title, note)
    axes = _beside(figure, columns, lanes, len(names))
    draw_intervals(axes, accuracies, names, panel.chance, what)
    values = listed([f"{name} {column}" for name, column in zip(names, columns[0].texts, strict=True)], most=20)
    return Graph(
        "overall", title, f"Overall accuracy with 95 % intervals, from the most right answers: {values}.", figure
    )


def _dots(panel: Panel) -> str:
    if panel.graded:
        return "Dots: mean points, as a share of all; bars: 95 % interval (Student's t)."
    return "Dots: share right; bars: 95 % Wilson interval."


def _without(panel: Panel) -> str:
    return "on which no single option was best" if panel.has_options else "in whose text no answer was found"


def draw_intervals(
    axes: Axes, intervals: Sequence[Interval], names: Sequence[str], chance: float, what: str = "right"
) -> None:
    """Dots with intervals on rows from the top, and the dashed line of blind guessing where there is such a thing."""
    low = min(interval.low for interval in intervals)
    high = max(interval.high for interval in intervals)
    shown = not isnan(chance) and not _far_above(intervals, chance)
    if shown:
        low, high = min(low, chance), max(high, chance)
    percent_axis(axes, max(0.0, low - 0.03), min(1.0, high + 0.03), name=f"{what} (%)")
    row_axis(axes, names)
    for row, interval in enumerate(intervals):
        axes.plot([interval.low, interval.high], [row, row], color=BLUE, linewidth=2.2, solid_capstyle="round")
        axes.plot(interval.estimate, row, "o", color=BLUE, markersize=6, markeredgecolor=PAPER, markeredgewidth=0.8)
    if shown:
        axes.axvline(chance, color=INK, linestyle=(0, (4, 3)), linewidth=1)


def chance_note(intervals: Sequence[Interval], chance: float) -> str:
    """Where blind guessing is to be found on the graph that `draw_intervals` makes of these; empty without options."""
    if isnan(chance):
        return ""
    if _far_above(intervals, chance):
        return f"Blind guessing ({percent(chance, 0)}) lies far to the left of the axis."
    return f"Dashed: blind guessing ({percent(chance, 0)})."


def _far_above(intervals: Sequence[Interval], chance: float) -> bool:
    """Whether showing the line of chance would squeeze the intervals into a third of the width."""
    low, high = min(interval.low for interval in intervals), max(interval.high for interval in intervals)
    return low - chance > 2 * (high - low)


def write_column(axes: Axes, column: Column, rows: int, size: float = SMALL) -> None:
    """Text at each of so many rows, numbers to the right and words to the left, on axes without any frame."""
    axes.set_xlim(0, 1)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_axis_off()
    side: Literal["left", "right"] = "left" if column.left else "right"
    axes.set_title(column.heading, loc=side, fontsize=size, fontweight="normal", color=MUTED)
    for row, text in enumerate(column.texts):
        axes.text(0 if column.left else 1, row, text, ha=side, va="center", fontsize=size)


def _beside(
    figure: Figure | SubFigure, columns: Sequence[Column], lanes: Sequence[tuple[int, int, int]], rows: int
) -> Axes:
    """Axes for the dots, with the columns and the joining lines already drawn to the right of them."""
    widths = [4.2, *(column.width for column in columns), 0.2 + LANE * max((lane for *_, lane in lanes), default=0)]
    main: Axes
    main, *others, joins = figure.subplots(1, len(widths), width_ratios=widths)
    for axes, column in zip(others, columns, strict=True):
        write_column(axes, column, rows)
    joins.set_axis_off()
    joins.set_xlim(-0.5, max((lane for *_, lane in lanes), default=0) + 0.5)
    joins.set_ylim(rows - 0.5, -0.5)
    for first, last, lane in lanes:
        joins.plot([lane, lane], [first - 0.25, last + 0.25], color=MUTED, linewidth=2.5, solid_capstyle="round")
    return main


def _lanes(groups: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Each run of ranks with the first lane where it touches no other."""
    ends: list[int] = []
    placed = []
    for first, last in groups:
        lane = next((lane for lane, end in enumerate(ends) if end < first), len(ends))
        ends[lane : lane + 1] = [last]
        placed.append((first, last, lane))
    return placed
