"""Which texts of a drawn figure overlap, are cut off or too small: what the tests of graphs ask."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


@dataclass(frozen=True)
class Placed:
    """A text and its box in pixels."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    points: float

    def overlaps(self, other: Placed, slack: float = 1.0) -> bool:
        beside = self.left < other.right - slack and other.left < self.right - slack
        return beside and self.bottom < other.top - slack and other.bottom < self.top - slack


def placed_texts(figure: Figure) -> list[Placed]:
    """Every text that a reader sees, drawn and measured."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib leaves its canvas untyped
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    hidden = {id(text) for axes in figure.findobj(Axes) for text in _unseen(axes)}
    placed = []
    for text in figure.findobj(Text):
        if id(text) in hidden or not text.get_visible() or not text.get_text().strip():
            continue
        box = text.get_window_extent(renderer)
        placed.append(Placed(text.get_text(), box.x0, box.y0, box.x1, box.y1, float(text.get_fontsize())))
    return placed


def overlapping(texts: list[Placed]) -> list[tuple[str, str]]:
    """Pairs of texts that lie on one another."""
    found = []
    ordered = sorted(texts, key=lambda text: text.left)
    for index, first in enumerate(ordered):
        for second in ordered[index + 1 :]:
            if second.left >= first.right:
                break
            if first.overlaps(second):
                found.append((first.text, second.text))
    return found


def cut_off(texts: list[Placed], figure: Figure) -> list[str]:
    """Texts that stick out of the figure."""
    width, height = figure.bbox.width, figure.bbox.height
    return [t.text for t in texts if t.left < -1 or t.bottom < -1 or t.right > width + 1 or t.top > height + 1]


def _unseen(axes: Axes) -> list[Text]:
    """Labels that matplotlib keeps but doesn't draw: of axes switched off, and of ticks outside the limits."""
    unseen: list[Text] = []
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        low, high = sorted(limits)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            outside = not low - 1e-9 <= tick.get_loc() <= high + 1e-9
            if outside or not axes.axison or not axes.get_visible():
                unseen += [tick.label1, tick.label2]
        if not axes.axison:
            unseen += [axis.label, axis.offsetText]
    return unseen
