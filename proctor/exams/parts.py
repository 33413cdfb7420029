"""Which questions of a large Run one worker sits at a time. A pure function of their number and of what is scored."""

from __future__ import annotations

from proctor.exams.packs import REPLIES_A_PACK
from proctor.nouns.exams import Scoring

MOST_SCORED = 2048  # questions of a part; the largest subject of MMLU has 1,534
MOST_LONG = 256  # of written answers, or whole pages: each takes many times as long
WRITTEN = (Scoring.WRITTEN, Scoring.OPEN, Scoring.JUDGED)


def parts_of(questions: int, scoring: Scoring) -> tuple[range, ...]:
    """The places in the exam of each part's questions, in order: as few parts as hold them, of almost one size.

    Every question stands in exactly one part, and what a part may hold is one part. Parts of written answers end where
    a pack does: only the last pack of an exam is smaller than the others.

    Raises ValueError for a number of questions below 1.
    """
    if questions < 1:
        raise ValueError(f"{questions} questions make no part")
    most = MOST_LONG if scoring in (*WRITTEN, Scoring.PAGES) else MOST_SCORED
    unit = REPLIES_A_PACK if scoring in WRITTEN else 1
    units, count = -(-questions // unit), -(-questions // most)
    ends = [min(questions, units * (number + 1) // count * unit) for number in range(count)]
    return tuple(range(start, end) for start, end in zip([0, *ends], ends, strict=False))
