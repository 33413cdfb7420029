"""What is written to a terminal, and to what is none."""

from __future__ import annotations

import io

import pytest

from chat.terminal.screen import Screen


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


def written(styled: bool, *, status: str = "", line: str = "") -> str:
    out = io.StringIO()
    screen = Screen(out, styled=styled)
    if status:
        screen.status(status)
    if line:
        screen.line(line)
    return out.getvalue()


def test_a_status_longer_than_the_terminal_stays_on_one_line_and_can_be_taken_away() -> None:
    told = written(styled=True, status="waiting for a worker: " + "very " * 20)
    assert len(told.removeprefix("\r\x1b[K\x1b[2m").removesuffix("\x1b[0m")) < 40
    assert written(styled=True, status="waiting", line="done").endswith("\r\x1b[Kdone\n")


def test_lines_are_broken_between_words_at_a_terminal_alone() -> None:
    said = "one two three four five six seven eight nine ten"
    assert written(styled=False, line=said) == said + "\n"
    broken = written(styled=True, line=said)
    assert broken.count("\n") == 2
    assert broken.endswith("eight\nnine ten\n")


def test_a_pipe_gets_no_status() -> None:
    assert written(styled=False, status="waiting") == ""


def test_a_line_of_ours_begins_a_line_of_its_own() -> None:
    out = io.StringIO()
    screen = Screen(out, styled=False)
    screen.text("a reply")
    screen.line("one")
    screen.line("two")
    screen.text("whole\n")
    screen.break_line()
    screen.line()
    assert out.getvalue() == "a reply\none\ntwo\nwhole\n\n"
