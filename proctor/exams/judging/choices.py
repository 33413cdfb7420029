"""Metrics on the log-probabilities of options."""

from __future__ import annotations

import math
from collections.abc import Sequence

from proctor.errors import BadScores
from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.worth import Worth, all_or_none
from proctor.exams.marking.choice import best_of, check_logprobs, per_character
from proctor.nouns.exams import Question, Scored

NO_KEY = -1  # in an item, a tie: nobody picked it


def checked(question: Question, reply: Scored, options: int) -> Scored:
    """The reply. Raises `BadScores` for NaN, +inf, all options at −inf, or another number of values than options."""
    scores = reply.options_logprob
    where = f"Question {question.index} ({question.id})"
    if len(scores) != options or (reply.greedy and len(reply.greedy) != options):
        raise BadScores(f"{where} has {options} options and got {len(scores)} scores, {len(reply.greedy)} of greedy.")
    check_logprobs(where, scores)
    return reply


def right_places(question: Question) -> tuple[int, ...]:
    """Indexes of all right choices, the first first."""
    return (question.key, *question.further)


def _by(question: Question, scores: Sequence[float]) -> Worth:
    picked = best_of(scores)
    return all_or_none(picked in right_places(question), picked)


def acc(question: Question, reply: Scored, _: Reader) -> Worth:
    """`acc`: a right choice has the highest log-probability. A tie picks none; there, it picks the first."""
    return _by(question, reply.options_logprob)


def acc_norm(question: Question, reply: Scored, _: Reader) -> Worth:
    """`acc_norm`: the same, log-probabilities divided by the choices' characters."""
    return _by(question, per_character(reply.options_logprob, [len(choice) for choice in question.choices]))


def acc_bytes(question: Question, reply: Scored, _: Reader) -> Worth:
    """`acc_bytes`: the same, divided by the choices' bytes in UTF-8."""
    return _by(question, per_character(reply.options_logprob, [len(choice.encode()) for choice in question.choices]))


def exact_match(question: Question, reply: Scored, _: Reader) -> Worth:
    """`exact_match` of a choice: all tokens of a right choice are the likeliest at their place."""
    greedy = greedy_of(question, reply)
    return all_or_none(any(greedy[place] for place in right_places(question)), best_of(reply.options_logprob))


def mc2(question: Question, reply: Scored, _: Reader) -> Worth:
    """TruthfulQA's mc2: the right choices' share of the probability, choices not normalized by length."""
    scores = reply.options_logprob
    best = max(scores)
    chances = [math.exp(score - best) for score in scores]
    share = min(1.0, sum(chances[place] for place in right_places(question)) / sum(chances))
    return Worth(share, share, scores.index(best))


def pair(question: Question, reply: Scored, _: Reader) -> Worth:
    """`f1`, `mcc` of a choice: (right, picked) for the set, alone as `acc`."""
    picked = best_of(reply.options_logprob)
    points = float(picked in right_places(question))
    return Worth(points, (float(question.key), float(NO_KEY if picked is None else picked)), picked)


def greedy_of(question: Question, reply: Scored) -> tuple[bool, ...]:
    """Of each option, whether its tokens are the likeliest. Raises `BadScores` where that isn't known."""
    if not reply.greedy:
        raise BadScores(
            f"Question {question.index} ({question.id}): it isn't known whether its options are greedy.",
            "Sit the exam again with this release, or leave out exact_match.",
        )
    return reply.greedy
