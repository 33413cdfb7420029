"""The prompt of `proctor chat`: which commands it completes."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import DummyInput
from prompt_toolkit.output import DummyOutput

from chat.terminal.loop import prompt_session


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("/he", ["/help"]),
        ("/hi", ["/history"]),
        ("see /he", []),  # within a message it is no command
        ("Hello", []),
    ],
)
def test_commands_are_completed_where_a_line_begins_with_one(tmp_path: Path, typed: str, offered: list[str]) -> None:
    with create_app_session(input=DummyInput(), output=DummyOutput()):
        completer = prompt_session(tmp_path).completer
    assert completer is not None
    found = [each.text for each in completer.get_completions(Document(typed), CompleteEvent(completion_requested=True))]
    assert found == offered
