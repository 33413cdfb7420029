"""Which questions go through the model together. A pure function of lengths and budget, never of what is left to do."""

from __future__ import annotations

from collections.abc import Sequence

from proctor.nouns.exams import Pack

REPLIES_A_PACK = 64  # of written answers, the unit of record: a worker that is killed loses so many at most


def compose(lengths: Sequence[int], budget_tokens: int, *, padded: bool = True) -> tuple[Pack, ...]:
    """Divide prompts of the given lengths (tokens) into Packs.

    Every index of `lengths` stands in exactly one Pack. Members go from the longest to the shortest, equals in their
    order, so that the first Pack is the largest and a lack of memory shows at once. A Pack's size is at most
    `budget_tokens`: members × its longest where it will be `padded`, else the sum of its members. A prompt longer than
    that is a Pack of its own. The same arguments give the same Packs on every machine: a resumed Run finds its finished
    Packs again.

    Raises ValueError for a length or a budget below 1.
    """
    if budget_tokens < 1 or any(length < 1 for length in lengths):
        raise ValueError(
            f"lengths and budget must be 1 or more, got budget {budget_tokens} and {min(lengths, default=1)}"
        )
    packs: list[list[int]] = []
    size = 0
    for index in longest_first(lengths):
        if packs and size + (lengths[packs[-1][0]] if padded else lengths[index]) <= budget_tokens:
            packs[-1].append(index)
        else:
            packs.append([index])
            size = 0
        size += lengths[packs[-1][0]] if padded else lengths[index]
    return tuple(Pack(number, tuple(members)) for number, members in enumerate(packs))


def compose_by_count(lengths: Sequence[int], count: int) -> tuple[Pack, ...]:
    """Divide prompts into Packs of `count`, the last of what is left; from the longest to the shortest, as `compose`.

    Raises ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError(f"a pack of {count} prompts holds nothing")
    order = longest_first(lengths)
    starts = range(0, len(order), count)
    return tuple(Pack(number, tuple(order[start : start + count])) for number, start in enumerate(starts))


def longest_first(lengths: Sequence[int]) -> list[int]:
    """The indexes of these lengths from the longest to the shortest, equals in their order."""
    return sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
