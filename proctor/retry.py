"""Waits that differ a little, so that many who wait for the same thing don't come back at the same moment."""

from __future__ import annotations

import random

# One of its own: it never depends on, nor disturbs, a seed that somebody sets for their numbers.
_generator = random.Random()  # noqa: S311 -- spreads waits, keeps no secret


def jittered(seconds: float) -> float:
    """Between half of `seconds` and all of it."""
    return seconds * _generator.uniform(0.5, 1.0)
