"""Replies that are programs: joined with their tests, worth what passed, and without an answer until they have run."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.errors import BadExam
from proctor.exams.judging import metrics
from proctor.exams.judging.marking import check, mark, results
from proctor.exams.judging.programs import passed, programs
from proctor.exams.tasks.form import NO_FILTER, Chain, Form, Headline, Kind, Metric, Step
from proctor.nouns.exams import GREEDY, Exam, Exchange, Mark, Question, Write, Written

HEAD = "def double(n):\n"
TESTS = {"prompt": HEAD, "test": "def check(f):\n    assert f(2) == 4", "entry_point": "double"}
DOUBLE = Question("0" * 16, 0, HEAD, reference=json.dumps(TESTS))
AT_1 = Metric("pass_at_k", {"k": [1]})


def form(chain: Chain, repeats: int = 1, until: tuple[str, ...] = ("\ndef",)) -> Form:
    return Form(Kind.WRITE, (AT_1,), Headline("pass_at_k", chain.name), chains=(chain,), until=until, repeats=repeats)


BODY = form(Chain("create_test", (Step("code_behind_prompt"),)))


def wrote(*texts: str) -> list[Exchange]:
    return [Exchange(Write("", GREEDY), Written(text)) for text in texts]


def test_a_reply_is_run_behind_its_head_and_before_its_tests() -> None:
    (program,) = programs(BODY, DOUBLE, wrote("    return 2 * n\n\ndef more(): ..."))
    assert program == f"{HEAD}    return 2 * n\n\n{TESTS['test']}\ncheck(double)\n"


def test_tests_can_be_a_list() -> None:
    listed = Question("0" * 16, 0, "Double it.", reference=json.dumps({"test_list": ["assert a", "assert b"]}))
    assert programs(form(NO_FILTER), listed, wrote("a = b = 1")) == ("a = b = 1\nassert a\nassert b\n",)


def test_every_repeated_reply_is_a_program() -> None:
    several = form(Chain("create_test", (Step("code_behind_prompt"),)), repeats=2)
    assert len(programs(several, DOUBLE, wrote("    pass", "    return 2"))) == 2


def test_without_tests_nothing_can_be_run() -> None:
    with pytest.raises(BadExam, match="no tests in its reference"):
        programs(BODY, Question("0" * 16, 0, HEAD), wrote("    pass"))


def test_until_it_has_run_a_program_is_no_answer_and_its_form_can_be_judged() -> None:
    check(BODY)
    exam = Exam("own", "code", (), (DOUBLE,), "0" * 64, form=BODY.json())
    assert mark(exam, DOUBLE, wrote("    return 2 * n")) == Mark(0.0)
    assert results(BODY, DOUBLE, wrote("    return 2 * n")) == ()
    assert metrics.summed_up(Kind.WRITE, AT_1, [1.0, 0.0]) == 0.5


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.integers(1, 4))
def test_pass_at_k_is_the_share_of_draws_with_one_that_passed(outcomes: list[bool], k: int) -> None:
    metric = Metric("pass_at_k", {"k": k})
    if k > len(outcomes):
        with pytest.raises(BadExam, match="Ask with more repeats"):
            passed(metric, outcomes)
        return
    draws = [any(draw) for draw in combinations(outcomes, k)]
    assert passed(metric, outcomes).points == pytest.approx(sum(draws) / len(draws))


def test_pass_at_1_needs_no_argument() -> None:
    assert passed(Metric("pass_at_1"), [True, False]).item == 0.5
