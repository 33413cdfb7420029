"""Subjects × contestants: accuracy itself, or how far it lies from the subject's mean."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from analysis.data.panel import Panel
from analysis.data.phrases import counted, listed
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
from analysis.stats.families import ALPHA
from analysis.stats.order import cell_p
from analysis.verdicts.unanswered import NOTABLE, silent_words
from analysis.verdicts.wording import percent, points, share_words, unit_words

ROW = 0.2  # inches
MOST_NUMBERED = 30  # columns; with more, cells are too narrow for a number
WORTH_A_NUMBER = 0.08  # deviations below it are left to their colour
DEVIATION_SHOWN = 0.25  # where the colours of a deviation end


@dataclass(frozen=True, eq=False)
class Grid:
    """Values (S, C) with the rows and columns in the order in which they are shown."""

    values: NDArray[np.float64]
    rows: tuple[str, ...]  # subjects, the highest mean first
    columns: tuple[str, ...]  # contestants, the highest accuracy first
    silent: NDArray[np.bool_]  # (S, C) whether a notable share of the cell was left without a single answer
    unit: str = "right"  # or points

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
        values[rows][:, columns],
        tuple(subjects[row] for row in rows),
        tuple(names[column] for column in columns),
        (panel.unanswered_by_subject / np.maximum(panel.asked_by_subject, 1)).T[rows][:, columns] >= NOTABLE,
        panel.unit,
    )


def deviations(grid: Grid) -> Grid:
    """The same grid less each subject's mean."""
    return replace(grid, values=grid.values - np.nanmean(grid.values, axis=1, keepdims=True))


@styled
def deviation_heatmap(panel: Panel) -> Graph | None:
    """How far each contestant lies from each subject's mean; None for a single contestant, who is the mean."""
    if len(panel.contestants) < 2:
        return None
    grid = deviations(accuracy_grid(panel))
    title = deviation_title(panel)
    figure = _figure_for(grid)
    note = "Accuracy less the subject's mean over all contestants, in points; numbers from 8 points on."
    put_title(figure, title, f"{note}{silence_note(grid)}")
    image = draw_grid(figure.subplots(), grid, DIFFERENCES, -DEVIATION_SHOWN, DEVIATION_SHOWN, WORTH_A_NUMBER)
    _colour_bar(figure, image, "points", 100)
    alt = f"{title}. Subjects as rows, contestants as columns; the figures are in the report's table."
    return Graph("deviation_heatmap", title, alt, figure)


def deviation_title(panel: Panel) -> str:
    """How many cells lie off their subject's mean by more than noise explains (see `cell_p`), and one of them."""
    share = panel.correct.mean(axis=0)
    told = cell_p(panel.correct - share, panel.subject_of) < ALPHA
    cells = counted(told.size, "cell")
    if not told.any():
        return f"None of the {cells} can be told from its subject's mean"
    values = panel.accuracy_by_subject
    away = np.where(told, np.abs(values - values.mean(axis=0)), -1.0)
    place, subject = (int(number) for number in np.unravel_index(away.argmax(), away.shape))
    change = points(float(values[place, subject] - values[:, subject].mean()), 0)
    where = f"{shortened([panel.labels[place]])[0]} in {subject_names([panel.subjects[subject]])[0]}"
    shares = panel.unanswered_by_subject[:, subject] / np.maximum(1, panel.asked_by_subject[:, subject])
    own, most = float(shares[place]), float(shares.max())
    silent = f" ({silent_words(own)})" if own >= NOTABLE else ""
    if not silent and most >= NOTABLE:
        silent = f" (another gave {silent_words(most)} there)"
    return f"{told.sum()} of {cells} can be told from the subject's mean, among them {where}: {change} points{silent}"


def silence_note(grid: Grid) -> str:
    """What the marks in cells mean, for behind a note; nothing where there are none."""
    if not grid.silent.any():
        return ""
    share = percent(NOTABLE, 0)
    return f" A dot in a cell's corner: no single answer on {share} or more of it, which counts as not right."


@styled
def accuracy_heatmap(panel: Panel) -> Graph:
    """Accuracy of each contestant in each subject."""
    grid = accuracy_grid(panel)
    title = subjects_title(panel)
    figure = _figure_for(grid)
    put_title(figure, title, f"Accuracy in percent, sorted both ways by the mean.{silence_note(grid)}")
    image = draw_grid(figure.subplots(), grid, AMOUNTS, 0.0, 1.0)
    _colour_bar(figure, image, f"{panel.unit} (%)", 100)
    alt = f"{title}. Subjects as rows, contestants as columns; the figures are in the report's table."
    return Graph("accuracy_heatmap", title, alt, figure)


def subjects_title(panel: Panel) -> str:
    """Which subjects are easier than others, as far as `Panel.subject_p` tells them apart."""
    names = subject_names(panel.subjects)
    means = np.nanmean(panel.accuracy_by_subject, axis=0)
    if len(names) == 1:
        average = " on average" if len(panel.contestants) > 1 else ""
        return f"{names[0]}: {share_words(panel, float(means[0]))}{average}"
    silent = panel.unanswered_by_subject.sum(axis=0) / np.maximum(panel.asked_by_subject.sum(axis=0), 1)
    said = [
        f"{name} ({percent(mean, 0)}{f', {silent_words(share)}' if share >= NOTABLE else ''})"
        for name, mean, share in zip(names, means.tolist(), silent.tolist(), strict=True)
    ]
    apart, order = panel.subject_p < ALPHA, np.argsort(-means, kind="stable").tolist()
    if not apart.any():
        low, high = percent(float(means.min()), 0), percent(float(means.max()), 0)
        who = "The two subjects can't" if len(names) == 2 else f"No two of the {len(names)} subjects can"
        return f"{who} be told apart: {low if low == high else f'{low} to {high}'} {unit_words(panel)}"
    ends = []
    for word, first, *others in (("easiest", *order), ("hardest", *reversed(order))):
        group = [first, *(place for place in others if not apart[first, place])]
        some = listed([said[place] for place in group], most=2)
        ends.append(f"the {word} is {some}" if len(group) == 1 else f"the {word} can't be told apart: {some}")
    words = "; ".join(ends)
    return f"{words[0].upper()}{words[1:]}"


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
    for row, column in np.argwhere(grid.silent & ~np.isnan(grid.values)).tolist():
        ink = ink_on(image, float(grid.values[row, column]))
        axes.plot(column + 0.36, row - 0.32, "o", color=ink, markersize=2.4, linestyle="")
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
    low, high = image.get_clim()
    values = np.asarray(image.get_array())
    beyond = bool((values < (low or 0.0)).any() or (values > (high or 0.0)).any())
    bar = figure.colorbar(
        image, ax=figure.axes, shrink=0.8, aspect=30, pad=0.02, extend="both" if beyond else "neither"
    )
    bar.set_label(name, fontsize=SMALL)
    ticks = [tick for tick in bar.get_ticks() if (low or 0) - 1e-9 <= tick <= (high or 0) + 1e-9]
    bar.set_ticks(ticks, labels=[f"{factor * tick:.0f}".replace("-", "−") for tick in ticks])
    bar.outline.set_visible(False)
