"""What a judge is asked, one verdict after the other, and what its replies amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from proctor.errors import BadExam, BadInput, QuestionTooLong
from proctor.exams.benchmarks.base import Examinee
from proctor.exams.benchmarks.registry import of_version
from proctor.exams.chat_prompts import Message
from proctor.exams.judges import prompts
from proctor.exams.judges.asking import AGAIN, JUDGE, found, slots
from proctor.exams.judges.cases import BY_TURN, Case, case_of, exam_of_replies, references_of
from proctor.exams.judging.verdicts import Better, Preferred
from proctor.nouns.briefs import Brief, Grading
from proctor.nouns.exams import Conditions, Exam, Exchange, Question, Scoring, Write, Written
from tests.scripted import exam

TURNS = ("And what is {number} plus {other}?",)
BRIEF = Brief(Grading.GRADES, "0" * 64, "", prompts.DIGEST)
CONDITIONS = Conditions(0, prompt_version=prompts.VERSION, scoring=Scoring.JUDGED, brief=BRIEF)
ROOMY = Examinee(len, 100_000)
HINT = "Rating: [[N]]"


def replies(paper: Exam, *texts: str) -> dict[str, list[Written]]:
    return {one.id: [Written(text) for text in texts] for one in paper.questions}


def asked(paper: Exam, said: Sequence[str], examinee: Examinee = ROOMY) -> list[str]:
    """The prompts that a judge of the first question is asked, if it says these in turn."""
    question, exchanges = paper.questions[0], list[Exchange]()
    while (one := JUDGE.ask(paper, question, CONDITIONS, examinee, tuple(exchanges))) is not None:
        assert isinstance(one, Write)
        exchanges.append(Exchange(one, Written(said[len(exchanges)])))
    return [exchange.ask.text for exchange in exchanges]


def test_the_words_of_this_version_are_these() -> None:
    assert (prompts.VERSION, prompts.DIGEST[:16]) == ("judge-1.0", "9de130ca6b5b03ac")
    assert of_version("judge-1.0") is JUDGE


def test_a_turn_is_judged_behind_those_before_it_beside_its_reference() -> None:
    judged = exam_of_replies(exam(TURNS), replies(exam(TURNS), "It is 7.", "It is 8."))
    first, second = asked(judged, ["Rating: [[9]]", "Rating: [[3]]"])
    assert "What is 0 plus 7?" in first
    assert "It is 8." not in first
    assert first.index("It is 7.") < first.index("A reference answer to message 1") < first.index(HINT)
    assert second.index("It is 7.") < second.index("And what is 0 plus 8?") < second.index("It is 8.")


def test_a_pair_is_shown_in_both_orders() -> None:
    paper = exam()
    judged = exam_of_replies(paper, replies(paper, "one"), replies(paper, "other"))
    first, second = asked(judged, ["Verdict: [[A]]", "Verdict: [[B]]"])
    assert first.index("Assistant A, answer 1") < first.index("one") < first.index("Assistant B, answer 1")
    assert first.index("\none\n") < first.index("\nother\n")
    assert second.index("\nother\n") < second.index("\none\n")
    assert [len(slots(case_of(one))) for one in judged.questions[:2]] == [2, 2]


def test_a_missing_line_is_asked_for_once_more_behind_the_reply_that_lacks_it() -> None:
    judged = exam_of_replies(exam(TURNS), replies(exam(TURNS), "a", "b"))
    first, again, second = asked(judged, ["I can't say.", "Nor now.", "Rating: [[2]]"])
    assert again.startswith(first.removesuffix(prompts.PLAIN_END))
    assert again.index("I can't say.") < again.index("one line of exactly this form")
    assert "And what is" in second


def test_where_the_reply_leaves_no_room_the_line_is_asked_for_without_it() -> None:
    judged = exam_of_replies(exam(), replies(exam(), "a"))
    room = Examinee(len, len(asked(judged, ["Rating: [[1]]"])[0]) + 400)
    first, again = asked(judged, ["x" * 300, "Rating: [[2]]"], room)
    assert "xxx" not in again
    assert len(again) + AGAIN <= room.window_tokens
    with pytest.raises(QuestionTooLong):
        asked(judged, [], Examinee(len, len(first)))


def test_a_chat_has_the_judges_own_words_as_its_turns() -> None:
    heard: list[Sequence[Message]] = []

    def template(messages: Sequence[Message]) -> str:
        heard.append(messages)
        return "\n".join(message.content for message in messages)

    judged = exam_of_replies(exam(), replies(exam(), "a"))
    asked(judged, ["Hm.", "Rating: [[2]]"], replace(ROOMY, template=template))
    assert [message.role for message in heard[-1]] == ["user", "assistant", "user"]
    assert heard[-1][1].content == "Hm."


@pytest.mark.parametrize(
    ("texts", "ratings", "again", "points"),
    [
        (["Rating: [[7]]", "Rating: [[10]]"], (7.0, 10.0), 0, 0.85),
        (["Rating: [[5]] it might be.\nRating: [[7]]\n", "Rating: [[1]]"], (7.0, 1.0), 0, 0.4),
        (["no", "Rating: [[2]]", "no", "no"], (2.0, None), 2, None),
        (["Rating: [[0]]", "Rating: [[11]]", "Rating: [[4]]"], (None, 4.0), 1, None),
        (["Rating: [[4]]"], (4.0, None), 0, None),
    ],
)
def test_ratings_are_read_out_of_the_replies_alone(
    texts: list[str], ratings: tuple[float | None, ...], again: int, points: float | None
) -> None:
    told = found(Case(("q", "r"), ("a", "b"), references=("", "")), texts)
    assert (told.ratings, told.asked_again) == (ratings, again)
    assert told.points == (None if points is None else pytest.approx(points))


@pytest.mark.parametrize(
    ("texts", "preferred", "points"),
    [
        (["A", "B"], Preferred.ONE, 1.0),
        (["B", "A"], Preferred.OTHER, 0.0),
        (["C", "C"], Preferred.TIE, 0.5),
        (["A", "A"], Preferred.INCONSISTENT, 0.5),
        (["A", "C"], Preferred.INCONSISTENT, 0.5),
        (["A", "-", "-"], Preferred.UNJUDGED, None),
    ],
)
def test_both_orders_come_to_one_verdict(texts: list[str], preferred: Preferred, points: float | None) -> None:
    told = found(Case(("q",), ("a",), ("b",), ("",)), [f"Verdict: [[{text}]]" for text in texts])
    assert told.preferred == (preferred,)
    assert told.points == points
    if preferred is Preferred.ONE:
        assert told.verdicts == ((Better.FIRST, Better.SECOND),)


def test_what_is_unjudged_has_no_points_and_no_answer() -> None:
    judged = exam_of_replies(exam(), replies(exam(), "a"))
    silent = JUDGE.mark(judged, judged.questions[0], [Exchange(Write(""), Written("no"))] * 2)
    rated = JUDGE.mark(judged, judged.questions[0], [Exchange(Write(""), Written("Rating: [[7.5]]"))])
    assert (silent.answered, silent.points, rated.points, rated.extracted) == (False, 0.0, 0.75, "7.5")


def test_a_judge_that_thinks_is_read_behind_its_thought() -> None:
    judged = exam_of_replies(exam(), replies(exam(), "a"))
    thought = Written("<think>Rating: [[1]]\n</think>\nRating: [[6]]", think_end="</think>")
    assert JUDGE.mark(judged, judged.questions[0], [Exchange(Write(""), thought)]).points == 0.6
    unfinished = Written("<think>\nRating: [[1]]\n", think_end="</think>")
    assert not JUDGE.mark(judged, judged.questions[0], [Exchange(Write(""), unfinished)] * 2).answered


def test_words_of_another_release_are_refused() -> None:
    judged = exam_of_replies(exam(), replies(exam(), "a"))
    other = replace(CONDITIONS, brief=replace(BRIEF, prompts="f" * 64))
    with pytest.raises(BadInput, match="aren't this release's"):
        JUDGE.ask(judged, judged.questions[0], other, ROOMY, ())
    with pytest.raises(BadInput, match="proctor judge"):
        JUDGE.load()


def test_replies_are_judged_as_marks_are_made_of_them_and_all_must_be_there() -> None:
    paper = exam(TURNS)
    form = paper.form.replace('"until":[]', '"until":["STOP"]')
    judged = exam_of_replies(replace(paper, form=form), replies(paper, "before STOP after", "b", "a repeat"))
    assert case_of(judged.questions[0]).answers == ("before ", "b")
    assert [one.id for one in judged.questions] == [one.id for one in paper.questions]
    with pytest.raises(BadExam, match="1 replies to 2 messages"):
        exam_of_replies(paper, replies(paper, "a"))


@pytest.mark.parametrize(
    ("reference", "turns", "shown"),
    [
        ("42", (), ("42",)),
        ('["42", "forty-two"]', (), ("42 / forty-two",)),
        (f'{{"{BY_TURN}": ["a", ""]}}', ("more",), ("a", "")),
        (f'{{"{BY_TURN}": []}}', ("more",), ("", "")),
        ('{"instruction_id_list": ["x"]}', (), ("",)),
        ("", (), ("",)),
    ],
)
def test_a_reference_is_shown_where_it_is_an_answer(
    reference: str, turns: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    assert references_of(Question("0" * 16, 0, "q", reference=reference, turns=turns)) == shown
