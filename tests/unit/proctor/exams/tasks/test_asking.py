"""How parts are joined into a prompt: plain, as a chat, as a chat in one message; and what doesn't fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from proctor.errors import BadInput, QuestionTooLong
from proctor.exams.benchmarks.base import Examinee
from proctor.exams.benchmarks.registry import of_version
from proctor.exams.chat_prompts import Message
from proctor.exams.tasks.asking import FORM_VERSION, ask, joined
from proctor.exams.tasks.definition import Judging, Row, Task
from proctor.exams.tasks.form import Kind, Metric
from proctor.nouns.exams import Choose, Conditions, Exchange, Write, Written
from tests.unit.proctor.exams.tasks.made_up import SUMS, exam, task

PLAIN = Conditions(shots=0, prompt_version=FORM_VERSION)
CHAT = replace(PLAIN, chat_template=True)
ONE = replace(CHAT, shots_as_turns=False)
POOL = SUMS[:1]


def template(chat: Sequence[Message]) -> str:
    return "".join(f"<{one.role}>{one.content}</>" for one in chat) + "<assistant>"


EXAMINEE = Examinee(len, 10_000, template)


def asked(
    made: Task, conditions: Conditions = PLAIN, shots: int = 0, row: Row = SUMS[1], examinee: Examinee = EXAMINEE
) -> Choose | Write:
    written = exam(made, shots, [row], POOL)
    found = ask(written, written.questions[0], conditions, examinee, ())
    assert isinstance(found, Choose | Write)
    return found


def test_a_plain_prompt_is_description_examples_and_question() -> None:
    made = asked(task(description="Sums.\n"), shots=1)
    assert made.text == "Sums.\nSum: 1 + 1\nIs: 2\n\nSum: 2 + 2\nIs:"
    assert made == Choose(made.text, (" 4", " 2"), (1, 1), 1)


def test_in_a_chat_no_delimiter_appears() -> None:
    made = asked(task(description="Sums.\n\n"), CHAT, 1)
    assert made.text == (
        "<system>Sums.\n\n</><user>Sum: 1 + 1\nIs:</><assistant>2</><user>Sum: 2 + 2\nIs:</><assistant>"
    )
    assert isinstance(made, Choose)
    assert made.options == ("4", "2")


def test_in_one_message_delimiters_stay() -> None:
    made = asked(task(description="Sums.\n\n"), ONE, 1)
    assert made.text == "<system>Sums.\n\n</><user>Sum: 1 + 1\nIs: 2\n\nSum: 2 + 2\nIs:</><assistant>"


def test_without_a_description_there_is_no_system_message() -> None:
    assert asked(task(), CHAT).text == "<user>Sum: 2 + 2\nIs:</><assistant>"


def test_an_opening_begins_the_answer_also_of_examples() -> None:
    made = task(opening="It is")
    assert asked(made, shots=1).text == "Sum: 1 + 1\nIs: It is 2\n\nSum: 2 + 2\nIs: It is"
    chat = asked(made, CHAT, 1)
    assert chat.text == "<user>Sum: 1 + 1\nIs:</><assistant>It is 2</><user>Sum: 2 + 2\nIs:</><assistant>It is"
    assert isinstance(chat, Choose)
    assert chat.options == (" 4", " 2")  # joined to the opening
    assert asked(made, ONE, 1).text == "<user>Sum: 1 + 1\nIs: It is 2\n\nSum: 2 + 2\nIs:</><assistant>It is"


def test_white_space_at_a_seam_needs_no_delimiter() -> None:
    made = task(opening="\nIt is ")
    assert asked(made, shots=1).text == "Sum: 1 + 1\nIs:\nIt is 2\n\nSum: 2 + 2\nIs:\nIt is "
    chat = asked(made, CHAT)
    assert isinstance(chat, Choose)
    assert chat.options == ("4", "2")


@pytest.mark.parametrize(
    ("before", "behind", "text"),
    [("a", "b", "a b"), ("a ", "b", "a b"), ("a", "\nb", "a\nb"), ("", "b", "b"), ("a", "", "a")],
)
def test_two_texts_are_joined_by_one_delimiter(before: str, behind: str, text: str) -> None:
    assert joined(before, behind) == text


def test_an_example_without_an_answer_has_no_delimiters() -> None:
    made = asked(task(Kind.WRITE, target="{{value if sum == '2 + 2' else ''}}"), shots=1)
    assert made.text == "Sum: 1 + 1\nIs:Sum: 2 + 2\nIs:"


def test_a_last_word_brings_its_own_space_and_an_example_therefore_has_two() -> None:
    made = asked(task(Kind.LOGLIKELIHOOD, target=" {{value}}"), shots=1)
    assert made.text == "Sum: 1 + 1\nIs:  2\n\nSum: 2 + 2\nIs:"
    assert isinstance(made, Choose)
    assert made.options == (" 4",)


def test_contexts_stand_behind_the_examples_and_the_rest_is_scored() -> None:
    made = task(text="place", target="{{value}}.", choices="{{['Sum ' + sum, 'Not ' + sum]}}")
    found = asked(made, shots=1)
    assert isinstance(found, Choose)
    assert found.contexts == ("Sum 1 + 1 2.\n\nSum 2 + 2", "Sum 1 + 1 2.\n\nNot 2 + 2")
    assert found.options == (" 4.", " 4.")
    assert found.text == found.contexts[0]
    chat = asked(made, CHAT)
    assert isinstance(chat, Choose)
    assert chat.contexts[1] == "<user>Not 2 + 2</><assistant>"
    assert chat.options == ("4.", "4.")


def test_a_written_answer_has_the_tasks_stops_and_limit() -> None:
    made = asked(task(Kind.WRITE, generation={"until": ["b", "a"], "max_gen_toks": 9}))
    assert isinstance(made, Write)
    assert (made.sampling.stop, made.sampling.max_tokens, made.sampling.greedy) == (("b", "a"), 9, True)
    assert made.sampling.seed is None


def test_several_replies_are_asked_for_one_by_one_each_with_its_seed() -> None:
    made = task(Kind.WRITE, judging=Judging((Metric("exact_match"),), repeats=3), generation={"temperature": 0.2})
    written = exam(made, rows=[SUMS[0]])
    exchanges: list[Exchange] = []
    while found := ask(written, written.questions[0], PLAIN, EXAMINEE, exchanges):
        exchanges.append(Exchange(found, Written("2")))
    assert [one.ask.sampling.seed for one in exchanges if isinstance(one.ask, Write)] == [0, 1, 2]


def test_examples_are_dropped_from_the_front_until_all_fits() -> None:
    made = task(first_shots=True)
    written = exam(made, 3)
    question = written.questions[-1]
    whole = ask(written, question, PLAIN, EXAMINEE, ())
    assert isinstance(whole, Choose)
    fits = len(whole.text) + len(whole.options[0]) - 1
    assert ask(written, question, PLAIN, replace(EXAMINEE, window_tokens=fits), ()) == whole
    cut = ask(written, question, PLAIN, replace(EXAMINEE, window_tokens=fits - 1), ())
    assert isinstance(cut, Choose)
    assert (cut.shots, cut.text) == (2, whole.text.partition("\n\n")[2])


def test_a_question_is_never_cut() -> None:
    with pytest.raises(QuestionTooLong, match="Question 0 of sums"):
        asked(task(), examinee=replace(EXAMINEE, window_tokens=10))


def test_a_reply_must_fit_behind_its_question() -> None:
    made = task(Kind.WRITE, generation={"max_gen_toks": 90})
    assert asked(made, examinee=replace(EXAMINEE, window_tokens=104)).shots == 0
    with pytest.raises(QuestionTooLong):
        asked(made, examinee=replace(EXAMINEE, window_tokens=103))


def test_what_cant_be_made_is_refused() -> None:
    with pytest.raises(BadInput, match="no chat template"):
        asked(task(), CHAT, examinee=replace(EXAMINEE, template=None))
    with pytest.raises(BadInput, match=r"'mmlu-1\.0' isn't made"):
        asked(task(), replace(PLAIN, prompt_version="mmlu-1.0"))


def test_an_exam_in_a_form_is_put_and_marked_by_its_version_alone() -> None:
    benchmark = of_version(FORM_VERSION)
    written = exam(task(Kind.WRITE), rows=[SUMS[0]])
    question = written.questions[0]
    made = benchmark.ask(written, question, PLAIN, EXAMINEE, ())
    assert made is not None
    assert benchmark.mark(written, question, (Exchange(made, Written("2")),)).points == 1
