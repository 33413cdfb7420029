"""`--check-noise`: a slice of a Run answered again in other packs, and how far its replies moved by that alone.

What a question is packed with can change its log-probabilities (nothing in float32, a few hundredths in bfloat16, far
more in 8 bit, where LLM.int8 looks for outliers over the whole batch), and with them a text that is written. No
difference between models that is as small as that means anything. The Run's Answers stay as they are: the second
replies are compared with them and thrown away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from proctor.exams.marking.choice import best_of
from proctor.nouns.exams import Reply, Scored
from proctor.nouns.runs import Claim, Noise
from workers.engines.scoring import Prepared
from workers.run.lease import Lease
from workers.run.paper import Paper
from workers.run.replies import Answerer

SLICE = 32  # questions of a Run at most, a contestant has many Runs
Replies = tuple[Reply, ...]  # to one question, a reply an ask
ONE_IN = 4  # of its questions at most, so that the check costs a quarter of a small Run and an eighth of MMLU


def check_noise(claim: Claim, lease: Lease, answerer: Answerer, paper: Paper, prepared: Prepared) -> Noise | None:
    """The noise of a Run whose Answers are all recorded; None where nobody asked for it, or it is known already.

    The slice and its packs are a pure function of the prompts and the settings, as the Run's own packs are: whichever
    attempt measures it, after whatever was killed, measures the same. Errors as of `Answerer.answer`.
    """
    if not claim.check_noise:
        return None
    began = time.monotonic()
    budget = claim.spec.conditions.pack_tokens // 2 or 1
    before: list[Replies] = []
    after: list[Replies] = []
    packs = paper.packs(prepared, spread(len(prepared.lengths)), halved=True)
    ids = {index: prepared.prompts[index].question.id for pack in packs for index in pack.members}
    recorded = lease.recorded_replies(tuple(ids.values()))
    for pack in packs:
        before += (recorded[ids[index]] for index in pack.members)
        after += (tuple(one.reply for one in row) for row in answerer.answer(prepared, pack).exchanges)
    return compare(before, after, budget, time.monotonic() - began)


def spread(questions: int) -> Sequence[int]:
    """Every nth question, from the whole of the exam: one in four, `SLICE` at most."""
    return range(0, questions, max(ONE_IN, math.ceil(questions / SLICE)))


def compare(before: Sequence[Replies], after: Sequence[Replies], pack_tokens: int, wall_s: float) -> Noise:
    """What moved between two times that the same questions were answered.

    A flip is another pick, or another text. Options that are impossible in either don't count.
    """
    pairs = [
        abs(one - other)
        for row, again in zip(before, after, strict=True)
        for one, other in zip(_numbers(row), _numbers(again), strict=True)
        if math.isfinite(one) and math.isfinite(other)
    ]
    return Noise(
        questions=len(before),
        flips=sum(_outcome(row) != _outcome(again) for row, again in zip(before, after, strict=True)),
        largest=max(pairs, default=0.0),
        mean=math.fsum(pairs) / max(1, len(pairs)),
        pack_tokens=pack_tokens,
        wall_s=wall_s,
    )


def _numbers(replies: Replies) -> list[float]:
    return [number for reply in replies if isinstance(reply, Scored) for number in reply.options_logprob]


def _outcome(replies: Replies) -> list[int | str | None]:
    """What the replies to a question come to: the pick, or the text, of each."""
    return [best_of(reply.options_logprob) if isinstance(reply, Scored) else reply.text for reply in replies]
