"""`--check-noise`: a slice of a Run scored again in other packs, and how far its numbers moved by that alone.

What a question is packed with can change its log-probabilities (nothing in float32, a few hundredths in bfloat16, far
more in 8 bit, where LLM.int8 looks for outliers over the whole batch). No difference between models that is as small
as that means anything. The Run's Answers stay as they are: the second scores are compared with them and thrown away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from proctor.exams.marking.choice import best_of
from proctor.exams.packs import compose
from proctor.nouns.exams import Pack
from proctor.nouns.runs import Claim, Noise
from workers.engines.scoring import Prepared
from workers.run.lease import Lease
from workers.run.splitting import SplittingScorer

SLICE = 32  # questions of a Run at most, a contestant has many Runs
ONE_IN = 4  # of its questions at most, so that the check costs a quarter of a small Run and an eighth of MMLU


def check_noise(claim: Claim, lease: Lease, scorer: SplittingScorer, prepared: Prepared) -> Noise | None:
    """The noise of a Run whose Answers are all recorded; None where nobody asked for it, or it is known already.

    The slice and its packs are a pure function of the prompts and the settings, as the Run's own packs are: whichever
    attempt measures it, after whatever was killed, measures the same. Errors as of `Engine.answer`.
    """
    if not claim.check_noise:
        return None
    began = time.monotonic()
    budget = claim.spec.conditions.pack_tokens // 2 or 1
    before: list[tuple[float, ...]] = []
    after: list[tuple[float, ...]] = []
    packs = other_packs(prepared, budget)
    ids = {index: prepared.prompts[index].question.id for pack in packs for index in pack.members}
    recorded = lease.recorded_scores(tuple(ids.values()))
    for pack in packs:
        before += (recorded[ids[index]] for index in pack.members)
        after += scorer.answer(prepared, pack).options_logprob
    return compare(before, after, budget, time.monotonic() - began)


def other_packs(prepared: Prepared, budget_tokens: int) -> tuple[Pack, ...]:
    """Packs of at most `SLICE` questions, taken evenly over the exam: other company, and half as much of it."""
    chosen = spread(len(prepared.lengths))
    packs = compose([prepared.lengths[index] for index in chosen], budget_tokens, padded=prepared.padded)
    return tuple(Pack(pack.index, tuple(chosen[place] for place in pack.members)) for pack in packs)


def spread(questions: int) -> Sequence[int]:
    """Every nth question, from the whole of the exam: one in four, `SLICE` at most."""
    return range(0, questions, max(ONE_IN, math.ceil(questions / SLICE)))


def compare(
    before: Sequence[Sequence[float]], after: Sequence[Sequence[float]], pack_tokens: int, wall_s: float
) -> Noise:
    """What moved between two scorings of the same questions. Options that are impossible in either don't count."""
    pairs = [
        abs(one - other)
        for row, again in zip(before, after, strict=True)
        for one, other in zip(row, again, strict=True)
        if math.isfinite(one) and math.isfinite(other)
    ]
    return Noise(
        questions=len(before),
        flips=sum(best_of(row) != best_of(again) for row, again in zip(before, after, strict=True)),
        largest=max(pairs, default=0.0),
        mean=math.fsum(pairs) / max(1, len(pairs)),
        pack_tokens=pack_tokens,
        wall_s=wall_s,
    )
