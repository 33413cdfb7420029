"""What the log-probabilities of a question's options are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence

from proctor.errors import BadScores
from proctor.exams.marking.answers import answer_of
from proctor.nouns.exams import Answer, Choose, Exam, Exchange, Mark, Prompt, Question, Scored


def mark(_exam: Exam, question: Question, exchanges: Sequence[Exchange]) -> Mark:
    """The mark of the last exchange; see `mark_choice`."""
    return mark_choice(question, exchanges[-1])


def mark_choice(question: Question, exchange: Exchange) -> Mark:
    """1 point where the key is picked: the one option whose log-probability is above all others.

    An exact tie for the first place picks nothing: it is counted as no answer, never given to the first letter, which
    would favour models that prefer it. The same holds for `correct_norm`, which goes by the log-probability per
    character.

    Raises
    ------
    BadScores
        for NaN, +inf, all options at −inf, or another number of values than options.
    """
    ask, reply = exchange.ask, exchange.reply
    if not isinstance(ask, Choose) or not isinstance(reply, Scored):
        raise BadScores(f"{_where(question)} has a written reply where options were to be scored.")
    scores = reply.options_logprob
    _check(question, ask, scores)
    picked = best_of(scores)
    normed = best_of(per_character(scores, ask.characters)) if ask.characters else picked
    return Mark(float(picked == question.key), picked, correct_norm=normed == question.key)


def judge(prompt: Prompt, options_logprob: Sequence[float]) -> Answer:
    """The Answer that these log-probabilities (natural logarithms, one an option, in order) amount to; see `mark`."""
    exchange = Exchange(prompt.ask, Scored(tuple(float(value) for value in options_logprob)))
    return answer_of(prompt, (exchange,), mark_choice(prompt.question, exchange))


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


def _where(question: Question) -> str:
    return f"Question {question.index} ({question.id})"


def _check(question: Question, ask: Choose, scores: tuple[float, ...]) -> None:
    where = _where(question)
    if len(scores) != len(ask.options):
        raise BadScores(f"{where} has {len(ask.options)} options and got {len(scores)} scores.")
    check_logprobs(where, scores)


def check_logprobs(where: str, scores: Sequence[float]) -> None:
    """Raise `BadScores`, about the question that `where` names, for NaN, +inf, or all options at −inf."""
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
