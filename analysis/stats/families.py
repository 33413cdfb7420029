"""Corrections for a family of comparisons: Holm where each claim counts, Benjamini-Hochberg for lists of leads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05  # chance of a false claim, alone or in a whole family


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's adjusted p-values (M,) in the order given: the chance of any false claim in the family stays below α.

    The i-th smallest becomes max over j ≤ i of (M - j + 1)·p_j, at most 1. Source: Holm 1979.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(p_values.size, 0, -1)
    return _in_place(order, np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors)))


def benjamini_hochberg(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini and Hochberg's adjusted p-values (M,): the expected share of false leads in the list stays below α.

    The i-th smallest becomes min over j ≥ i of M/j·p_j, at most 1. Source: Benjamini and Hochberg 1995.
    """
    order = np.argsort(p_values, kind="stable")
    scaled = p_values[order] * p_values.size / np.arange(1, p_values.size + 1)
    return _in_place(order, np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1]))


def _in_place(order: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
    adjusted = np.empty_like(values)
    adjusted[order] = values
    return adjusted
