"""The seam of benchmarks: asked, answered, marked, for written answers of one and of two turns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proctor.errors import BadExam, BadInput, BadScores, QuestionTooLong
from proctor.exams.benchmarks.base import Examinee, ask_first
from proctor.exams.benchmarks.mmlu import MMLU
from proctor.exams.benchmarks.mmlu_prompts import fit
from proctor.exams.benchmarks.registry import BUILT_IN, find, load_benchmark, of_version
from proctor.exams.marking.choice import judge
from proctor.exams.reading.identity import content_hash, prompt_hash, question_id
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Ask, Choose, Conditions, Exchange, Question, Reply, Scored, Write, Written
from tests.made_up import EXAMINEE, LAST_LINE, SUMS, TWICE, sit

SHOTS = Conditions(shots=2, prompt_version="sums-1.0")
NO_SHOTS = Conditions(shots=0, prompt_version="twice-1.0")
ONE_DIGIT = SUMS.load(["one_digit"]).exams["one_digit"]
TWO_TURNS = TWICE.load().exams["one_digit"]
DEMO = load_benchmark("demo", ["arithmetic"]).exams["arithmetic"]


def right(one: Ask) -> Reply:
    """Adds what the last line says."""
    left, _, other = one.text.splitlines()[-1].removesuffix(" =").partition(" + ")
    return Written(f" {int(left) + int(other)}", (1, 2), Finish.STOP)


def test_a_written_answer_is_asked_after_its_shots_and_marked_against_the_reference() -> None:
    question = ONE_DIGIT.questions[0]

    first = SUMS.ask(ONE_DIGIT, question, SHOTS, EXAMINEE, ())
    answer = sit(SUMS, ONE_DIGIT, question, SHOTS, right)

    assert first == Write("1 + 2 = 3\n2 + 3 = 5\n3 + 4 =", LAST_LINE, 2)
    assert (answer.points, answer.correct, answer.extracted, answer.picked) == (1.0, True, "7", None)
    assert answer.written == (Written(" 7", (1, 2), Finish.STOP),)
    assert answer.options_logprob == ()
    assert answer.shots == 2
    assert answer.prompt_hash == prompt_hash("1 + 2 = 3\n2 + 3 = 5\n3 + 4 =")


@pytest.mark.parametrize(
    ("text", "points", "extracted"), [(" 8, I think", 0.0, "8"), (" no idea", 0.0, None), ("", 0.0, None)]
)
def test_a_text_without_an_answer_is_no_answer_and_a_wrong_one_is_wrong(
    text: str, points: float, extracted: str | None
) -> None:
    answer = sit(SUMS, ONE_DIGIT, ONE_DIGIT.questions[0], SHOTS, lambda _: Written(text))

    assert (answer.points, answer.correct, answer.extracted) == (points, False, extracted)
    assert answer.answered is (extracted is not None)


def test_the_next_ask_is_a_pure_function_of_the_replies_so_far() -> None:
    question = TWO_TURNS.questions[2]
    first = TWICE.ask(TWO_TURNS, question, NO_SHOTS, EXAMINEE, ())
    assert first is not None
    so_far = (Exchange(first, Written(" 7")),)

    second = TWICE.ask(TWO_TURNS, question, NO_SHOTS, EXAMINEE, so_far)

    assert second is not None
    assert second.text == "3 + 4 = 7\nTwice that is"
    assert second == TWICE.ask(TWO_TURNS, question, NO_SHOTS, EXAMINEE, so_far)
    other = TWICE.ask(TWO_TURNS, question, NO_SHOTS, EXAMINEE, (Exchange(first, Written(" 9")),))
    assert other is not None
    assert other.text == "3 + 4 = 9\nTwice that is"
    assert TWICE.ask(TWO_TURNS, question, NO_SHOTS, EXAMINEE, (*so_far, Exchange(second, Written("14")))) is None


@pytest.mark.parametrize(
    ("replies", "points", "correct"),
    [((" 7", " 14"), 1.0, True), ((" 7", " 15"), 0.5, False), ((" 6", " 14"), 0.5, False), ((" 6", " 12"), 0.0, False)],
)
def test_two_turns_are_worth_half_of_the_points_each(replies: tuple[str, str], points: float, correct: bool) -> None:
    texts = iter(replies)

    answer = sit(TWICE, TWO_TURNS, TWO_TURNS.questions[2], NO_SHOTS, lambda _: Written(next(texts)))

    assert (answer.points, answer.correct) == (points, correct)
    assert [one.text for one in answer.written] == list(replies)
    assert answer.partial == (points if 0 < points < 1 else None)


def test_a_window_too_small_drops_shots_and_never_the_question() -> None:
    question = ONE_DIGIT.questions[0]

    prompt = ask_first(SUMS, ONE_DIGIT, question, SHOTS, Examinee(len, 20))

    assert (prompt.text, prompt.shots) == ("1 + 2 = 3\n3 + 4 =", 1)
    with pytest.raises(QuestionTooLong):
        ask_first(SUMS, ONE_DIGIT, question, SHOTS, Examinee(len, 3))


def test_a_benchmark_that_asks_nothing_is_refused() -> None:
    silent = replace(SUMS, ask=lambda *_: None)
    with pytest.raises(BadExam, match="asks nothing"):
        ask_first(silent, ONE_DIGIT, ONE_DIGIT.questions[0], SHOTS, EXAMINEE)


@pytest.mark.parametrize("conditions", [Conditions(shots=3), Conditions(shots=0)])
def test_multiple_choice_through_the_seam_is_what_it_is_without(conditions: Conditions) -> None:
    question = DEMO.questions[5]
    scores = (-1.5, -0.5, -2.0, -3.25)

    prompt = ask_first(MMLU, DEMO, question, conditions, EXAMINEE)

    assert prompt == fit(DEMO, question, conditions, EXAMINEE.count_tokens, EXAMINEE.window_tokens)
    exchange = Exchange(prompt.ask, Scored(scores))
    assert MMLU.judged(DEMO, prompt, (exchange,)) == judge(prompt, scores)
    assert MMLU.ask(DEMO, question, conditions, EXAMINEE, (exchange,)) is None


def test_options_are_not_marked_by_a_text() -> None:
    question = DEMO.questions[0]
    prompt = ask_first(MMLU, DEMO, question, Conditions(shots=0), EXAMINEE)

    with pytest.raises(BadScores, match="written reply"):
        MMLU.judged(DEMO, prompt, (Exchange(prompt.ask, Written("A")),))


def test_every_built_in_benchmark_is_found_by_its_name_and_its_version() -> None:
    for one in BUILT_IN:
        assert find(one.name) is one
        marked = of_version(one.version)
        assert (marked.ask, marked.mark) == (one.ask, one.mark)
    assert of_version("mmlu-1.0").asks is Choose


def test_a_version_of_another_release_is_refused_by_name() -> None:
    with pytest.raises(
        BadInput, match=r"'sums-1\.0' isn't made by this release, which makes 'form-1\.0', 'judge-1\.0', 'mmlu-1\.0'"
    ):
        of_version("sums-1.0")


def test_a_question_without_choices_has_no_key() -> None:
    question = ONE_DIGIT.questions[0]
    assert (question.choices, question.answer, question.reference) == ((), None, "7")
    with pytest.raises(BadInput, match="no choices"):
        _ = question.key
    with pytest.raises(BadInput, match="has no choices"):
        Question("0" * 16, 0, "1 + 1 =", answer=0)
    with pytest.raises(BadInput, match="not among its 2 choices"):
        Question("0" * 16, 0, "1 + 1 =", ("1", "2"))


def test_turns_make_another_question_and_the_reference_another_exam() -> None:
    question = ONE_DIGIT.questions[0]

    assert question.id == question_id("one_digit", question.text, ())
    assert question_id("one_digit", question.text, (), ("Twice that is",)) != question.id
    mended = replace(question, reference="8")
    assert content_hash("one_digit", (), [mended]) != content_hash("one_digit", (), [question])
