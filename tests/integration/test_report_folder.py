"""A folder holds one report: an earlier one's files go, everybody else's stay, and a kill never mixes the two."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.data.results import read_results
from analysis.report.folder import LIST, report_folder
from analysis.report.page import page_html
from analysis.report.write import Options, write_report
from proctor.errors import BadInput
from proctor.nouns.models import Quant
from proctor.settings import Settings
from proctor.store.database.open import open_store
from tests.sweeps import Sat, sit_sweep

FIRST = {"report.html": "first", "overall.png": "first", "accuracy.csv": "first", "accuracy_2.csv": "first"}
SECOND = {"report.html": "second", "overall.png": "second", "noise.csv": "second"}


def put(folder: Path, files: Mapping[str, str]) -> None:
    """Write a report of these files."""
    with report_folder(folder) as beside:
        for name, text in files.items():
            (beside / name).write_text(text)


def held(folder: Path) -> dict[str, str]:
    """What lies in the folder, but for the list of what is the report's."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != LIST}


def test_the_files_of_the_earlier_report_are_gone(tmp_path: Path) -> None:
    put(tmp_path, FIRST)
    put(tmp_path, SECOND)
    assert held(tmp_path) == SECOND


def test_a_report_of_one_set_leaves_no_table_of_a_report_of_two(tmp_path: Path) -> None:
    alone = Sat(models=("a/A",), skill=(0.5,), quants=(Quant.NONE,), subjects=("law",), questions=8)
    with open_store(Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'proctor.db'}")) as store:
        first, second = sit_sweep(store, alone), sit_sweep(store, Sat(benchmark="other", questions=8))
        for sweeps in ([first, second], [first]):
            written = write_report(read_results(store, sweeps), tmp_path / "r", Options(("html", "csv")), _NOW)
    assert {path.name for path in (tmp_path / "r").iterdir()} == {path.name for path in written.files} | {LIST}
    assert not list((tmp_path / "r").glob("*_2.csv"))


@pytest.mark.parametrize("name", ["report.html", "noise.csv"])
def test_a_foreign_file_in_the_way_is_kept_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(BadInput, match=f"1 file that a report would overwrite.*{name}"):
        put(tmp_path, SECOND)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


def test_a_foreign_page_is_found_before_anything_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(BadInput, match=r"report\.md"), report_folder(tmp_path, ["report.md"]):
        pytest.fail("the work has begun")


def earlier_release(folder: Path) -> None:
    """A report of before there was a list of its files."""
    for name in ("accuracy.csv", "accuracy_2.csv", "overall.png"):
        (folder / name).write_text("earlier")
    page = page_html("1 model on demo", "Written on 2026-11-29 at 10:00 UTC by Proctor 0.1.0", [], [])
    (folder / "report.html").write_text(page)


def test_a_report_of_a_release_that_kept_no_list_is_taken_for_the_earlier_one(tmp_path: Path) -> None:
    earlier_release(tmp_path)
    (tmp_path / "notes.csv").write_text("mine")
    with report_folder(tmp_path, ["report.html"]) as beside:
        for name, text in {"report.html": "new", "accuracy.csv": "new", "overall.svg": "new"}.items():
            (beside / name).write_text(text)
    assert held(tmp_path) == {"report.html": "new", "accuracy.csv": "new", "overall.svg": "new", "notes.csv": "mine"}


def test_what_was_changed_after_such_a_report_is_somebodys_own(tmp_path: Path) -> None:
    earlier_release(tmp_path)
    page_s = (tmp_path / "report.html").stat().st_mtime
    os.utime(tmp_path / "accuracy.csv", (page_s + 60, page_s + 60))
    with pytest.raises(BadInput, match=r"1 file .*accuracy\.csv"):
        put(tmp_path, FIRST)
    assert (tmp_path / "accuracy.csv").read_text() == "earlier"


def test_foreign_files_beside_a_report_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    put(tmp_path, FIRST)
    put(tmp_path, SECOND)
    assert held(tmp_path) == {**SECOND, "notes.txt": "mine"}


def test_what_was_changed_by_hand_is_no_longer_the_reports(tmp_path: Path) -> None:
    put(tmp_path, FIRST)
    (tmp_path / "accuracy.csv").write_text("with a column of mine")
    put(tmp_path, SECOND)
    assert held(tmp_path) == {**SECOND, "accuracy.csv": "with a column of mine"}
    (tmp_path / "report.html").write_text("with a remark of mine")
    with pytest.raises(BadInput, match=r"report\.html"):
        put(tmp_path, FIRST)
    assert held(tmp_path)["report.html"] == "with a remark of mine"


def test_a_link_in_the_way_is_foreign_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("theirs")
    folder = tmp_path / "report"
    put(folder, FIRST)
    (folder / "noise.csv").symlink_to(tmp_path / "other")
    with pytest.raises(BadInput, match=r"noise\.csv"):
        put(folder, SECOND)
    assert (tmp_path / "other").read_text() == "theirs"
    assert held(folder) == {**FIRST, "noise.csv": "theirs"}


def test_a_report_that_fails_leaves_the_earlier_one_whole(tmp_path: Path) -> None:
    put(tmp_path, FIRST)
    with pytest.raises(UnicodeEncodeError):
        put(tmp_path, {"report.html": "half", "overall.png": "\ud800"})
    assert held(tmp_path) == FIRST


def test_a_list_that_names_files_elsewhere_removes_none(tmp_path: Path) -> None:
    put(tmp_path / "report", FIRST)
    (tmp_path / "elsewhere").write_text("first")
    path = tmp_path / "report" / LIST
    path.write_text(path.read_text().replace("accuracy.csv", "../elsewhere"))
    put(tmp_path / "report", SECOND)
    assert (tmp_path / "elsewhere").read_text() == "first"


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"files": 3}'])
def test_a_list_that_cannot_be_read_is_said(text: str, tmp_path: Path) -> None:
    put(tmp_path, FIRST)
    (tmp_path / LIST).write_text(text)
    with pytest.raises(BadInput, match="no list of a report's files"):
        put(tmp_path, SECOND)
    assert held(tmp_path) == FIRST


def _killed_at(step: int, folder: Path) -> None:
    """Write the second report, and be killed at its `step`-th renaming or removal."""
    seen = 0

    def count(event: str, _arguments: object) -> None:
        nonlocal seen
        if event in ("os.rename", "os.remove"):
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    sys.addaudithook(count)
    put(folder, SECOND)


def test_a_report_killed_at_any_step_leaves_one_whole_or_no_page_and_the_next_mends_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    step, ends = 0, set()
    while True:
        put(tmp_path, FIRST)
        child = multiprocessing.get_context("fork").Process(target=_killed_at, args=(step, tmp_path))
        child.start()
        child.join(60)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        page = tmp_path / "report.html"
        there = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
        ends.add(page.read_text() if page.exists() else "no page")
        if page.exists():
            whole = FIRST if page.read_text() == "first" else SECOND
            assert whole.items() <= there.items()
            assert {name for name in there if name in {**FIRST, **SECOND}} == set(whole)
        put(tmp_path, SECOND)
        assert held(tmp_path) == {**SECOND, "notes.txt": "mine"}
        step += 1
    assert ends == {"first", "no page", "second"}


_NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
