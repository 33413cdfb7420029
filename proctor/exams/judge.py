"""From the log-probabilities of a question's options to an Answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from proctor.errors import BadScores
from proctor.nouns import Answer, Prompt


def judge(prompt: Prompt, options_logprob: Sequence[float]) -> Answer:
    """The Answer that these log-probabilities (natural logarithms, one an option, in order) amount to.

    Picked is the one option above all others. An exact tie for the first place picks nothing and is not correct: it is
    counted as no answer, never given to the first letter, which would favour models that prefer it.

    Raises
    ------
    BadScores
        for NaN, +inf, all options at −inf, or another number of values than options.
    """
    scores = tuple(float(value) for value in options_logprob)
    _check(prompt, scores)
    best = max(scores)
    picked = scores.index(best) if scores.count(best) == 1 else None
    return Answer(
        question_id=prompt.question.id,
        prompt_hash=prompt.hash,
        shots=prompt.shots,
        options_logprob=scores,
        picked=picked,
        correct=picked == prompt.question.answer,
    )


def _check(prompt: Prompt, scores: tuple[float, ...]) -> None:
    where = f"Question {prompt.question.index} ({prompt.question.id})"
    if len(scores) != len(prompt.options):
        raise BadScores(f"{where} has {len(prompt.options)} options and got {len(scores)} scores.")
    if any(math.isnan(score) or score == math.inf for score in scores):
        raise BadScores(
            f"{where} got the scores {scores}, which are no log-probabilities.",
            "The model computes NaN or infinity: try --dtype float32, or another quantization.",
        )
    if max(scores) == -math.inf:
        raise BadScores(
            f"{where}: the model gives every option the probability 0.",
            "Check that the tokenizer belongs to the model, and try --dtype float32.",
        )
