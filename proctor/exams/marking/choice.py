"""From the log-probabilities of a question's options to an Answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from proctor.errors import BadScores
from proctor.nouns.exams import Answer, Prompt


def judge(prompt: Prompt, options_logprob: Sequence[float]) -> Answer:
    """The Answer that these log-probabilities (natural logarithms, one an option, in order) amount to.

    Picked is the one option above all others. An exact tie for the first place picks nothing and is not correct: it is
    counted as no answer, never given to the first letter, which would favour models that prefer it. The same holds for
    `correct_norm`, which goes by the log-probability per character.

    Raises
    ------
    BadScores
        for NaN, +inf, all options at −inf, or another number of values than options.
    """
    scores = tuple(float(value) for value in options_logprob)
    _check(prompt, scores)
    picked = best_of(scores)
    normed = scores if not prompt.characters else per_character(scores, prompt.characters)
    return Answer(
        question_id=prompt.question.id,
        prompt_hash=prompt.hash,
        shots=prompt.shots,
        options_logprob=scores,
        picked=picked,
        correct=picked == prompt.question.answer,
        correct_norm=best_of(normed) == prompt.question.answer,
    )


def best_of(scores: Sequence[float]) -> int | None:
    """The place of the one score above all others; None where two share the first place."""
    best = max(scores)
    return scores.index(best) if scores.count(best) == 1 else None


def per_character(options_logprob: Sequence[float], characters: Sequence[int]) -> tuple[float, ...]:
    """Log-probabilities divided by the characters of their options: what lm-evaluation-harness's `acc_norm` compares.

    An option without any character is never the best, as there.
    """
    return tuple(
        score / length if length else -math.inf for score, length in zip(options_logprob, characters, strict=True)
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
