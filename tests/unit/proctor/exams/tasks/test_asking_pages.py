"""Whole pages, as they are asked for."""

from __future__ import annotations

import pytest

from proctor.errors import BadInput
from proctor.exams.benchmarks.base import Examinee
from proctor.exams.tasks.asking import FORM_VERSION, ask
from proctor.exams.tasks.form import Form, Headline, Kind, Metric
from proctor.nouns.exams import Conditions, Exam, Exchange, Question, Roll, Scored

PAGE = Question("0" * 16, 0, "The moon shows one face.\n")
FORM = Form(Kind.ROLLING, (Metric("word_perplexity"),), Headline("word_perplexity", "none"))
EXAM = Exam("pages", "pages", (), (PAGE,), "0" * 64, form=FORM.json())
SMALL = Examinee(len, 4, lambda chat: chat[0].content)


def test_a_page_is_asked_for_once_however_long_it_is() -> None:
    conditions = Conditions(shots=0, prompt_version=FORM_VERSION)
    made = ask(EXAM, PAGE, conditions, SMALL, ())
    assert made == Roll(PAGE.text)
    assert ask(EXAM, PAGE, conditions, SMALL, [Exchange(made, Scored((-1.0, -2.0)))]) is None


def test_a_page_is_no_chat() -> None:
    with pytest.raises(BadInput, match="no chat"):
        ask(EXAM, PAGE, Conditions(shots=0, chat_template=True, prompt_version=FORM_VERSION), SMALL, ())
