"""Accuracy against what it costs: seconds a question, and memory; quantizations of one model joined by a line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from analysis.graphs.style import (
    INK,
    MUTED,
    SMALL,
    Graph,
    colours,
    markers,
    new_figure,
    put_title,
    shortened,
    styled,
)

MOST_NAMED = 24  # in the legend; with more, the table beneath names them


@dataclass(frozen=True)
class Priced:
    """A contestant's accuracy and cost. `family` is its model, whose quantizations are joined."""

    label: str
    family: str
    quant: str
    accuracy: float
    seconds: float  # wall time a question
    gib: float  # peak memory where the model lies
    leader: bool = False  # the most accurate, or not told apart from it


@styled
def accuracy_against_cost(priced: Sequence[Priced]) -> Graph | None:
    """Two panels with logarithmic costs; the front is what nothing cheaper beats. None for fewer than two."""
    priced = [one for one in priced if one.seconds > 0 and one.gib > 0]
    if len(priced) < 2:
        return None
    title = cost_title(priced)
    rows = min(len(priced), MOST_NAMED)
    figure = new_figure(10.6, max(4.6, 1.6 + 0.2 * rows))
    put_title(
        figure,
        title,
        "Dashed: the front, which nothing cheaper beats by the count. Solid: quantizations of one model. Logarithmic.",
    )
    left: Axes
    right: Axes
    left, right = figure.subplots(1, 2, sharey=True)
    _draw(left, priced, [one.seconds for one in priced], "seconds a question")
    _draw(right, priced, [one.gib for one in priced], "peak memory (GiB)")
    left.set_ylabel("right (%)")
    if len(priced) <= MOST_NAMED:
        figure.legend(*right.get_legend_handles_labels(), loc="outside right center")
    alt = "; ".join(
        f"{o.label}: {100 * o.accuracy:.1f} % right, {o.seconds:.2g} s a question, {o.gib:.2g} GiB" for o in priced[:20]
    )
    return Graph("accuracy_against_cost", title, f"{title}. {alt}.", figure)


def cost_title(priced: Sequence[Priced]) -> str:
    """The fastest of those that can't be told from the most accurate, and the fastest of all."""
    quickest = min(priced, key=lambda one: one.seconds)
    leaders = [one for one in priced if one.leader]
    if not leaders:
        return f"{quickest.label} took the least time: {quickest.seconds:.2g} s a question"
    best = min(leaders, key=lambda one: one.seconds)
    if len(leaders) == 1:
        title = f"{best.label} is the most accurate, at {best.seconds:.2g} s a question"
    else:
        title = (
            f"Of {len(leaders)} not told apart in accuracy at the top, {best.label} took the least time: "
            f"{best.seconds:.2g} s a question"
        )
    return title if quickest is best else f"{title}; of all, {quickest.label}: {quickest.seconds:.2g} s"


def front(priced: Sequence[Priced], costs: Sequence[float]) -> list[Priced]:
    """Those more accurate than everything that costs no more, the cheapest first."""
    found: list[Priced] = []
    for _, one in sorted(zip(costs, priced, strict=True), key=lambda pair: (pair[0], -pair[1].accuracy)):
        if not found or one.accuracy > found[-1].accuracy:
            found.append(one)
    return found


def _draw(axes: Axes, priced: Sequence[Priced], costs: Sequence[float], name: str) -> None:
    families: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(priced):
        families[one.family].append(place)
    labels = shortened(one.label for one in priced)
    for members, colour in zip(families.values(), colours(len(families)), strict=True):
        ordered = sorted(members, key=lambda place: costs[place])
        axes.plot(
            [costs[p] for p in ordered], [100 * priced[p].accuracy for p in ordered], "-", color=colour, alpha=0.6
        )
    place_of = {family: number for number, family in enumerate(families)}
    kinds = list(dict.fromkeys(one.quant for one in sorted(priced, key=lambda one: one.quant, reverse=True)))
    shapes = dict(zip(kinds, markers(len(kinds)), strict=True))
    for place, one in enumerate(priced):
        colour = colours(len(families))[place_of[one.family]]
        shape = shapes[one.quant] if len(kinds) > 1 else markers(len(priced))[place]
        axes.plot(
            costs[place], 100 * one.accuracy, shape, color=colour, markersize=7, linestyle="", label=labels[place]
        )
    best = front(priced, costs)
    cost_of = {id(one): cost for one, cost in zip(priced, costs, strict=True)}
    axes.plot([cost_of[id(one)] for one in best], [100 * one.accuracy for one in best], color=INK,
              linestyle=(0, (4, 3)), linewidth=1, zorder=1)  # fmt: skip
    axes.set_xscale("log")
    low, high = min(costs), max(costs)
    axes.set_xlim(low / 1.6, high * 1.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    few = high / low < 20
    axes.xaxis.set_minor_formatter(FuncFormatter(_sparse) if few else NullFormatter())
    axes.tick_params(axis="x", which="minor", labelsize=SMALL, labelcolor=INK, color=MUTED)
    axes.set_xlabel(name)
    axes.grid(visible=True)


def _sparse(value: float, _position: int | None = None) -> str:
    """Labels at 2 and 5 of each decade only."""
    return f"{value:g}" if f"{value:.0e}"[0] in "25" else ""
