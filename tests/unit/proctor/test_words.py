"""Our words: one list of meanings, in the glossary and at the end of each help that uses them; each names real code."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

import click
import pytest

from proctor.cli import COMMANDS, command, proctor
from proctor.words import WORDS, Word, defined
from tests.support import ROOT

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")


def test_the_glossary_has_each_word_with_the_meaning_that_help_gives_and_its_code() -> None:
    rows = re.findall(r"(?m)^\| \*\*(.+?)\*\* \| (.+?) \| .+ \| (.+?) \|$", GLOSSARY)
    assert rows == [(word.name, word.means, ", ".join(f"`{place}`" for place in word.code)) for word in WORDS]


def test_no_word_is_left_out() -> None:
    assert {word.name for word in WORDS} == {"sweep", "Run", "contestant", "shots", "pack", "lane", "lease", "bell"}


@pytest.mark.parametrize("place", re.findall(r"`((?:proctor|workers)\.[\w.]+(?::\w+)?)`", GLOSSARY))
def test_what_the_glossary_names_of_the_code_is_there(place: str) -> None:
    module, _, name = place.partition(":")
    found = importlib.import_module(module)
    assert not name or isinstance(getattr(found, name), type)


def test_a_word_is_told_from_others_that_hold_it() -> None:
    (run,) = (word for word in WORDS if word.name == "Run")
    assert [run.used_in(text) for text in ("two Runs", "a Run", "a run of luck", "Runner")] == [
        True,
        True,
        False,
        False,
    ]
    assert Word("sweep", "", ()).used_in("[SWEEP]...")
    assert defined("Nothing of ours.") == ""


def help_of(name: str) -> str:
    """What `proctor NAME --help` prints on a terminal of 80 columns."""
    found = command(COMMANDS[name])
    return found.get_help(click.Context(found, info_name=name, terminal_width=80))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_the_words_that_it_uses_and_no_line_is_wider_than_a_terminal(name: str) -> None:
    text = help_of(name)
    said, _, ending = text.partition("\n  Words:\n")
    listed = [line.split()[0] for line in ending.splitlines()]
    assert listed == [word.name for word in WORDS if word.used_in(said)]
    assert max(map(len, ending.splitlines()), default=0) <= 80


def helps(found: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """The help of a command and of each below it, at 80 columns."""
    context = click.Context(found, info_name=name, terminal_width=80)
    yield name, found.get_help(context)
    if isinstance(found, click.Group):
        for each in found.list_commands(context):
            below = found.get_command(context, each)
            assert below is not None
            yield from helps(below, f"{name} {each}")


@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_of_any_help_is_wider_than_a_terminal_of_80_columns(name: str) -> None:
    texts = dict(helps(command(COMMANDS[name]), name))
    assert {each: line for each, text in texts.items() for line in text.splitlines() if len(line) > 80} == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_short_and_long_ask_each_command_for_its_help(name: str) -> None:
    found = command(COMMANDS[name])
    context = click.Context(found, **found.context_settings)
    option = found.get_help_option(context)
    assert option is not None
    assert set(option.opts) == {"-h", "--help"}


@pytest.mark.parametrize("name", COMMANDS)
def test_lists_of_commands_hold_whole_sentences_and_no_path_is_broken_at_a_hyphen(name: str) -> None:
    texts = dict(helps(command(COMMANDS[name]), name)) | {
        "": proctor.get_help(click.Context(proctor, terminal_width=80))
    }
    listed = "".join(text.partition("\nCommands:\n")[2].partition("\n\n")[0] for text in texts.values())
    assert "..." not in listed
    assert not [line for text in texts.values() for line in text.splitlines() if re.search(r"/\S*-$", line)]


def test_the_words_of_a_submission_are_explained_where_it_is_typed() -> None:
    assert "shots  solved examples that stand before each question" in help_of("submit")
    assert re.search(r"\n +lane +device, model and quantization: what one load can serve", help_of("worker"))


def test_the_readme_says_what_a_run_is_where_it_first_speaks_of_one_and_leads_to_the_glossary() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    first = next(re.finditer(r"\bRuns?\b", readme)).start()
    assert readme[first:].startswith("Run** is one\nmodel, at one quantization, on one subject.")
    assert "](docs/glossary.md)" in readme


def test_what_the_demo_says_at_its_end_fits_a_terminal_of_80_columns_but_for_the_folders() -> None:
    said = re.findall(r"(?m)^\t@echo '(.*)'$", (ROOT / "Makefile").read_text("utf-8"))
    assert len(said) > 5
    assert [line for line in said if len(line.replace("$(BIN)", ".venv/bin")) > 80] == []
