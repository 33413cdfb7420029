"""What fits a model's window, reckoned before anything runs: longest questions first, by the worker's own functions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proctor.exams.benchmarks.base import Examinee, ask_first
from proctor.exams.reading.identity import content_hash, question_id
from proctor.exams.tasks.form import read_form
from proctor.nouns.exams import Conditions, Exam, Question, Scoring
from scheduler import windows
from scheduler.windows import DENSER, ENOUGH, Paper, dropped, fit, fits, left_to_workers, papers, refusal
from tests import in_forms
from tests.in_forms import pages, sums

CHARACTERS = 4  # of a token, where texts are counted here


def count(text: str) -> int:
    return -(-len(text) // CHARACTERS)


def question(subject: str, index: int, characters: int) -> Question:
    text = f"{index} " + "x" * characters
    choices = ("one", "two")
    return Question(question_id(subject, text, choices), index, text, choices, 0)


def exam(lengths: list[int], shots: int = 2, shot: int = 100) -> Exam:
    asked = tuple(question("law", index, characters) for index, characters in enumerate(lengths))
    dev = tuple(question("dev", index, shot) for index in range(shots))
    return Exam("mmlu", "law", dev, asked, content_hash("law", dev, asked))


def paper(made: Exam, shots: int = 2, limit: int | None = None) -> Paper:
    (found,) = papers([made], Conditions(shots=shots, limit=limit))
    return found


def examinee(window: int) -> Examinee:
    return Examinee(count, window)


def needs(made: Exam, index: int, shots: int) -> int:
    """Tokens that a question of an exam takes behind so many shots."""
    asked = Conditions(shots=shots)
    one = paper(made, shots)
    text = ask_first(one.benchmark, made, made.questions[index], asked, Examinee(count, 1 << 30)).ask
    return count(text.text + " A") - 1


def test_what_has_fewer_bytes_than_the_window_has_tokens_is_never_counted() -> None:
    one = paper(exam([10, 200, 50]))
    assert [length.question.index for length in one.lengths] == [1, 2, 0]
    longest = one.lengths[0].most_tokens
    assert fits(one, longest)
    assert not fits(one, longest - 1)
    assert needs(one.exam, 1, 2) < longest


def test_a_question_that_fits_only_without_some_examples_is_asked_with_as_many_as_a_worker_would() -> None:
    made = exam([400, 10, 10])
    for shots in (0, 1):
        window = needs(made, 0, shots)
        found = fit(paper(made), examinee(window))
        assert (found.fewest_shots, found.too_long) == (shots, ())
    assert fit(paper(made), examinee(needs(made, 0, 2))).fewest_shots is None


def test_a_question_that_does_not_fit_by_itself_is_found_with_its_tokens() -> None:
    made = exam([50, 900, 10, 1000], shots=1)
    window = needs(made, 1, 0) - 1
    found = fit(paper(made, shots=1), examinee(window))
    assert [(fault.index, fault.tokens) for fault in found.too_long] == [(1, window + 1), (3, needs(made, 3, 0))]
    said = str(refusal("tiny", paper(made, shots=1), found.too_long))
    assert said.startswith(
        f"tiny: question 1 of law (mmlu) needs {window + 1} tokens without any example, and the model's window has "
        f"{window}; 1 more don't fit either (3). A question is never cut."
    )


def test_questions_beyond_the_limit_are_not_looked_at() -> None:
    made = exam([10, 10, 5000], shots=0)
    assert fit(paper(made, shots=0, limit=2), examinee(200)).too_long == ()
    assert fit(paper(made, shots=0), examinee(200)).too_long != ()


def test_a_short_question_behind_long_ones_with_fewer_examples_is_found_too_where_it_does_not_fit() -> None:
    """The longest with its examples isn't the longest without them, where each question has its own."""
    shown = [Question(question_id("sums", "s" * 3000, ()), 0, "s" * 3000, reference="1")]
    asked = [
        Question(question_id("sums", "q", ()), 0, "q", reference="1", shots=(0,)),
        Question(question_id("sums", "q" * 1000, ()), 1, "q" * 1000, reference="1"),
    ]
    made = in_forms.exam("sums", read_form(sums().form), asked, shown)
    found = fit(papers([made], Conditions())[0], examinee(200))
    assert found.fewest_shots == 0
    assert [fault.index for fault in found.too_long] == [1]


def test_the_longest_reply_takes_its_place_in_the_window() -> None:
    one = papers([sums()], Conditions())[0]
    bare = max(count(each.text) for each in sums().questions) + 32
    assert one.lengths[0].reply_tokens == 32
    found = fit(one, examinee(bare - 1))
    assert {fault.tokens for fault in found.too_long} == {bare}
    assert "32 of them for what is replied" in str(refusal("tiny", one, found.too_long))


def test_each_turn_of_a_conversation_takes_its_reply_into_the_window() -> None:
    made = sums()
    turned = tuple(replace(each, turns=("And twice?", "And thrice?"), shots=()) for each in made.questions)
    one = papers([replace(made, questions=turned)], Conditions())[0]
    assert one.lengths[0].reply_tokens == 3 * 32


def test_pages_are_cut_into_windows_and_never_too_long() -> None:
    assert papers([pages()], Conditions()) == []


def test_what_can_not_be_asked_at_all_is_left_to_who_looks_for_that() -> None:
    assert papers([exam([10], shots=1)], Conditions(shots=5)) == []
    assert papers([replace(exam([10]), questions=())], Conditions(shots=1)) == []


def test_no_more_is_counted_than_may_not_fit() -> None:
    made = exam([2000, *[600] * 50], shots=0)
    counted: list[str] = []

    def watched(text: str) -> int:
        counted.append(text)
        return count(text)

    window = needs(made, 0, 0)
    assert 600 / CHARACTERS * DENSER < window < 600
    assert fit(paper(made, shots=0), Examinee(watched, window)) == windows.Fit()
    assert {len(text) > 2000 for text in counted} == {True}


def test_of_many_too_long_questions_enough_are_named() -> None:
    made = exam([4000] * 60, shots=0)
    found = fit(paper(made, shots=0), examinee(100))
    assert len(found.too_long) == ENOUGH
    assert f"at least {ENOUGH - 1} more don't fit either (" in str(
        refusal("tiny", paper(made, shots=0), found.too_long)
    )


@pytest.mark.parametrize("scoring", [Scoring.LETTERS, Scoring.TEXT])
def test_a_chat_is_as_long_as_its_template_makes_it(scoring: Scoring) -> None:
    made = exam([300], shots=1)
    (one,) = papers([made], Conditions(shots=1, chat_template=True, scoring=scoring))

    def template(messages: object) -> str:
        return "".join(f"<|{message.role}|>{message.content}\n" for message in messages)  # type: ignore[attr-defined]

    window = one.lengths[0].most_tokens
    assert fit(one, Examinee(len, window, template)) == windows.Fit()
    assert fit(one, Examinee(len, 450, template)).fewest_shots == 0
    assert len(fit(one, Examinee(len, 200, template)).too_long) == 1


def test_what_is_said_names_model_window_and_subjects() -> None:
    several = [(paper(replace(exam([10]), subject=f"subject {n}")), n % 2) for n in range(7)]
    assert dropped("tiny", 2048, several[:2]) == (
        "tiny: its window of 2,048 tokens holds fewer examples than asked for before the longest questions: "
        "subject 0 0 of 2, subject 1 1 of 2."
    )
    assert dropped("tiny", 2048, several).endswith("and 2 more subjects.")
    assert "2,048 tokens" in left_to_workers("tiny", 2048)
