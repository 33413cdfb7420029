"""Accuracy by subject: grouped bars for up to three contestants, small multiples up to twenty, beyond that strips."""

from __future__ import annotations

from math import ceil, isnan
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.data.panel import Panel
from analysis.data.phrases import counted
from analysis.graphs.heatmap import Grid, accuracy_grid, subjects_title
from analysis.graphs.style import (
    BLUE,
    INK,
    SMALL,
    SMALLEST,
    Graph,
    colours,
    new_figure,
    percent_axis,
    put_title,
    row_axis,
    shortened,
    styled,
)
from analysis.verdicts.unanswered import NOTABLE
from analysis.verdicts.wording import percent

MOST_GROUPED, MOST_MULTIPLES, ACROSS = 3, 20, 5
HATCHED = f" Hatched: no single answer on {percent(NOTABLE, 0)} or more of the questions, which counts as not right."
MOST_DOTS = 600  # drawn one by one in SVG; beyond that they are a picture in it


@styled
def by_subject(panel: Panel) -> Graph:
    """Accuracy of every contestant in every subject, in the form that its number of contestants allows."""
    grid = accuracy_grid(panel)
    title = subjects_title(panel)
    count = len(grid.columns)
    if MOST_GROUPED < count <= MOST_MULTIPLES:
        figure = _multiples(grid, panel.chance, title)
    else:
        figure = new_figure(9.5, 1.7 + subjects_height(grid))
        put_title(figure, title, _note(grid, panel.chance))
        draw_subjects(figure.subplots(), grid, panel.chance)
    subjects = counted(len(grid.rows), "subject")
    alt = f"{title}. Accuracy of {counted(count, 'contestant')} in {subjects}; the figures are in the report's table."
    return Graph("accuracy_by_subject", title, alt, figure)


def subjects_height(grid: Grid) -> float:
    """Inches that `draw_subjects` wants for its rows."""
    bars = len(grid.columns) if len(grid.columns) <= MOST_GROUPED else 1
    return len(grid.rows) * (0.12 + 0.12 * bars) + 0.3 * (bars > 1)


def draw_subjects(axes: Axes, grid: Grid, chance: float) -> None:
    """Grouped bars with a legend for up to three contestants, else a strip of dots a subject with its mean."""
    row_axis(axes, grid.rows)
    percent_axis(axes, name=f"{grid.unit} (%)")
    if not isnan(chance):
        axes.axvline(chance, color=INK, linestyle=(0, (4, 3)), linewidth=1, zorder=3)
    if len(grid.columns) <= MOST_GROUPED:
        _bars(axes, grid)
    else:
        _strips(axes, grid)


def _note(grid: Grid, chance: float) -> str:
    dashed = "" if isnan(chance) else " Dashed: blind guessing."
    if len(grid.columns) <= MOST_GROUPED:
        return f"{dashed}{HATCHED if grid.silent.any() else ''}".lstrip()
    hollow = f" Hollow: no single answer on {percent(NOTABLE, 0)} or more." if grid.silent.any() else ""
    return f"A dot is a contestant, the upright line the subject's mean.{dashed}{hollow}"


def _bars(axes: Axes, grid: Grid) -> None:
    count, rows = len(grid.columns), np.arange(len(grid.rows))
    height = 0.78 / count
    for place, (name, colour) in enumerate(zip(grid.columns, colours(count), strict=True)):
        offset = (place - (count - 1) / 2) * height
        values = np.nan_to_num(grid.values[:, place])
        bars = axes.barh(rows + offset, values, height * 0.92, color=colour, label=name)
        _hatch(bars, grid.silent[:, place])
    if count > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=1, borderaxespad=0.2, handlelength=1.4)


def _hatch(bars: BarContainer, silent: NDArray[np.bool_]) -> None:
    for bar, hatched in zip(bars, silent, strict=True):
        if hatched:
            bar.set(hatch="////", edgecolor="#ffffff80", linewidth=0)


def _strips(axes: Axes, grid: Grid) -> None:
    rows = np.broadcast_to(np.arange(len(grid.rows))[:, None], grid.values.shape)
    full, hollow = ~grid.silent, grid.silent
    picture = rows.size > MOST_DOTS
    axes.scatter(grid.values[full], rows[full], s=14, color=BLUE, alpha=0.35, linewidths=0, rasterized=picture)
    axes.scatter(
        grid.values[hollow], rows[hollow], s=14, facecolors="none", edgecolors=BLUE, linewidths=0.8, rasterized=picture
    )
    means = np.nanmean(grid.values, axis=1)
    for row, mean in enumerate(means):
        axes.plot([mean, mean], [row - 0.38, row + 0.38], color=INK, linewidth=1.6)


def _multiples(grid: Grid, chance: float, title: str) -> Figure:
    count = len(grid.columns)
    across = min(ACROSS, count)
    down = ceil(count / across)
    figure = new_figure(2.4 + 1.65 * across, 1.3 + down * (0.9 + 0.135 * len(grid.rows)))
    note = "Bars: share right; dots: the mean of all contestants. Dashed: blind guessing."
    put_title(figure, title, f"{note}{HATCHED if grid.silent.any() else ''}")
    means = np.nanmean(grid.values, axis=1)
    squares = figure.subplots(down, across, squeeze=False, sharey=True, sharex=True)
    names = [fill(name, 23) for name in shortened(grid.columns, 44)]
    for place, axes in enumerate(squares.flat):
        if place >= count:
            axes.set_axis_off()
            continue
        row_axis(axes, grid.rows, SMALLEST + 0.5)
        percent_axis(axes, name=f"{grid.unit} (%)" if place >= count - across else "")
        axes.set_title(names[place], fontsize=SMALL)
        bars = axes.barh(range(len(grid.rows)), np.nan_to_num(grid.values[:, place]), 0.72, color=BLUE)
        _hatch(bars, grid.silent[:, place])
        axes.plot(means, range(len(grid.rows)), "o", color=INK, markersize=2.5)
        if not isnan(chance):
            axes.axvline(chance, color=INK, linestyle=(0, (4, 3)), linewidth=0.8)
        axes.tick_params(labelbottom=place >= count - across)
    return figure
