"""Sweeps of several benchmarks of several kinds, in status, comparisons, the report and one question."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from analysis.data.results import read_results
from analysis.report.standing import accuracy_table
from analysis.report.write import Options, write_report
from analysis.verdicts.standings import stand
from proctor.cli import COMMANDS, command
from proctor.errors import BadInput, UnknownName
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from scheduler.watch.speed import Speed
from scheduler.watch.sweep_grid import board, subject_names
from scheduler.watch.wording import outcome
from tests import in_forms

NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def all_kinds(home: Path) -> Iterator[Store]:
    with open_store(Settings(home, home, f"sqlite:///{home / 'proctor.db'}")) as store:
        in_forms.sit_forms(store)
        yield store


@pytest.fixture(autouse=True)
def at_home(all_kinds: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_HOME", str(home))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)


def said(name: str, *words: str) -> Result:
    return CliRunner().invoke(command(COMMANDS[name]), words, catch_exceptions=False)


def test_figures_of_several_benchmarks_have_no_mean(all_kinds: Store) -> None:
    progress = records.progress(all_kinds, 1)
    lines = outcome(progress).splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("Large, ")] == [
        f"Large, {one}" for one in ("colours", "gaps", "shares", "endings", "sums")
    ]
    console = Console(file=io.StringIO(), width=140)
    console.print(board(progress, Speed(), 140, 60))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert shown.count("several benchmarks") == 3
    assert "12 without an answer" not in shown


def test_subjects_of_one_name_are_told_apart_by_their_benchmark(all_kinds: Store) -> None:
    first, second, *_ = records.progress(all_kinds, 1).runs
    assert set(subject_names([first, second]).values()) == {first.subject}
    other = replace(first, benchmark="other")
    assert list(subject_names([first, other]).values()) == ["colours/colours", "other/colours"]


def test_two_are_compared_on_one_of_the_benchmarks_that_they_sat() -> None:
    with pytest.raises(BadInput, match=r"Small sat colours, .+Name one of them with --benchmark"):
        said("compare", "Small", "Large")
    for benchmark in ("gaps", "shares", "sums"):
        found = json.loads(said("compare", "Small", "Large", "-b", benchmark, "--json").output)
        assert found["terms"].startswith(f"{benchmark}, ")
        assert found["questions"] == 12
    with pytest.raises(UnknownName, match=r"'gapz'.*There are colours"):
        said("compare", "Small", "Large", "-b", "gapz")


def test_the_report_calls_nothing_missing_that_is_of_another_benchmark(all_kinds: Store, home: Path) -> None:
    report = write_report(read_results(all_kinds, [1]), home / "report", Options(("md", "csv")), NOW)
    page = (home / "report" / "report.md").read_text("utf-8")
    assert "never mixed" not in page
    assert page.count("Left out: a mistake is an answer with less than all points") == 1
    assert page.count("some of these questions have several right ones") == 2
    assert "nan" not in page.split()
    assert re.search(r"shares: .+ of the points are lost|shares: .+ loses [0-9.]+ % of the points", page)
    shares = next(table for table in report.accuracies if "shares" in table.of_set)
    assert "right per character" not in [column.heading for column in shares.columns]


def test_one_question_of_each_kind_is_shown_as_it_was_put() -> None:
    gaps = said("show", "gaps:1").output
    assert "… was better. (scored behind each of these)" in gaps
    assert "* B. Ann beat Bob 1 times because Bob" in gaps
    colours = said("show", "colours:0").output
    assert colours.count("* ") == 2
    assert "points" in said("show", "shares:0").output
    words = said("show", "sums:3").output
    assert "Large, read out: 6" in words
    assert "  #### 6" in words
    shown = json.loads(said("show", "sums:3", "--json").output)
    assert {one["contestant"] for one in shown["answers"] if "####" in one["replies"][0]} == {
        "Small", "Large", "Large 4 bit",
    }  # fmt: skip
    assert (shown["answer"], shown["reference"]) == (None, "6")
    assert json.loads(said("show", "colours:0", "--json").output)["further"] == [2]


def test_perplexities_stand_beside_what_is_right_and_are_compared_by_question(all_kinds: Store) -> None:
    found = json.loads(said("compare", "Large", "Large 4 bit", "-b", "endings", "--json").output)
    (first, second), ratio = found["perplexities"], found["perplexity_ratio"]
    assert ratio[0] == pytest.approx(second[0] / first[0])
    assert first[1] < first[0] < first[2]
    words = said("compare", "Large", "Large 4 bit", "-b", "endings").output
    assert f"Large 4 bit's is {ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f}) times as large" in words
    tables = json.loads(said("quant", "--json").output)
    changes = [row for table in tables for row in table if "perplexity, times" in row]
    assert [row["perplexity, times"] for row in changes] == pytest.approx([ratio[0]])
    assert "KL, nats" not in changes[0]
    panel = next(one for one in read_results(all_kinds, [1]).panels if one.terms.benchmark == "endings")
    assert panel.perplexities is not None
    headings = [column.heading for column in accuracy_table(panel, stand(panel)).columns]
    assert headings[-3:] == ["perplexity", "low perplexity", "high perplexity"]


def test_overlap_leaves_out_what_has_no_mistakes() -> None:
    sets = [table[0]["set"].partition(":")[2] for table in json.loads(said("overlap", "--json").output)]
    assert len(sets) == 4
    assert not any("shares" in one for one in sets)
