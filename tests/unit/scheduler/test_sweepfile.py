"""A sweep written down as YAML: the same names as the options, checked as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctor.errors import BadInput, SeveralFaults
from scheduler.cli import submit
from scheduler.sweepfile import read
from tests.support import ROOT


def write(folder: Path, text: str) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_says_what_options_say(tmp_path: Path) -> None:
    text = "models: [smollm2, ./m]\nquant: 4bit\nsubjects: [stem]\nshots: 0\nchat_template: true\nlimit: 20\n"
    text += "scoring: text\ncheck_noise: true\ngroup: 2\nmax_memory: 8GB\npack-tokens: 512\n"
    assert read(write(tmp_path, text), submit) == {
        "models": ["smollm2", "./m"],
        "quants": ["4bit"],
        "subjects": ["stem"],
        "shots": "0",
        "chat_template": True,
        "limit": "20",
        "scoring": "text",
        "check_noise": True,
        "group": "2",
        "max_memory": "8GB",
        "pack_tokens": "512",
    }


def test_all_unknown_names_come_at_once_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SeveralFaults) as caught:
        read(write(tmp_path, "modle: smollm2\nshot: 5\n"), submit)
    assert "'modle'. Did you mean model?" in str(caught.value)
    assert "'shot'. Did you mean shots?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "holds no settings"),
        ("- a\n- b\n", "holds no settings"),
        ("model: [a\n", "is no YAML"),
        ("model: {a: b}\n", "Give a value"),
        ("shots: [1, 2]\n", "takes one value, not 2"),
        ("model:\n", "Give a value"),
    ],
)
def test_a_file_that_cannot_be_meant_says_why(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(BadInput, match=cause.replace("[", r"\[")):
        read(write(tmp_path, text), submit)


LAUGHS = (
    "a: &a ["
    + ", ".join(["lol"] * 9)
    + "]\n"
    + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (LAUGHS, r"aliases \(\*\) are not read"),
        ("a: &a [*a]\n", r"aliases \(\*\) are not read"),
        ("model: " + "[" * 20_000, "is nested too deep for settings|is no YAML"),
        ("a:\n" + "".join(" " * n + "- \n" for n in range(1, 440)), "is nested too deep for settings|is no YAML"),
        ("model: [" + "x, " * 40_000 + "]", "a sweep's file of more than 100,000 is not read"),
        ("model: [[" + "x, " * 20_000 + "]]", "model is"),
    ],
)
def test_a_hostile_file_ends_with_one_short_error(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(BadInput, match=cause) as caught:
        read(write(tmp_path, text), submit)
    assert len(str(caught.value)) < 500


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(BadInput, match="is no YAML"):
        read(path, submit)


def test_the_example_in_the_repository_can_be_read() -> None:
    example = read(ROOT / "examples" / "sweep.yaml", submit)
    assert example["quants"] == ["none", "8bit", "4bit"]
    assert len(example["subjects"]) == 10
