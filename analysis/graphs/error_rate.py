"""The share of questions not answered rightly, split into wrong and no answer; or of points lost."""

from __future__ import annotations

from math import isnan

import numpy as np
from matplotlib.axes import Axes

from analysis.data.panel import Panel
from analysis.graphs.style import (
    INK,
    MUTED,
    ORANGE,
    PAPER,
    Graph,
    new_figure,
    percent_axis,
    put_title,
    row_axis,
    shortened,
    styled,
)
from analysis.stats.families import ALPHA
from analysis.verdicts.standings import Standings
from analysis.verdicts.unanswered import named
from analysis.verdicts.wording import percent

ROW = 0.24  # inches


@styled
def error_rate(panel: Panel, standings: Standings) -> Graph:
    """Errors of every contestant, the fewest first."""
    title = error_title(panel, standings)
    rates = panel.accuracies
    figure = new_figure(9.5, 1.6 + ROW * len(rates))
    put_title(figure, title, "" if isnan(panel.chance) else "Dashed: the error rate of blind guessing.")
    draw_errors(figure.subplots(), panel)
    return Graph("error_rate", title, f"{title}. Error rates as bars, the fewest errors first.", figure)


def error_title(panel: Panel, standings: Standings) -> str:
    """Who errs on how many questions, with an order where the two can be told apart."""
    best, worst = panel.ranking[0], panel.ranking[-1]
    low, high = (percent(1 - panel.accuracies[place].estimate) for place in (best, worst))
    if panel.graded:
        return _lost_title(panel, standings, low, high)
    if best == worst:
        return f"{named(panel, best)} errs on {low} of the questions"
    if standings.told_apart == 0:
        rate = low if low == high else f"{low} to {high}"
        count = len(panel.labels)
        who = "the two can't" if count == 2 else f"no two of the {count} can"
        return f"By their errors {who} be told apart: {rate} of the questions"
    if standings.p[best, worst] >= ALPHA:
        return f"Between {low} and {high} of the questions are answered wrongly or not at all"
    return f"{named(panel, best)} errs on {low} of the questions, fewer than {named(panel, worst)} ({high})"


def _lost_title(panel: Panel, standings: Standings, low: str, high: str) -> str:
    """The same where answers are worth parts of a point: how many of the points are lost."""
    best, worst = panel.ranking[0], panel.ranking[-1]
    if best == worst or standings.p[best, worst] >= ALPHA:
        return f"{low if low == high else f'Between {low} and {high}'} of the points are lost"
    return f"{named(panel, best)} loses {low} of the points, fewer than {named(panel, worst)} ({high})"


def draw_errors(axes: Axes, panel: Panel, height: float = 0.7) -> None:
    """Bars on rows in the order of the ranking, with the rate written behind each; `height` as a share of a row."""
    order = list(panel.ranking)
    asked = np.maximum(panel.asked.sum(axis=1), 1)[order]
    silent = panel.unanswered[order] / asked
    wrong = ((1 - panel.marks) * panel.asked).sum(axis=1)[order] / asked
    told = wrong - silent
    row_axis(axes, shortened(panel.labels[place] for place in order))
    percent_axis(axes, high=1.12, name="points lost (%)" if panel.graded else "not right (%)")
    rows = np.arange(len(order))
    axes.barh(rows, told, height, color=ORANGE, label="by an answer" if panel.graded else "wrong")
    if silent.any():
        axes.barh(rows, silent, height, left=told, color=MUTED, hatch="////", edgecolor="#ffffff80", linewidth=0,
                  label="no single answer")  # fmt: skip
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handlelength=1.4)
    if not isnan(panel.chance):
        axes.axvline(1 - panel.chance, color=INK, linestyle=(0, (4, 3)), linewidth=1)
    for row, rate in enumerate(wrong):
        axes.annotate(percent(float(rate)), (float(rate), row), (4, 0), textcoords="offset points", va="center",
                      fontsize=7.5, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6})  # fmt: skip
