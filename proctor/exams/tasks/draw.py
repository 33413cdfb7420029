"""Which examples stand before which row: the draw of lm-evaluation-harness 0.4.13, as one pure function.

Its sampler is seeded once a task and draws in the order of the rows, so that a row's examples depend on how many rows
stand before it: the draw is made over all rows, before a limit cuts them and before copies are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from proctor.errors import BadExam

Copies = Sequence[Collection[int]]  # for each row, places in the pool whose row equals it


def draw(pool: int, rows: int, shots: int, seed: int, copies: Copies | None = None) -> list[tuple[int, ...]]:
    """Of a pool of so many rows the places of each row's examples, in the order in which they are shown.

    With `copies` one more is drawn, what equals the row is taken out, and the rest is cut to `shots`; where too few are
    left, `shots` are drawn anew from the pool without what equals the row.

    Raises
    ------
    BadExam
        where the pool is too small.
    """
    if shots == 0:
        return [()] * rows
    random = Random(seed)  # noqa: S311 -- the published draw
    if copies is None:
        _check(pool, shots)
        return [tuple(random.sample(range(pool), shots)) for _ in range(rows)]
    return [_without(random, pool, shots, copies[row]) for row in range(rows)]


def first(pool: int, rows: int, shots: int, copies: Copies | None = None) -> list[tuple[int, ...]]:
    """The first examples of the pool for each row, what equals the row left out. Raises as `draw`."""
    if shots == 0:
        return [()] * rows
    shown = []
    for row in range(rows):
        out = copies[row] if copies else ()
        places = [place for place in range(pool) if place not in out] if out else range(pool)
        _check(len(places), shots)
        shown.append(tuple(places[:shots]))
    return shown


def copies_of(rows: Sequence[object], pool: Sequence[object]) -> Copies:
    """For each row the places in the pool whose row equals it."""
    places: dict[object, list[int]] = {}
    for place, row in enumerate(pool):
        places.setdefault(_frozen(row), []).append(place)
    return [places.get(_frozen(row), ()) for row in rows]


def _without(random: Random, pool: int, shots: int, out: Collection[int]) -> tuple[int, ...]:
    _check(pool, shots + 1)
    kept = [place for place in random.sample(range(pool), shots + 1) if place not in out][:shots]
    if len(kept) < shots:
        rest = [place for place in range(pool) if place not in out]
        _check(len(rest), shots)
        kept = random.sample(rest, shots)
    return tuple(kept)


def _check(have: int, wanted: int) -> None:
    if wanted > have:
        raise BadExam(
            f"{wanted} examples (shots) are to be drawn for a question, and {have} are to be had.",
            "Ask for fewer --shots.",
        )


def _frozen(value: object) -> object:
    """A value that can be looked up, equal where the values are equal."""
    if isinstance(value, dict):
        return frozenset((key, _frozen(one)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return value
