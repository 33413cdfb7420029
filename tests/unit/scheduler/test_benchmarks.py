"""`proctor benchmarks`: every built-in one has a line, and a question is shown as a worker puts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from proctor.errors import UnknownName
from proctor.exams.benchmarks.registry import BUILT_IN
from proctor.exams.tasks.definition import Settings
from proctor.nouns.exams import Choose, Roll, Write
from scheduler.benchmarks import shown
from scheduler.benchmarks_cli import benchmarks

SUMS = [{"question": f"What is {n} and {n}?", "answer": f"Twice {n}.\n#### {2 * n}"} for n in range(8)]
SENTENCES = [
    {"sentence": f"The {n}th cup did not fit the box, because the _ was too big.", "option1": "cup", "option2": "box",
     "answer": "1"}
    for n in range(3)
]  # fmt: skip


def rows(folder: Path, **splits: list[dict[str, str]]) -> Settings:
    """Settings for rows that lie in a folder, a file a split."""
    for split, some in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    return Settings(folder=folder)


def test_every_built_in_benchmark_has_a_line_with_its_licence_or_what_it_lacks() -> None:
    said = CliRunner().invoke(benchmarks, ["--json"])
    entries = {entry["name"]: entry for entry in json.loads(said.stdout)}
    assert list(entries) == [one.name for one in BUILT_IN]
    assert all(entry["licence"] or entry["needs"] for entry in entries.values())
    assert (entries["hellaswag"]["asks"], entries["gsm8k"]["asks"]) == ("a choice", "a text")
    table = CliRunner().invoke(benchmarks, []).stdout
    assert all(f"\n{name} " in table for name in entries)


def test_a_written_question_is_shown_with_its_stops_and_what_is_right(tmp_path: Path) -> None:
    found = shown("gsm8k", 3, rows(tmp_path, test=SUMS, train=SUMS))
    assert isinstance(found.plain, Write)
    assert found.plain.text.count("Question: ") == 6
    assert found.plain.text.endswith("Question: What is 3 and 3?\nAnswer:")
    assert [message.role for message in found.chat] == ["user", "assistant"] * 5 + ["user"]
    text = found.as_text()
    assert 'a reply of 256 tokens at most, greedy; it stops at: "Question:"' in text
    assert text.index("--- right") < text.index("#### 6")


def test_options_behind_contexts_of_their_own_are_shown_behind_them(tmp_path: Path) -> None:
    found = shown("winogrande", 2, rows(tmp_path, validation=SENTENCES, train=SENTENCES))
    assert isinstance(found.plain, Choose)
    assert found.plain.options == (" was too big.",) * 2
    assert '" was too big." behind "The 2th cup did not fit the box, because the box"' in found.as_text()


def test_a_page_is_shown_as_a_text_that_is_scored_in_windows(tmp_path: Path) -> None:
    found = shown("wikitext", 0, rows(tmp_path, test=[{"page": " = Moon = \n \n It shows one face . \n"}]))
    assert found.plain == Roll(" = Moon =\n\nIt shows one face.\n")
    assert "--- what is scored\nthe whole text, in windows as long as the model's" in found.as_text()
    assert "as a chat" not in found.as_text()


def test_a_subject_and_a_number_of_examples_may_be_named() -> None:
    found = shown("demo:world_geography", 5, Settings(shots=2))
    assert (found.subject, found.plain.shots, found.number) == ("world_geography", 2, 5)
    assert found.chat[0].role == "system"


def test_a_number_beyond_the_last_question_says_how_many_there_are() -> None:
    with pytest.raises(UnknownName, match=r"'999'.*arithmetic has \d+, from 0"):
        shown("demo", 999, Settings())


def test_what_rows_hold_cannot_drive_a_terminal(tmp_path: Path) -> None:
    row = {"question": "Red \x1b[31m?", "answer": "#### 1"}
    assert "\x1b" not in shown("gsm8k", 0, rows(tmp_path, test=[row], train=[row] * 6)).as_text()
