"""`--chat-template` at submission, where a model's files are at hand: what is refused, and what is said beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctor.errors import CantBeAsked
from proctor.exams.chat_prompts import IN_PARTS, NO_SYSTEM
from proctor.nouns.exams import Conditions
from proctor.nouns.models import DType, Quant
from proctor.nouns.runs import SweepRequest
from scheduler.found_models import found, template_notes
from tests import templates, tiny


def request(folder: Path, *, chat: bool = True, date: str = "") -> SweepRequest:
    conditions = Conditions(2, chat_template=chat, template_date=date)
    return SweepRequest((str(folder),), (Quant.NONE,), "demo", ("all",), "cpu", DType.AUTO, conditions)


def notes(folder: Path, template: str | None, *, chat: bool = True, date: str = "") -> list[str]:
    """What is said of a model with this chat template; raises what refuses it."""
    tiny.make(folder)
    where = folder / "chat_template.jinja"
    where.unlink() if template is None else where.write_text(template)
    asked = request(folder, chat=chat, date=date)
    return list(template_notes(asked, [found(str(folder), asked)]))


@pytest.mark.parametrize(
    ("template", "cause"),
    [
        (None, "has no chat template"),
        (templates.SWALLOWS, "leaves out what it is given"),
        ("{{ raise_exception('no roles at all') }}", "fails: no roles at all"),
        ("{% for m in %}", "fails: "),
    ],
)
def test_a_template_that_cannot_put_a_question_is_refused_before_anything_runs(
    tmp_path: Path, template: str | None, cause: str
) -> None:
    with pytest.raises(CantBeAsked, match=cause):
        notes(tmp_path / "m", template)
    assert notes(tmp_path / "m", template, chat=False) == []


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (templates.CHATML, []),
        (templates.GEMMA, [f"m: {NO_SYSTEM}."]),
        (templates.IGNORES_SYSTEM, [f"m: {NO_SYSTEM}."]),
        (templates.PARTS_ONLY, [f"m: {IN_PARTS}."]),
        (templates.DATED, ["m: its chat template is told the date 2024-07-26."]),
    ],
)
def test_what_a_template_does_to_the_exam_is_said_beforehand(tmp_path: Path, template: str, said: list[str]) -> None:
    assert notes(tmp_path / "m", template, date="2024-07-26") == said
