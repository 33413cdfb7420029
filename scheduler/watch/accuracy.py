"""A share of right answers in words, with the 95 % Wilson interval beside it."""

from __future__ import annotations

from proctor.statistical_power import wilson_bounds

NONE = "–"  # where nothing was answered


def accuracy(right: float, asked: int) -> str:
    """`24.2% (17.4 to 32.6)`: the share right with the ends of its 95 % interval; a dash where nothing was asked."""
    if not asked:
        return NONE
    low, high = wilson_bounds(right, asked)
    return f"{100 * right / asked:.1f}% ({100 * low:.1f} to {100 * high:.1f})"


def in_a_cell(right: float, asked: int) -> str:
    """`24.2% 17–33`: the same where room is short."""
    if not asked:
        return NONE
    low, high = wilson_bounds(right, asked)
    return f"{100 * right / asked:.1f}% {100 * low:.0f}–{100 * high:.0f}"


def amount(points: float) -> str:
    """`32`, or `32.5` where there are parts of a point."""
    return f"{points:.1f}".removesuffix(".0")
