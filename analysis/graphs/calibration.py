"""Whether a model is right as often as it is sure: confidence against accuracy, for up to six contestants."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import ndtri

from analysis.graphs.style import (
    INK,
    Graph,
    colours,
    markers,
    new_figure,
    put_title,
    shortened,
    styled,
)
from analysis.stats.families import ALPHA
from analysis.stats.options import Calibration

MOST = 6


@styled
def reliability(labels: Sequence[str], found: Sequence[Calibration]) -> Graph:
    """Lines of the first six contestants that picked anything; on the diagonal a model is as right as it is sure."""
    shown = [(name, one) for name, one in zip(shortened(labels), found, strict=True) if one.questions.sum()][:MOST]
    title = calibration_title(shown)
    figure = new_figure(8.0, 4.8)
    note = "Dots: questions by the probability of the pick; the larger, the more questions."
    if len(found) > MOST:
        note += f" The first {MOST} of {len(found)} contestants, by the share right."
    put_title(figure, title, note)
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color=INK, linestyle=(0, (4, 3)), linewidth=1)
    for (label, one), colour, shape in zip(shown, colours(len(shown)), markers(len(shown)), strict=True):
        axes.plot(100 * one.confidence, 100 * one.accuracy, "-", color=colour, alpha=0.6)
        sizes = 12 + 110 * one.questions / one.questions.max()
        axes.scatter(100 * one.confidence, 100 * one.accuracy, s=sizes, color=colour, marker=shape, label=label)
    axes.set_xlim(0, 102)
    axes.set_ylim(-2, 102)
    axes.set_xlabel("probability of the pick (%)")
    axes.set_ylabel("right (%)")
    axes.grid(visible=True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", markerscale=0.6)
    said = "; ".join(f"{label}: Brier {one.brier:.2f}" for label, one in shown)
    return Graph("calibration", title, f"{title}. {said}.", figure)


def calibration_title(shown: Sequence[tuple[str, Calibration]]) -> str:
    """Who is surer than right, or less sure, by more than noise explains (z with Bonferroni over those shown)."""
    z = float(ndtri(1 - ALPHA / (2 * len(shown))))
    apart = [(name, one.overconfidence) for name, one in shown if abs(one.overconfidence) > z * one.error]
    if not apart:
        who = shown[0][0] if len(shown) == 1 else f"None of the {len(shown)}"
        return f"{who} {'is not' if len(shown) == 1 else 'is'} told apart from being as right as it is sure"
    name, gap = max(apart, key=lambda item: abs(item[1]))
    return f"{name} is {abs(100 * gap):.0f} points {'surer than it is right' if gap > 0 else 'less sure than right'}"
