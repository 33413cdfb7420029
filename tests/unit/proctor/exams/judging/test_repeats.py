"""Several replies to a question: pass@k against counting all draws, and votes as lm-evaluation-harness takes them."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.exams.judging.marking import mark_by
from proctor.exams.judging.repeats import Repeats, chains_of_one, chance, each_reply, ks, passed_of
from proctor.exams.tasks.form import Chain, Form, Headline, Kind, Metric, Step
from proctor.nouns.exams import GREEDY, Exchange, Question, Write, Written

NUMBER = Step("regex", {"regex_pattern": r"#### (\d+)"})
FIRST, VOTE = Step("take_first"), Step("majority_vote")
FORM = Form(
    Kind.WRITE,
    (Metric("exact_match"),),
    Headline("exact_match", "score-first"),
    chains=(
        Chain("score-first", (NUMBER, FIRST)),
        Chain("maj@4", (Step("take_first_k", {"k": 4}), NUMBER, VOTE, FIRST)),
        Chain("bare", (FIRST,)),
    ),
    temperature=0.7,
    repeats=5,
)
QUESTION = Question("0" * 16, 0, "9 + 9", reference="18")
TEXTS = ("#### 17", "no idea", "#### 18", "#### 18", "nothing")


def asked(*texts: str) -> list[Exchange]:
    return [Exchange(Write("", GREEDY), Written(text)) for text in texts]


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_of_k_with_one_that_passed(drawn: tuple[int, int, int]) -> None:
    n, right, k = drawn
    draws = list(combinations(range(n), k))
    assert chance(right, n, k) == pytest.approx(sum(min(draw) < right for draw in draws) / len(draws))


def test_figures_are_told_for_powers_of_two_and_for_all_replies() -> None:
    assert [ks(n) for n in (1, 2, 5, 64)] == [(1,), (1, 2), (1, 2, 4, 5), (1, 2, 4, 8, 16, 32, 64)]


def test_chains_that_differ_in_how_they_choose_alone_are_one() -> None:
    assert [(chain.name, chain.steps) for chain in chains_of_one(FORM)] == [("score-first", (NUMBER,)), ("bare", ())]


def test_each_reply_is_judged_by_itself_and_the_first_k_vote() -> None:
    chain = next(chains_of_one(FORM))
    passed, voted = each_reply(FORM, chain, QUESTION, asked(*TEXTS))
    assert passed == (False, False, True, True, False)
    # 17; 17 and nothing; two of 18 among four; two of 18 and two of nothing, which came first.
    assert voted == (0.0, 0.0, 1.0, 0.0)


def test_a_vote_of_k_is_the_mark_of_the_chain_that_has_it() -> None:
    chain = next(chains_of_one(FORM))
    for texts in (TEXTS, ("#### 18", "#### 17", "#### 17", "#### 18", "x"), ("x", "x", "x", "#### 18", "#### 18")):
        form = Form(FORM.kind, FORM.metrics, Headline("exact_match", "maj@4"), chains=FORM.chains, repeats=5)
        _, voted = each_reply(FORM, chain, QUESTION, asked(*texts))
        assert voted[ks(5).index(4)] == mark_by(form, QUESTION, asked(*texts)).points


def test_the_figures_of_a_run_are_a_question_each() -> None:
    some = Repeats("none", "exact_match", ((True, False, False, False), (False,) * 4))
    assert some.chances(2) == pytest.approx((0.5, 0.0))
    assert (some.replies, some.ks) == (4, (1, 2, 4))


def test_what_passed_is_told_from_points_where_that_can_be_told() -> None:
    assert [passed_of(chance(right, 5, 1), 5, 1) for right in range(6)] == list(range(6))
    assert passed_of(chance(3, 4, 2), 4, 2) is None  # 3 and 4 of four are both certain
    assert passed_of(0.123, 4, 1) is None
