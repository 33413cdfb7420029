"""Answers in mathematics: read out, written alike, compared by value within limits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.errors import BadInput
from proctor.exams.judging import libraries, metrics
from proctor.exams.judging.chains import through
from proctor.exams.judging.libraries import check_installed, library
from proctor.exams.judging.maths import equivalence
from proctor.exams.judging.maths.equivalence import Algebra
from proctor.exams.judging.maths.hendrycks import same
from proctor.exams.judging.maths.minerva import normalized
from proctor.exams.judging.replies import ReadReply
from proctor.exams.tasks.form import Chain, Metric, Step
from proctor.nouns.exams import Question

HALF = Question("0" * 16, 0, "Half of one?", reference=r"\frac{1}{2}")


@pytest.fixture(scope="module")
def algebra() -> Iterator[Algebra]:
    started = Algebra()
    yield started
    started.close()


@pytest.fixture(autouse=True, scope="module")
def ended() -> Iterator[None]:
    yield
    equivalence._algebra.close()


def points(name: str, text: str, question: Question = HALF, **arguments: object) -> float:
    return metrics.of_text(Metric(name, arguments), question, text).points


@pytest.mark.parametrize(
    ("filter_name", "reply", "answer"),
    [
        ("between_dollars", r"It is $\frac12$ or $0.5$.", r"\frac12$ or $0.5"),
        ("between_dollars", "It is $5", "It is $5"),
        ("final_answer", r"So 1. Final Answer: The final answer is $\frac12$. I hope it is correct.", r"$\frac12$"),
        ("final_answer", "Final Answer: The final answer is 5. ", "5"),
        ("final_answer", "It is 5.", None),
        ("last_boxed", r"\boxed{1} and \boxed{\frac{1}{2}} so", r"\frac{1}{2}"),
        ("last_boxed", r"$\boxed 5$ so", "5"),
        ("last_boxed", r"\fbox{6}", "6"),
        ("last_boxed", r"\boxed{\frac{1}{2}", None),
        ("last_boxed", "5", None),
    ],
)
def test_the_answer_is_read_out_of_a_solution(filter_name: str, reply: str, answer: str | None) -> None:
    assert through(Chain("one", (Step(filter_name),)), [ReadReply(reply)], HALF).extracted == answer


@pytest.mark.parametrize(
    ("given_answer", "right", "equal"),
    [
        ("0.5", r"\frac{1}{2}", True),
        (r"\dfrac12", r"\frac{1}{2}", True),
        ("1/2", r"\frac12", True),
        ("x = 5", "5", True),
        (r"5\text{ cm}", "5", True),
        (r"\sqrt3", r"\sqrt{3}", True),
        (r"\left(.5\right)", "(0.5)", False),
        ("50\\%", "50", True),
        (r"90^\circ", "90", True),
        ("a/b", "a/b", True),
        (r"\frac1{72}", r"\frac{1}{72}", True),
        (r"\frac1", r"\frac{1}", False),
        ("a/b ", "a/b", False),
        (r"\frac", r"\frac", True),
        ("5", "6", False),
    ],
)
def test_hendrycks_compares_what_is_written_alike(given_answer: str, right: str, equal: bool) -> None:
    assert same(given_answer, right) is equal


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        (r"x = 100,000 \text{ dollars}", "100000"),
        ("0,1", "0,1"),
        (r"$\frac12$", r"\frac{1}{2}"),
        (r"\sqrt[3]8", r"\sqrt[3]{8}"),
        (r"\left(2,3\right)", r"\left(2,3\right)"),
        ("20 square feet", "20"),
        (r"\boxed{7}", "7"),
    ],
)
def test_minerva_normalizes(answer: str, plain: str) -> None:
    assert normalized(answer) == plain


@pytest.mark.parametrize(
    ("name", "text", "worth"),
    [
        ("hendrycks_math", "0.5", 1),
        ("hendrycks_math", "So it is $0.5$.", 1),
        ("hendrycks_math", "So it is 0.5.", 0),
        ("minerva_math", "Final Answer: The final answer is $0.5$. I hope it is correct.", 1),
        ("minerva_math", r"Final Answer: The final answer is $\frac{2}{4}$. ", 1),
        ("minerva_math", "Final Answer: The final answer is $0.5$. I hope", 0),
        ("minerva_math", "0.5", 0),
        ("minerva_math", "", 0),
        ("math_verify", "So the answer is $0.50$.", 1),
        ("math_verify", "So the answer is $0.6$.", 0),
        ("math_verify", "no idea", 0),
    ],
)
def test_answers_are_compared_by_value(name: str, text: str, worth: float) -> None:
    assert points(name, text) == worth


def test_what_a_filter_has_extracted_is_taken_as_it_is() -> None:
    assert points("minerva_math", "0.5", extracted=True) == points("hendrycks_math", "0.5", extracted=True) == 1
    dollars = Question("0" * 16, 0, "How much?", reference="a$b$c")
    assert points("hendrycks_math", "a$b$c", dollars, extracted=True) == 1
    assert points("hendrycks_math", "a$b$c", dollars) == 0


def test_the_solution_is_read_where_there_is_one() -> None:
    reference = json.dumps({"answer": "(1,2)", "solution": r"We get $\boxed{(1,2)}$."})
    question = Question("0" * 16, 0, "Where?", reference=reference)
    assert (
        points("math_verify", "It is $(1, 2)$", question)
        == points("minerva_math", "(1,2)", question, extracted=True)
        == 1
    )


def test_what_runs_without_end_is_ended_and_the_next_is_answered(
    algebra: Algebra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equivalence, "LIMIT_S", 1)
    assert not algebra.equal("difference", "9^{9^{9^{9}}}", "1")
    assert algebra.equal("difference", "x+1", "1+x")


def test_one_that_was_killed_between_two_questions_costs_no_answer(algebra: Algebra) -> None:
    assert algebra.equal("difference", "1", "1")
    assert algebra._process
    algebra._process.kill()
    algebra._process.wait()
    assert algebra.equal("difference", "2", "2")


def test_threads_take_turns(algebra: Algebra) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda n: algebra.equal("difference", str(n % 2), "1"), range(12)))
    assert answers == [n % 2 == 1 for n in range(12)]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # of a fork, from Python 3.12 on
def test_a_fork_has_a_process_of_its_own(algebra: Algebra) -> None:
    assert algebra.equal("difference", "1", "1")
    child = os.fork()
    if not child:
        asked = algebra.equal("difference", "2", "1+1")
        algebra.close()
        os._exit(0 if asked else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert algebra.equal("difference", "3", "3")


def test_a_library_that_isn_t_there_is_named_with_its_extra() -> None:
    with pytest.raises(BadInput, match=r"no_such_library.*proctor-exams\[judging\]"):
        library("no_such_library")
    with pytest.raises(BadInput, match=r"isn't installed.*proctor-exams\[judging\]"):
        check_installed("no_such_library")
    assert "judging" in libraries.EXTRA


LATEX = st.text("\\frac{}12/$=. ,sqrtbox^", max_size=25)


@given(LATEX, LATEX)
def test_no_text_is_too_odd_to_be_compared(one: str, other: str) -> None:
    assert same(one, one)
    assert same(one, other) == same(other, one)
    normalized(one)
    for name in ("between_dollars", "final_answer", "last_boxed"):
        through(Chain("one", (Step(name),)), [ReadReply(one)], HALF)
