"""The headline as a Mark, and all chains by all metrics side by side."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace

import pytest

from proctor.errors import BadExam, BadInput, BadScores
from proctor.exams.judging import metrics
from proctor.exams.judging.marking import check, mark, results
from proctor.exams.judging.replies import Standing
from proctor.exams.tasks.form import Form, Headline, Kind, Metric
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import GREEDY, Choose, Exam, Exchange, Mark, Question, Scored, Write, Written
from tests.unit.proctor.exams.judging.forms_of_tasks import FIRST, NONE, gsm8k

COT = replace(gsm8k(r"The answer is (\-?[0-9\.\,]+)."), until=("Q:", "</s>"))
SUM = Question("0" * 16, 0, "Q: How many?\nA:", reference="18")
CHOICE = Question("1" * 16, 1, "Which?", choices=("red", "violet", "blue"), answer=1)
CHOOSE = Form(Kind.CHOOSE, (Metric("acc"), Metric("acc_norm")), Headline("acc", "none"))


def exam(form: Form, question: Question) -> Exam:
    return Exam("own", "sums", (), (question,), "0" * 64, form=form.json())


def wrote(*texts: str, finish: Finish = Finish.STOP) -> list[Exchange]:
    return [Exchange(Write("", GREEDY), Written(text, finish=finish)) for text in texts]


def scored(*logprobs: float, greedy: tuple[bool, ...] = ()) -> list[Exchange]:
    return [Exchange(Choose("Which?", CHOICE.choices), Scored(logprobs, greedy))]


def marked(form: Form, question: Question, exchanges: list[Exchange]) -> Mark:
    return mark(exam(form, question), question, exchanges)


def test_strict_and_flexible_stand_side_by_side_and_the_headline_makes_the_mark() -> None:
    exchanges = wrote(" They get 18.")
    strict, flexible = results(COT, SUM, exchanges)
    assert (strict.chain, strict.standing, strict.worth.points) == ("strict-match", Standing.NOTHING, 0)
    assert (flexible.chain, flexible.standing, flexible.worth.points) == ("flexible-extract", Standing.EXTRACTED, 1)
    assert marked(COT, SUM, exchanges) == Mark(0.0)
    lenient = replace(COT, headline=Headline("exact_match", "flexible-extract"))
    assert marked(lenient, SUM, exchanges) == Mark(1.0, extracted="18.")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("The answer is 18. Q: next", Mark(1.0, extracted="18.")),
        ("The answer is 18", Mark(0.0, extracted="1")),
        ("The answer is 1,8.", Mark(1.0, extracted="1,8")),
        ("Q: The answer is 18.", Mark(0.0)),
        ("The answer is 180", Mark(1.0, extracted="18")),
        ("", Mark(0.0)),
    ],
)
def test_corners_of_gsm8k_cot(reply: str, expected: Mark) -> None:
    assert marked(COT, SUM, wrote(reply)) == expected


def test_a_cut_reply_is_told_from_one_without_an_answer() -> None:
    (strict, flexible) = results(COT, SUM, wrote("First, 9 and", finish=Finish.LENGTH))
    assert (strict.standing, flexible.standing) == (Standing.CUT, Standing.EXTRACTED)
    assert flexible.outcome is not None
    assert flexible.outcome.cut


def test_an_unfinished_thought_is_no_answer() -> None:
    thinking = replace(COT, think_end="</think>")
    (strict, flexible) = results(thinking, SUM, wrote("The answer is 18. But", finish=Finish.LENGTH))
    assert (strict.standing, flexible.standing) == (Standing.THINKING, Standing.THINKING)
    assert marked(thinking, SUM, wrote("hm </think> The answer is 18.")).points == 1


def test_an_empty_reply_has_no_points_even_where_nothing_is_the_right_answer() -> None:
    form = Form(Kind.WRITE, (Metric("exact_match"),), Headline("exact_match", "none"))
    nothing = replace(SUM, reference=" ")
    assert results(form, nothing, wrote(" "))[0].worth.points == 1  # as lm-evaluation-harness has it
    assert marked(form, nothing, wrote(" ")) == Mark(0.0)


def test_repeated_replies_are_judged_together() -> None:
    form = replace(COT, repeats=2)
    assert marked(form, SUM, wrote("The answer is 18.", "The answer is 3.")).points == 1
    with pytest.raises(BadScores, match="1 written replies of 2"):
        marked(form, SUM, wrote("The answer is 18."))


def test_a_choice_is_picked_by_the_headline_s_own_comparison() -> None:
    assert marked(CHOOSE, CHOICE, scored(-3, -4, -5)) == Mark(0.0, picked=0, correct_norm=True)
    by_length = replace(CHOOSE, headline=Headline("acc_norm", "none"))
    assert marked(by_length, CHOICE, scored(-3, -4, -5)) == Mark(1.0, picked=1, correct_norm=True)
    assert [one.worth.item for one in results(CHOOSE, CHOICE, scored(-3, -4, -5))] == [0.0, 1.0]


def test_a_tie_is_no_answer_but_for_mc2_has_its_points() -> None:
    assert marked(CHOOSE, CHOICE, scored(-3, -3, -3)) == Mark(0.0, correct_norm=True)
    mc2 = replace(CHOOSE, metrics=(Metric("acc", {"function": "mc2"}),))
    mark_of_tie = marked(mc2, CHOICE, scored(-3, -3, -math.inf))
    assert (mark_of_tie.points, mark_of_tie.picked) == (0.5, 0)


def test_one_text_and_a_page_are_marked_too() -> None:
    lambada = Form(Kind.LOGLIKELIHOOD, (Metric("perplexity"), Metric("acc")), Headline("acc", "none"))
    assert marked(lambada, SUM, scored(-1, greedy=(True,))) == Mark(1.0, picked=0)
    pages = Form(Kind.ROLLING, (Metric("word_perplexity"),), Headline("word_perplexity", "none"))
    assert marked(pages, Question("0" * 16, 0, "a b"), scored(-2)).points == pytest.approx(math.exp(-1))
    with pytest.raises(BadScores, match="got 2 scores"):
        marked(pages, Question("0" * 16, 0, "a b"), scored(-1.5, -0.5))


@pytest.mark.parametrize(
    ("exchanges", "problem"),
    [
        (wrote("red"), "has a written reply"),
        (scored(-1, -2), "has 3 options and got 2 scores"),
        (scored(-1, -2, math.nan), "no log-probabilities"),
        (scored(-1, -2, math.inf), "no log-probabilities"),
        (scored(-1, -2, -3, greedy=(True,)), "1 of greedy"),
        (scored(*[-math.inf] * 3), "probability 0"),
    ],
)
def test_replies_that_are_none_are_refused(exchanges: list[Exchange], problem: str) -> None:
    with pytest.raises(BadScores, match=problem):
        marked(CHOOSE, CHOICE, exchanges)


def test_a_form_is_checked_before_anything_is_asked() -> None:
    check(COT)
    check(CHOOSE)
    check(
        replace(
            COT, metrics=(Metric("contains", {"ignore_case": True}),), headline=Headline("contains", "strict-match")
        )
    )
    with pytest.raises(BadExam, match="No filter is called"):
        check(replace(COT, chains=(*COT.chains, replace(NONE, steps=(replace(FIRST, function="guess"),)))))
    with pytest.raises(BadExam, match="No metric is called 'bleu'"):
        check(replace(CHOOSE, metrics=(Metric("acc"), Metric("bleu"))))
    with pytest.raises(BadExam, match="knows no argument ignore_caps"):
        check(replace(COT, metrics=(Metric("exact_match", {"ignore_caps": True}),)))
    with pytest.raises(BadExam, match="ignore_case = 1"):
        check(replace(COT, metrics=(Metric("exact_match", {"ignore_case": 1}),)))
    with pytest.raises(BadExam, match="isn't computed on the chain"):
        check(replace(COT, metrics=(Metric("exact_match", chain="flexible-extract"),)))


ALGEBRA = ("math_verify", "sympy", "antlr4")
NEEDS = {
    "bleu": ("sacrebleu",),
    "bleu_": ("rouge_score",),
    "chrf": ("sacrebleu",),
    "ter": ("sacrebleu",),
    "rouge": ("sacrebleu", "rouge_score"),
    "prompt_level": ("langdetect", "nltk"),
    "inst_level": ("langdetect", "nltk"),
    "minerva_math": ALGEBRA,
    "math_verify": ALGEBRA,
}


@pytest.mark.parametrize("name", sorted(metrics.OF_TEXTS))
def test_a_library_that_a_metric_needs_is_missed_before_anything_is_asked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = replace(COT, metrics=(Metric(name),), headline=Headline(name, "strict-match"))
    check(form)
    needs = {module for start, modules in NEEDS.items() if name.startswith(start) for module in modules}
    for missing in needs:
        monkeypatch.setattr(importlib.util, "find_spec", lambda module, missing=missing: module != missing or None)
        with pytest.raises(BadInput, match=rf"{missing}, which isn't installed.*proctor-exams\[judging\]"):
            check(form)
    assert set(metrics.OF_TEXTS[name].needs) == needs
