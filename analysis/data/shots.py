"""How many examples stood before each question: fewer than asked for, where a model's window held no more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.data.panel import Panel


def by_shots(panel: Panel) -> list[Panel]:
    """The panel, and apart from it those to whom most questions were put after fewer shots than were asked for."""
    short = panel.shots_short.sum(axis=1) * 2 > panel.asked.sum(axis=1)
    if short.all() or not short.any():
        return [panel]
    return [panel.of(np.flatnonzero(~short).tolist()), panel.of(np.flatnonzero(short).tolist())]


def short_of_shots(panel: Panel) -> NDArray[np.int64]:
    """(C,) questions that were put after fewer shots than were asked for."""
    return np.asarray(panel.shots_short.sum(axis=1), dtype=np.int64)


def shots_range(panel: Panel) -> str:
    """`5`, or `3 to 5` where not every question was put after as many; "" where it isn't known."""
    if panel.shots is None or not panel.asked.any():
        return "" if panel.terms.shots is None else str(panel.terms.shots)
    shown = panel.shots[panel.asked]
    fewest, most = int(shown.min()), int(shown.max())
    return str(most) if fewest == most else f"{fewest} to {most}"


def short_sentences(panel: Panel) -> list[str]:
    """A sentence for each contestant that was shown fewer shots than were asked for."""
    each = [panel.of([place]) for place in range(len(panel.contestants))]
    return [
        f"{label}: {shots_range(one)} shots were shown instead of {panel.terms.shots}, fewer on {int(count):,} of "
        f"{int(one.asked.sum()):,} questions, since its window held no more."
        for label, one, count in zip(panel.labels, each, short_of_shots(panel), strict=True)
        if count
    ]
