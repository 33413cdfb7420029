"""From a raw reply to what filters are given: the thought first, then stop strings in their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.exams.judging.replies import Standing, cut_at, read
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Written

THOUGHT_END = "</think>"


def cut_off(text: str) -> Written:
    return Written(text, finish=Finish.LENGTH)


@pytest.mark.parametrize(
    ("stops", "left"), [(("Y", "XY"), "abX"), (("XY", "Y"), "ab"), (("", "c"), "abXY"), ((), "abXYc")]
)
def test_stop_strings_cut_one_after_the_other_in_their_order(stops: tuple[str, ...], left: str) -> None:
    assert read(Written("abXYc"), stops).text == left


def test_what_stands_behind_the_last_mark_is_the_reply() -> None:
    assert read(Written("a</think>b</think>\n\n c "), (), THOUGHT_END).text == "c "


def test_a_stop_string_within_the_thought_cuts_nothing() -> None:
    assert read(Written("Q: hm\n\n</think> 18\n\nQ: next"), ("\n\n", "Q:"), THOUGHT_END).text == "18"


def test_without_the_mark_the_whole_is_the_reply() -> None:
    assert read(Written(" 18"), (), THOUGHT_END).text == " 18"


def test_a_thought_that_the_limit_cut_is_no_reply() -> None:
    reply = read(cut_off("it may be 18"), (), THOUGHT_END)
    assert (reply.text, reply.standing(found=False)) == ("", Standing.THINKING)


def test_the_models_own_mark_splits_where_the_form_names_none() -> None:
    assert read(Written("Q: hm</think> 18\n\nQ:", think_end=THOUGHT_END), ("\n\n",)).text == "18"


@pytest.mark.parametrize("finish", [Finish.STOP, Finish.LENGTH])
def test_a_thought_that_never_ended_is_no_reply_however_it_stopped(finish: Finish) -> None:
    reply = read(Written("<think>18", finish=finish, think_end=THOUGHT_END), ("</answer>",))
    assert (reply.text, reply.standing(found=False)) == ("", Standing.THINKING)
    assert reply.cut == (finish is Finish.LENGTH)


def test_a_reply_that_the_limit_cut_says_so_unless_a_stop_string_stands_in_it() -> None:
    assert read(cut_off("about 1"), ("Q:",)).cut
    assert not read(cut_off("18 Q: next"), ("Q:",)).cut


@pytest.mark.parametrize(
    ("reply", "found", "standing"),
    [
        (Written("18"), True, Standing.EXTRACTED),
        (Written("no idea"), False, Standing.NOTHING),
        (Written(" \n"), True, Standing.EMPTY),
        (Written(""), False, Standing.EMPTY),
        (cut_off("we first"), False, Standing.CUT),
        (cut_off("18, and"), True, Standing.EXTRACTED),
    ],
)
def test_how_a_reply_fared_is_told_apart(reply: Written, found: bool, standing: Standing) -> None:
    assert read(reply).standing(found) is standing


@given(st.text("abXY"), st.lists(st.text("abXY", max_size=3), max_size=4))
def test_no_stop_string_is_left_and_what_is_left_is_the_beginning(text: str, stops: list[str]) -> None:
    left = cut_at(text, stops)
    assert text.startswith(left)
    assert not any(stop in left for stop in stops if stop)
