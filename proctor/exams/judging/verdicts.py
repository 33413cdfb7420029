"""Verdicts of a judge that is itself a model: a rating, or the better of two, read out of its last words.

The verdict stands in a line of its own of a fixed form. The last such line counts, for a judge may quote an example, or
change its mind. What doesn't parse is no verdict: it is asked for once more, then counted as unjudged, never as 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

LEAST, MOST = 1.0, 10.0
_RATING = re.compile(r"^[ \t]*Rating: \[\[(\d+(?:\.\d+)?)\]\][ \t]*$", re.MULTILINE)
_BETTER = re.compile(r"^[ \t]*Verdict: \[\[([ABC])\]\][ \t]*$", re.MULTILINE)


class Better(StrEnum):
    """Which of two answers a judge prefers, by the order in which it was shown them."""

    FIRST = "A"
    SECOND = "B"
    TIE = "C"


class Preferred(StrEnum):
    """What two verdicts on one pair amount to, one in each order."""

    ONE = "one"  # preferred in either order
    OTHER = "other"
    TIE = "tie"  # in either order
    INCONSISTENT = "inconsistent"  # the verdicts differ: the order decided, or chance
    UNJUDGED = "unjudged"  # a verdict is missing


def rating(text: str) -> float | None:
    """The rating in the last line `Rating: [[7]]`; None where there is none, or it isn't from 1 to 10."""
    found = _RATING.findall(text)
    value = float(found[-1]) if found else 0.0
    return value if LEAST <= value <= MOST else None


def better(text: str) -> Better | None:
    """The verdict in the last line `Verdict: [[A]]`, with B for the second answer and C for a tie; None for none."""
    found = _BETTER.findall(text)
    return Better(found[-1]) if found else None


_SWAPPED: Mapping[Better, Better] = {
    Better.FIRST: Better.SECOND,
    Better.SECOND: Better.FIRST,
    Better.TIE: Better.TIE,
}
_PREFERRED: Mapping[Better, Preferred] = {
    Better.FIRST: Preferred.ONE,
    Better.SECOND: Preferred.OTHER,
    Better.TIE: Preferred.TIE,
}


def of_both_orders(one_first: Better | None, other_first: Better | None) -> Preferred:
    """What the verdict with `one` shown first and that with `other` shown first amount to together."""
    if one_first is None or other_first is None:
        return Preferred.UNJUDGED
    return _PREFERRED[one_first] if one_first is _SWAPPED[other_first] else Preferred.INCONSISTENT
