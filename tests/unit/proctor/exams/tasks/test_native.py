"""Pieces of ours that stand for functions of many task files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proctor.errors import BadExam
from proctor.exams.tasks import native
from proctor.exams.tasks.known_functions import PIECES
from proctor.exams.tasks.literals import assigned_in, constant_of, literals_of
from proctor.exams.tasks.task_files import Reference, sha256_of

CODE = '''
import os
WORDS = {"de": ["Frage:", "Optionen:", "Antwort: Schritt für Schritt.", "", "A: Schritt für Schritt."]}
MADE = os.listdir()
def shown():
    """Two of them."""
    return [{"q": "1 + 1", "a": 2}, {"q": "2 + 2", "a": 4}]
def text(doc):
    output = """{subject}: {question} {choice1} or {choice2}?"""
    return output.format(**doc)
def made(): return [os.getcwd()]
def two(doc):
    if doc: return [1]
    return [2]
'''


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "de" / "utils.py"
    path.parent.mkdir()
    path.write_text(CODE, encoding="utf-8")
    return path


def named(code: Path, name: str) -> Reference:
    return Reference(f"utils.{name}", code.parent)


def test_rows_are_kept_by_a_columns_value() -> None:
    rows = [{"s": "law"}, {"s": "law_test.csv_de.csv"}, {"s": "law_test-x"}, {"s": "laws"}]
    assert native.rows_where("s", "law")(rows) == rows[:1]
    assert native.rows_where_cut("s", "law")(rows) == rows[:3]
    assert native.rows_filled("c")([{"c": []}, {"c": [1]}]) == [{"c": [1]}]


def test_labels_have_names() -> None:
    name = native.labelled(["yes", "no"])
    assert [name({"label": place}) for place in (0, 1)] == ["yes", "no"]
    with pytest.raises(KeyError):
        name({"label": -1})
    with pytest.raises(TypeError):
        name({"label": "0"})


def test_a_list_that_is_text_is_read() -> None:
    assert native.literal("choices")({"choices": "['a', \"it's\"]"}) == ["a", "it's"]


def test_choices_of_four_columns_are_one_list() -> None:
    row = {"choice1": "a", "choice2": None, "choice3": "", "choice4": "d", "answer": " A "}
    (made,) = native.four_choices([row])
    assert (made["choices"], made["answer"]) == (["a", "", "", "d"], "A")


def test_a_text_with_gaps_is_filled_with_columns_and_choices(code: Path) -> None:
    text = native.gaps(named(code, "text"), "output")
    assert text({"subject": "law", "question": "Q {x}", "choices": "['a', 'b']"}) == "law: Q {x} a or b?"


def test_words_of_a_language_are_those_of_the_folders_name(code: Path) -> None:
    words = code.parents[1] / "lang_libs.py"
    words.write_text(CODE.replace("WORDS", "LANG_LIBS"), encoding="utf-8")
    sha256_of.cache_clear()
    asked, solved = (native.in_language(named(code, "x"), sha256_of(words), solved=solved) for solved in (False, True))
    row = {f"option_{place}": None for place in range(10)} | {"option_0": "a", "option_1": "b", "question": "Wer?"}
    row["cot_content"] = "A: Schritt für Schritt. Also B."
    assert asked(row) == "Frage:\nWer?\nOptionen:\nA. a\nB. b\nAntwort: Schritt für Schritt."
    assert solved(row) == "Frage:\nWer?\nOptionen:\nA. a\nB. b\nAntwort: Schritt für Schritt. Also B.\n\n"
    with pytest.raises(BadExam, match="isn't the file"):
        native.in_language(named(code, "x"), "0" * 64, solved=False)
    with pytest.raises(BadExam, match="'other'"):
        native.in_language(Reference("utils.x", code.parents[1] / "other"), sha256_of(words), solved=False)


def test_literals_of_a_python_file_are_read_and_nothing_else(code: Path) -> None:
    assert literals_of(named(code, "shown")) == [{"q": "1 + 1", "a": 2}, {"q": "2 + 2", "a": 4}]
    assert isinstance(constant_of(code, "WORDS", sha256_of(code)), dict)
    assert constant_of(code, "MADE", sha256_of(code)) is None
    for name in ("made", "two", "gone"):
        with pytest.raises(BadExam, match="no function that returns a list of literals"):
            literals_of(named(code, name))
    with pytest.raises(BadExam, match="assigns no text"):
        assigned_in(named(code, "shown"), "output")
    with pytest.raises(BadExam, match="no Python file"):
        literals_of(Reference("gone.f", code.parent))


def test_every_piece_is_made_of_a_line_of_the_table(code: Path) -> None:
    reference = named(code, "text")
    made = {
        "rows_where": PIECES["rows_where"](reference, {"column": "s"}, "law").prepare,
        "filled": PIECES["filled"](reference, {}, "c").prepare,
        "labels": PIECES["labels"](reference, {}, ["yes"]).column,
        "literal": PIECES["literal"](reference, {}, "c").column,
        "format": PIECES["format"](reference, {}, "output").column,
        "mc2": PIECES["mc2"](reference, {}, None).results,
        "weighted_f1": PIECES["weighted_f1"](reference, {}, None).aggregation,
    }
    assert all(made.values()), json.dumps(sorted(made))
