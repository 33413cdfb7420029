"""UpSet: which sets of contestants miss the same questions; for two to six of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from analysis.data.panel import Panel
from analysis.data.phrases import counted, listed
from analysis.graphs.style import BLUE, GRID, INK, SMALL, Graph, new_figure, put_title, row_axis, shortened, styled

FEWEST, MOST, COLUMNS = 2, 6, 24


@dataclass(frozen=True)
class Intersection:
    """Contestants (places) that miss so many questions together which nobody else misses."""

    members: tuple[int, ...]
    questions: int


def intersections(panel: Panel) -> list[Intersection]:
    """Every set of contestants that alone miss some question, the largest first."""
    weights = 1 << np.arange(len(panel.contestants))
    patterns, counts = np.unique(weights @ panel.wrong, return_counts=True)
    found = [
        Intersection(tuple(place for place in range(len(panel.contestants)) if pattern >> place & 1), count)
        for pattern, count in zip(patterns.tolist(), counts.tolist(), strict=True)
        if pattern
    ]
    return sorted(found, key=lambda one: (-one.questions, one.members))


@styled
def mistake_sets(panel: Panel) -> Graph | None:
    """Bars for the largest intersections above a grid of who is in them; None outside two to six contestants."""
    found = intersections(panel)[:COLUMNS]
    if not FEWEST <= len(panel.contestants) <= MOST or not found:
        return None
    names = shortened(panel.labels)
    top = found[0]
    everyone = "both" if len(names) == 2 else f"all {len(names)}"
    who = everyone if len(top.members) == len(names) else f"{listed([names[m] for m in top.members])} alone"
    title = f"{counted(top.questions, 'question')} {'is' if top.questions == 1 else 'are'} missed by {who}"
    figure = new_figure(max(7.5, 3.6 + 0.36 * len(found)), 3.6 + 0.27 * len(names))
    put_title(figure, title, "A column: questions missed by exactly the contestants with filled dots.")
    bars: Axes
    dots: Axes
    bars, dots = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 0.27 * len(names)])
    columns = range(len(found))
    bars.bar(columns, [one.questions for one in found], 0.66, color=BLUE)
    for column, one in enumerate(found):
        bars.annotate(f"{one.questions}", (column, one.questions), (0, 2), textcoords="offset points", ha="center",
                      fontsize=SMALL - 1)  # fmt: skip
    bars.set_ylabel("questions")
    bars.spines["bottom"].set_visible(False)
    bars.tick_params(labelbottom=False)
    row_axis(dots, names)
    dots.spines["bottom"].set_visible(False)
    dots.set_xticks([])
    for column, one in enumerate(found):
        dots.plot([column] * len(names), range(len(names)), "o", color=GRID, markersize=7)
        dots.plot([column] * len(one.members), one.members, "o-", color=INK, markersize=7, linewidth=1.6)
    said = "; ".join(f"{listed([names[m] for m in one.members], most=6)}: {one.questions}" for one in found[:8])
    return Graph("mistake_sets", title, f"{title}. {said}.", figure)
