"""Several replies to a question, each by itself: pass@k, and what most of them say. Pure.

pass@k is the chance that at least one of k replies has all points, estimated without bias from the n that there are, of
which c have all points (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", arXiv 2107.03374):

    pass@k = 1 - C(n - c, k) / C(n, k)

A vote is lm-evaluation-harness's `majority_vote` over the first k replies (Wang et al. 2022, self-consistency, arXiv
2203.11171): of equally common answers the one that came first, and *nothing extracted* votes, too. Reply i of a
question, from 0, was drawn with the seed i.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.chains import through
from proctor.exams.judging.filters import Piece, majority_vote
from proctor.exams.judging.marking import read_replies
from proctor.exams.judging.metrics import of_text
from proctor.exams.tasks.form import Chain, Form, Metric
from proctor.nouns.exams import Exchange, Question

PICKS = frozenset({"take_first", "take_first_k", "majority_vote"})  # filters that choose among replies
_SAME = 1e-9


@dataclass(frozen=True)
class Repeats:
    """The replies to each question of a Run, one by one, on a filter chain without what chooses among them."""

    chain: str  # the first of the form's that is alike but for that
    metric: str
    passed: tuple[tuple[bool, ...], ...]  # (questions, replies): whether it has all points, in the order of seeds
    voted: tuple[tuple[float, ...], ...] = ()  # (questions, one for each of `ks`): points of the vote; empty: no votes

    @property
    def replies(self) -> int:
        """Replies to each question."""
        return len(self.passed[0])

    @property
    def ks(self) -> tuple[int, ...]:
        """The numbers of replies for which figures are told."""
        return ks(self.replies)

    def chances(self, k: int) -> tuple[float, ...]:
        """pass@k of each question."""
        return tuple(chance(sum(some), len(some), k) for some in self.passed)


def ks(replies: int) -> tuple[int, ...]:
    """1, 2, 4, … below the number of replies, and that number."""
    return (*(1 << power for power in range((replies - 1).bit_length())), replies)


def chance(passed: int, replies: int, k: int) -> float:
    """pass@k where so many of the replies passed; `k` is from 1 to the replies."""
    return 1 - math.comb(replies - passed, k) / math.comb(replies, k)


def passed_of(points: float, replies: int, k: int) -> int | None:
    """How many replies passed where pass@k has these points; None where that can't be told."""
    fitting = [count for count in range(replies + 1) if abs(chance(count, replies, k) - points) < _SAME]
    return fitting[0] if len(fitting) == 1 else None


def chains_of_one(form: Form) -> Iterator[Chain]:
    """The chains that the headline's metric is computed on, without what chooses among replies; each once."""
    on = {one.chain for one in form.metrics if one.name == form.headline.metric}
    seen = []
    for chain in form.chains:
        steps = tuple(step for step in chain.steps if step.function not in PICKS)
        if {"", chain.name} & on and steps not in seen:
            seen.append(steps)
            yield Chain(chain.name, steps)


def each_reply(
    form: Form, chain: Chain, question: Question, exchanges: Sequence[Exchange]
) -> tuple[tuple[bool, ...], tuple[float, ...]]:
    """Of each reply whether it has all points by the headline's metric, and of the votes of the first k the points.

    `chain` is one of `chains_of_one`. Raises as `proctor.exams.judging.marking.mark`.
    """
    metric = next(one for one in form.metrics if one.name == form.headline.metric and one.chain in {"", chain.name})
    made = [through(chain, [reply], question) for reply in read_replies(form, question, exchanges)]
    pieces = [Piece(one.text, one.extracted is not None) for one in made]
    points = {piece: _points(metric, question, piece) for piece in set(pieces)}
    vote = majority_vote(Reader("majority_vote", {}))
    voted = tuple(points[vote(pieces[:k], question)[0]] for k in ks(len(pieces)))
    return tuple(points[piece] == 1 for piece in pieces), voted


def _points(metric: Metric, question: Question, piece: Piece) -> float:
    return of_text(metric, question, piece.text).points if piece.found else 0.0
