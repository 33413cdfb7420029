"""Subjects × contestants: accuracy itself, or how far it lies from the subject's mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from analysis.findings import percent, points
from analysis.graphs.style import (
    AMOUNTS,
    DIFFERENCES,
    SMALL,
    SMALLEST,
    Graph,
    ink_on,
    new_figure,
    put_title,
    shortened,
    styled,
    subject_names,
)
from analysis.panel import Panel

ROW = 0.2  # inches
MOST_NUMBERED = 30  # columns; with more, cells are too narrow for a number
WORTH_A_NUMBER = 0.08  # deviations below it are left to their colour
DEVIATION_SHOWN = 0.25  # where the colours of a deviation end


@dataclass(frozen=True, eq=False)
class Grid:
    """Values (S, C) with the rows and columns in the order in which they are shown."""

    values: NDArray[np.float64]
    rows: tuple[str, ...]  # subjects, the easiest first
    columns: tuple[str, ...]  # contestants, the best first

    @property
    def numbered(self) -> bool:
        return len(self.columns) <= MOST_NUMBERED

    @property
    def column_width(self) -> float:
        """Inches."""
        return 0.36 if self.numbered else 0.19


def accuracy_grid(panel: Panel) -> Grid:
    """Accuracy by subject, sorted by value both ways, never by the alphabet."""
    values = panel.accuracy_by_subject.T
    with np.errstate(invalid="ignore"):
        rows = np.argsort(-np.nanmean(values, axis=1), kind="stable")
    columns = list(panel.ranking)
    subjects = subject_names(panel.subjects)
    names = shortened(panel.labels)
    return Grid(
        values[rows][:, columns], tuple(subjects[row] for row in rows), tuple(names[column] for column in columns)
    )


def deviations(grid: Grid) -> Grid:
    """The same grid less each subject's mean."""
    return Grid(grid.values - np.nanmean(grid.values, axis=1, keepdims=True), grid.rows, grid.columns)


@styled
def deviation_heatmap(panel: Panel) -> Graph | None:
    """How far each contestant lies from each subject's mean; None for a single contestant, who is the mean."""
    if len(panel.contestants) < 2:
        return None
    grid = deviations(accuracy_grid(panel))
    row, column = np.unravel_index(np.nanargmax(np.abs(grid.values)), grid.values.shape)
    largest = float(grid.values[row, column])
    title = f"Farthest from a subject's mean: {grid.columns[column]} in {grid.rows[row]}, {points(largest, 0)} points"
    figure = _figure_for(grid)
    note = "Accuracy less the subject's mean over all contestants, in points; numbers from 8 points on."
    put_title(figure, title, note)
    image = draw_grid(figure.subplots(), grid, DIFFERENCES, -DEVIATION_SHOWN, DEVIATION_SHOWN, WORTH_A_NUMBER)
    _colour_bar(figure, image, "points", 100)
    alt = f"{title}. Subjects as rows, contestants as columns; the figures are in the report's table."
    return Graph("deviation_heatmap", title, alt, figure)


@styled
def accuracy_heatmap(panel: Panel) -> Graph:
    """Accuracy of each contestant in each subject."""
    grid = accuracy_grid(panel)
    title = heatmap_title(grid)
    figure = _figure_for(grid)
    put_title(figure, title, "Accuracy in percent; subjects from the easiest, contestants from the best.")
    image = draw_grid(figure.subplots(), grid, AMOUNTS, 0.0, 1.0)
    _colour_bar(figure, image, "right (%)", 100)
    alt = f"{title}. Subjects as rows, contestants as columns; the figures are in the report's table."
    return Graph("accuracy_heatmap", title, alt, figure)


def heatmap_title(grid: Grid) -> str:
    """The easiest and the hardest subject, by their means."""
    means = np.nanmean(grid.values, axis=1)
    if len(grid.rows) == 1:
        return f"{grid.rows[0]}: {percent(float(means[0]))} right on average"
    first, last = percent(float(means[0]), 0), percent(float(means[-1]), 0)
    return f"{grid.rows[0]} is the easiest ({first} right), {grid.rows[-1]} the hardest ({last})"


def draw_grid(
    axes: Axes, grid: Grid, colour_map: str, low: float, high: float, numbered_from: float = 0.0
) -> AxesImage:
    """The cells with their numbers where there is room for them, contestants' names on top."""
    image = axes.imshow(grid.values, cmap=colour_map, vmin=low, vmax=high, aspect="auto", interpolation="none")
    axes.set_yticks(range(len(grid.rows)), grid.rows, fontsize=SMALL)
    size = SMALL if grid.numbered else SMALLEST + 0.5
    axes.set_xticks(range(len(grid.columns)), grid.columns, rotation=90, fontsize=size)
    axes.tick_params(axis="x", top=True, bottom=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    if grid.numbered:
        _write_numbers(axes, grid, image, numbered_from)
    return image


def _write_numbers(axes: Axes, grid: Grid, image: AxesImage, numbered_from: float) -> None:
    for (row, column), value in np.ndenumerate(grid.values):
        if np.isnan(value) or abs(value) < numbered_from:
            continue
        text = points(value, 0) if numbered_from else f"{100 * value:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=SMALLEST, color=ink_on(image, value))


def _figure_for(grid: Grid) -> Figure:
    names = max(map(len, grid.columns)) * 0.062
    width = max(7.0, 3.4 + grid.column_width * len(grid.columns))
    return new_figure(width, 1.9 + names + ROW * len(grid.rows))


def _colour_bar(figure: Figure | SubFigure, image: AxesImage, name: str, factor: float) -> None:
    bar = figure.colorbar(image, ax=figure.axes, shrink=0.8, aspect=30, pad=0.02)
    bar.set_label(name, fontsize=SMALL)
    low, high = image.get_clim()
    ticks = [tick for tick in bar.get_ticks() if (low or 0) - 1e-9 <= tick <= (high or 0) + 1e-9]
    bar.set_ticks(ticks, labels=[f"{factor * tick:.0f}".replace("-", "−") for tick in ticks])
    bar.outline.set_visible(False)
