"""Which questions go through the model together. A pure function of lengths and budget, never of what is left to do."""

from __future__ import annotations

from collections.abc import Sequence

from proctor.nouns import Pack


def compose(lengths: Sequence[int], budget_tokens: int) -> tuple[Pack, ...]:
    """Divide prompts of the given lengths (tokens) into Packs.

    Every index of `lengths` stands in exactly one Pack. Members go from the longest to the shortest, equals in their
    order, so that the first Pack is the largest and a lack of memory shows at once. A Pack's padded size, members ×
    its longest, is at most `budget_tokens`; a prompt longer than that is a Pack of its own. The same arguments give the
    same Packs on every machine: a resumed Run finds its finished Packs again.

    Raises ValueError for a length or a budget below 1.
    """
    if budget_tokens < 1 or any(length < 1 for length in lengths):
        raise ValueError(
            f"lengths and budget must be 1 or more, got budget {budget_tokens} and {min(lengths, default=1)}"
        )
    longest_first = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    packs: list[Pack] = []
    start = 0
    while start < len(longest_first):
        room = max(1, budget_tokens // lengths[longest_first[start]])
        packs.append(Pack(len(packs), tuple(longest_first[start : start + room])))
        start += room
    return tuple(packs)
