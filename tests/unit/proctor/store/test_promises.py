"""The promises that docstrings, comments and documents make name tests that exist."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

from proctor.store.conversations import turns
from proctor.store.runs import runs
from tests.support import ROOT

ROOMS = ("proctor", "scheduler", "workers", "analysis", "chat", "bench", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), ROOT / "Makefile"])
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if path != Path(__file__))
# A pattern of files (`test_store_*.py`) names none.
NAME = re.compile(r"(?:(?P<file>tests/[\w/]+\.py)::)?\b(?P<name>test_(?!list\b)\w+)(?![\w*\[])")  # a column of MBPP


def prose(path: Path) -> str:
    """What a file says to people: of a source its docstrings and comments, of a document all."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        return text
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join([*found, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


@cache
def written_tests() -> dict[str, set[str]]:
    """The tests of each file, by its path from the root; the file's own name is among them."""
    return {
        str(path.relative_to(ROOT)): {path.stem, *re.findall(r"def (test_\w+)", path.read_text("utf-8"))}
        for path in ROOT.glob("tests/**/test_*.py")
    }


def unkept(text: str) -> list[str]:
    """The tests that a text names and that aren't there, or not in the file that it says."""
    written = written_tests()
    everywhere = set().union(*written.values())
    return [
        match[0]
        for match in NAME.finditer(text)
        if match["name"] not in (written.get(match["file"], set()) if match["file"] else everywhere)
    ]


def test_every_test_that_is_named_anywhere_exists() -> None:
    named = {str(path.relative_to(ROOT)): prose(path) for path in (*DOCUMENTS, *SOURCES)}
    assert sum(len(NAME.findall(text)) for text in named.values()) > 50
    assert {path: missing for path, text in named.items() if (missing := unkept(text))} == {}


@pytest.mark.parametrize(("life", "promises"), [(runs.__doc__, 12), (turns.__doc__, 7)])
def test_every_promise_of_a_life_names_the_test_that_holds_it(life: str | None, promises: int) -> None:
    assert life is not None
    listed = life.partition("the test that holds it:")[2].split("\n- ")[1:]
    assert len(listed) >= promises
    assert [one for one in listed if not NAME.search(one)] == []


def test_a_test_that_does_not_exist_is_seen() -> None:
    gone = "test_" + "that_nobody_wrote"
    elsewhere = "tests/unit/workers/run/test_noise.py::test_" + "a_file_is_one_sitting"
    assert unkept(f"Held by `{gone}` and by {elsewhere}, but test_a_file_is_one_sitting is there.") == [gone, elsewhere]
