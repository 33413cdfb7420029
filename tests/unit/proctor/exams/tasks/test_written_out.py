"""From rows to questions by the rules of lm-evaluation-harness 0.4.13, oddities included."""

from __future__ import annotations

import json

import pytest

from proctor.errors import BadExam
from proctor.exams.tasks.definition import Judging, Row, Rows, Shown
from proctor.exams.tasks.form import Chain, Kind, Metric, Step
from proctor.exams.tasks.writing import write_out
from tests.unit.proctor.exams.tasks.made_up import SUMS, exam, form, only, task

ROW = SUMS[0]


def test_a_string_that_is_a_columns_name_is_that_column() -> None:
    made = only(task(text="sum", choices=["2", "1"], target="place"), ROW)
    assert (made.text, made.choices, made.answer) == ("1 + 1", ("2", "1"), 0)


def test_any_other_string_is_a_template() -> None:
    assert only(task(text="sums"), ROW).text == "sums"


def test_rendered_digits_are_an_index_only_where_there_are_choices() -> None:
    assert only(task(target="{{place + 1}}"), ROW).answer == 1
    assert only(task(Kind.WRITE, target="{{value}}"), ROW).reference == "2"
    assert only(task(target="value", choices=["1", "2"]), ROW).answer == 1  # a column's text is the choice's


def test_digits_of_other_scripts_stay_text() -> None:
    assert only(task(text="²", target=0), ROW).text == "²"


def test_a_target_in_brackets_is_a_list_of_right_answers() -> None:
    made = only(task(Kind.WRITE, target="{{[value, wrong]}}"), ROW)
    assert json.loads(made.reference) == ["2", "1"]
    assert only(task(Kind.WRITE, target="[1, "), ROW).reference == "[1, "
    assert only(task(Kind.WRITE, target="[x]"), ROW).reference == "[x]"


def test_whether_there_are_several_right_answers_the_first_row_decides() -> None:
    rows: list[Row] = [{"q": "a", "right": ["x", "y"]}, {"q": "b", "right": "z"}]
    made = task(Kind.WRITE, text="q", target="right")
    assert [one.reference for one in exam(made, rows=rows).questions] == ['["x", "y"]', '["z"]']
    assert [one.reference for one in exam(made, rows=rows[::-1]).questions] == ["z", "['x', 'y']"]


def test_several_right_choices_are_all_kept() -> None:
    made = only(task(target="{{[1, 0]}}"), ROW)
    assert (made.answer, made.further) == (1, (0,))


def test_choices_are_a_list_a_mappings_values_or_a_literal() -> None:
    for choices in (["2", "1"], {"a": "2", "b": "1"}, "{{[value, wrong]}}"):
        assert only(task(choices=choices), ROW).choices == ("2", "1")


def test_spaces_at_the_end_of_a_choice_stay() -> None:
    assert only(task(choices=["2 ", " 1"]), ROW).choices == ("2 ", " 1")


def test_a_text_that_is_an_index_makes_the_choices_contexts() -> None:
    made = only(task(text="place", target="{{value}}x", choices=["The sum ", "The wrong "]), ROW)
    assert (made.text, made.contexts, made.answer) == ("2x", ("The sum ", "The wrong "), 0)


def test_contexts_are_decided_on_the_first_row() -> None:
    rows: list[Row] = [{"q": "text", "v": "a"}, {"q": 1, "v": "b"}]
    with pytest.raises(BadExam, match="Row 2 of 'sums' can't be asked: its text is 1"):
        exam(task(text="q", target="{{0}}", choices=["x", "y"]), rows=rows)


def test_a_right_answer_that_is_no_choice_is_refused_with_its_row() -> None:
    with pytest.raises(BadExam, match="Row 1 of 'sums' can't be asked: its right answer 5 is none of its 2 choices"):
        only(task(target=5), ROW)


def test_a_written_answer_with_choices_is_held_against_the_right_choices_text() -> None:
    made = only(task(Kind.WRITE, target="{{place}}", choices=["two", "one"]), ROW)
    assert (made.reference, made.choices) == ("two", ())


def test_what_is_scored_alone_is_the_target() -> None:
    assert only(task(Kind.LOGLIKELIHOOD, target=" {{value}}"), ROW).reference == " 2"


def test_a_page_is_the_target_with_its_words_and_bytes() -> None:
    made = only(task(Kind.ROLLING, text="", target=" {{value}} é "), ROW)
    assert made.text == " 2 é "
    assert json.loads(made.reference) == {"words": 4, "bytes": 6}


def test_only_examples_that_are_shown_are_kept() -> None:
    made = exam(task(), shots=2)
    assert 0 < len(made.dev) <= 8
    assert sorted({place for one in made.questions for place in one.shots}) == list(range(len(made.dev)))
    assert exam(task()).dev == ()


def test_copies_are_dropped_after_the_draw() -> None:
    alone, twice = exam(task(), 2, SUMS), exam(task(), 2, [SUMS[0], SUMS[0], *SUMS[1:]])
    shown = [[twice.dev[place].text for place in one.shots] for one in twice.questions]
    drawn = [[alone.dev[place].text for place in one.shots] for one in exam(task(), 2, [*SUMS, SUMS[0]]).questions]
    assert twice.duplicates_dropped == 1
    assert shown[0] == drawn[0]
    assert shown[1:] != drawn[1:]  # each stands one row further behind


def test_a_pool_keeps_its_copies() -> None:
    assert len(exam(task(first_shots=True), 3, pool=[SUMS[0]] * 3).dev) == 3


def test_no_examples_in_the_task_cant_be_overridden() -> None:
    written = write_out(task(shots=0), lambda _: SUMS, "own", 5)
    assert written.exam.dev == ()
    assert any("without examples" in note for note in written.notes)


def test_the_tasks_own_number_of_examples_is_used_where_none_is_asked_for() -> None:
    assert {len(one.shots) for one in exam(task(shots=3)).questions} == {3}
    assert {len(one.shots) for one in exam(task(shots=3), 1).questions} == {1}


def test_examples_may_be_given_with_the_task() -> None:
    samples = ({"sum": "a", "value": "b", "wrong": "c", "place": 0},)
    made = exam(task(rows=Rows("own/sums", test="test", samples=samples), first_shots=True), 1)
    assert [one.text for one in made.dev] == ["Sum: a\nIs:"]


def test_an_example_may_be_put_in_its_own_way() -> None:
    shown = Shown(text="{{sum}}:", target="{{value}}!", target_delimiter="", fewshot_delimiter="\n")
    made = exam(task(Kind.WRITE, shown=shown), 1)
    assert made.dev[0].text.endswith(":")
    assert made.dev[0].reference.endswith("!")
    assert (form(made).shot_delimiter, form(made).target_delimiter, form(made).fewshot_delimiter) == ("", " ", "\n")


def test_an_example_with_several_right_answers_shows_the_first() -> None:
    assert exam(task(Kind.WRITE, target="{{[value, wrong]}}"), 1).dev[0].reference in {str(2 * n) for n in range(1, 9)}


def test_questions_among_their_own_examples_are_told_of() -> None:
    made = task(rows=Rows("own/sums", test="test"))
    (note,) = write_out(made, lambda _: SUMS[:3], "own", 2).notes
    assert "questions among their own examples" in note


def test_a_description_is_one_text_for_all() -> None:
    assert form(exam(task(description="{{'Sums'}}.\n\n"))).description == "Sums.\n\n"
    with pytest.raises(BadExam, match="differs from row to row"):
        exam(task(description="{{sum}}"))


def test_a_row_without_a_column_is_told_of() -> None:
    with pytest.raises(BadExam, match=r"The text of 'sums' can't be rendered: 'sum' is undefined"):
        only(task(), {"value": "1"})
    with pytest.raises(BadExam, match="has no column 'sum'"):
        exam(task(text="sum"), rows=[ROW, {"value": "1", "place": 0}])


def test_a_form_says_how_replies_are_judged() -> None:
    chain = Chain("strict", (Step("regex", {"regex_pattern": "x"}),))
    made = form(exam(task(Kind.WRITE, judging=Judging((Metric("exact_match"),), (chain,), repeats=3))))
    assert (made.chains, made.repeats, made.headline.chain, made.until) == ((chain,), 3, "strict", ("\n\n",))


def test_another_seed_is_another_exam() -> None:
    one, other = (write_out(task(), lambda _: SUMS, "own", 2, seed).exam for seed in (1234, 7))
    assert one.content_hash != other.content_hash
