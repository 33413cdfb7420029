"""Do models fail on the same questions: how many miss each one, and the kappa of every pair."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.data.panel import Panel
from analysis.data.phrases import counted
from analysis.graphs.style import (
    AMOUNTS,
    BLUE,
    ORANGE,
    SMALL,
    SMALLEST,
    Graph,
    ink_on,
    new_figure,
    put_title,
    shortened,
    styled,
)
from analysis.stats.order import beyond_median_pair
from analysis.stats.overlap import error_kappa, misses_expected, misses_observed
from analysis.verdicts.unanswered import named
from analysis.verdicts.wording import percent

KAPPA_NOTE = (
    "Kappa of errors: 1 is the same mistakes, 0 the overlap of independent ones. Questions differ in difficulty, "
    "so compare a pair with the median pair. Alike contestants lie together."
)
MOST_NUMBERED = 30  # contestants in the triangle; with more, cells are too narrow for a number


@styled
def mistake_distribution(panel: Panel) -> Graph:
    """How many models miss a question, against what independent mistakes would give; one vote a model."""
    models = panel.one_a_model()
    chosen = models if len(models.contestants) > 1 else panel
    observed = misses_observed(chosen.wrong)
    expected = misses_expected(chosen.wrong, chosen.subject_of)
    title = distribution_title(observed, expected, missed_in_silence(chosen))
    count = len(chosen.contestants)
    figure = new_figure(max(7.0, 2.5 + 0.42 * min(count, 40)), 4.6)
    who = "models" if chosen is models else "contestants"
    note = f"Bars: questions missed by so many of the {counted(count, who[:-1])}."
    if count > 1:
        note += " Diamonds: what it would be if, within each subject, every one erred at its own rate independently."
    put_title(figure, title, note)
    axes = figure.subplots()
    places = np.arange(count + 1)
    axes.bar(places, observed, 0.72, color=BLUE, label="observed")
    if count > 1:
        axes.plot(places, expected, "D", color=ORANGE, markersize=6, label="if mistakes were independent")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    _whole_ticks(axes, count)
    axes.set_xlabel(f"{who} that miss the question")
    axes.set_ylabel("questions")
    axes.grid(visible=True, axis="y")
    shown = ", ".join(f"{place}: {number}" for place, number in enumerate(observed))
    return Graph("mistake_overlap_distribution", title, f"{title}. Questions by how many miss them: {shown}.", figure)


def missed_in_silence(panel: Panel) -> int:
    """Questions that all miss, at least one of them by giving no single answer."""
    return int(np.count_nonzero(panel.wrong.all(axis=0) & panel.silent.any(axis=0)))


def distribution_title(observed: NDArray[np.int64], expected: NDArray[np.float64], silent: int = 0) -> str:
    """The finding: how many questions all miss, beside what independence would give.

    `silent` of them were left without a single answer by one or more.
    """
    unanswered = f"; on {silent:,} of them {'one or more' if observed.size > 2 else 'it'} gave no single answer"
    unanswered = unanswered if silent else ""
    count = observed.size - 1
    if count == 1:
        return f"{observed[1]:,} of {observed.sum():,} questions are missed{unanswered}"
    if not observed[-1]:
        return f"No question is missed by {'both' if count == 2 else f'all {count}'}"
    missed = f"{observed[-1]:,} of {observed.sum():,} questions ({percent(observed[-1] / max(1, observed.sum()))})"
    alone = f"{expected[-1]:.0f}" if expected[-1] >= 0.5 else "less than one"
    return (
        f"{'Both' if count == 2 else f'All {count}'} miss {missed}; independent mistakes would give {alone}{unanswered}"
    )


@styled
def mistake_pairs(panel: Panel) -> Graph:
    """Kappa of errors for every pair, as a lower triangle in which alike contestants lie together."""
    kappa = error_kappa(panel.wrong)
    order = leaf_order(kappa)
    values = kappa[np.ix_(order, order)]
    names = shortened(panel.labels[place] for place in order)
    count = len(names)
    title = pairs_title(panel, kappa)
    if count == 1:
        figure = new_figure(7.0, 1.2)
        put_title(figure, title, f"{names[0]} sat alone: a second contestant gives pairs.")
        return Graph("mistake_overlap_pairwise", title, f"{title}: {names[0]} sat alone.", figure)
    cell = 0.4 if count <= MOST_NUMBERED else 0.2
    side = max(3.2, cell * count)
    label_width = 0.068 * max(map(len, names))
    figure = new_figure(side + label_width + 1.6, side + label_width + 1.5)
    put_title(figure, title, KAPPA_NOTE)
    _triangle(figure, values, names)
    return Graph(
        "mistake_overlap_pairwise", title, f"{title}. The figures of all pairs are in the report's table.", figure
    )


def pairs_title(panel: Panel, kappa: NDArray[np.float64]) -> str:
    """Whether a pair overlaps more than the median pair, by more than noise explains."""
    first, second = np.triu_indices(kappa.shape[0], 1)
    values = kappa[first, second]
    if not np.isfinite(values).any():
        return "No two contestants to compare" if not values.size else "No pair has both right and wrong answers"
    top = int(np.nanargmax(values))
    highest = f"{named(panel, int(first[top]))} and {named(panel, int(second[top]))}"
    if np.isfinite(values).sum() == 1:
        return f"{highest}: kappa of errors {two_digits(values[top])}"
    median = two_digits(np.nanmedian(values))
    if beyond_median_pair(panel.wrong):
        return f"{highest} share more mistakes than the median pair: kappa {two_digits(values[top])} against {median}"
    spread = f"kappa {two_digits(np.nanmin(values))} to {two_digits(values[top])}, the median {median}"
    return f"No pair is told apart from the median pair by the mistakes that it shares: {spread}"


def two_digits(value: float) -> str:
    """`0.55`, with the true minus sign, and no minus before a zero."""
    return f"{round(float(value), 2) + 0.0:.2f}".replace("-", "−")


def leaf_order(kappa: NDArray[np.float64]) -> list[int]:
    """An order in which neighbours are alike: optimal leaf ordering of average linkage on 1 - kappa."""
    count = kappa.shape[0]
    if count < 3:
        return list(range(count))
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

    distance = np.nan_to_num(1 - kappa[np.triu_indices(count, 1)], nan=1.0).clip(min=0)
    tree = optimal_leaf_ordering(linkage(distance, "average"), distance)
    return [int(leaf) for leaf in leaves_list(tree)]


def _triangle(figure: Figure, values: NDArray[np.float64], names: list[str]) -> None:
    axes, count = figure.subplots(), len(names)
    shown = np.where(np.tri(count, k=-1, dtype=bool), values, np.nan)[1:, :-1]
    low, high = min(0.0, *_finite(shown)), max(0.1, *_finite(shown))
    image = axes.imshow(shown, cmap=AMOUNTS, vmin=low, vmax=high, aspect="auto", interpolation="none")
    size = SMALL if count <= MOST_NUMBERED else SMALLEST + 0.5
    axes.set_yticks(range(count - 1), names[1:], fontsize=size)
    axes.set_xticks(range(count - 1), names[:-1], rotation=90, fontsize=size)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.5, aspect=25, pad=0.02)
    bar.set_label("kappa of errors", fontsize=SMALL)
    bar.outline.set_visible(False)
    if count <= MOST_NUMBERED:
        for (row, column), value in np.ndenumerate(shown):
            if np.isfinite(value):
                text = two_digits(value).replace("0.", ".", 1)
                axes.text(
                    column, row, text, ha="center", va="center", fontsize=SMALLEST + 0.5, color=ink_on(image, value)
                )


def _finite(values: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in values[np.isfinite(values)]] or [0.0]


def _whole_ticks(axes: Axes, count: int) -> None:
    step = next(step for step in (1, 2, 5, 10, 20) if count / step <= 20 or step == 20)
    axes.set_xticks(range(0, count + 1, step))
    axes.set_xlim(-0.6, count + 0.6)
