"""What people asked and models answered is readable by its owner alone, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.data.results import read_results
from analysis.exchange.export import export_questions, export_to_file
from analysis.exchange.imports import keep, kept, read_foreign
from analysis.exchange.lm_eval_export import export_lm_eval
from analysis.report.write import Options, write_report
from chat.terminal.files import write_whole
from chat.terminal.loop import prompt_session
from proctor import logs, private
from proctor.nouns.exams import Conditions
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests.sweeps import Sat, sit_sweep

SAMPLES = Path(__file__).parents[1] / "data" / "lm_eval_smollm2"
NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """What the process makes is everybody's to read and write, unless it says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "above" / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with open_store(Settings(home, home, f"sqlite:///{home / 'proctor.db'}")) as opened:
        yield opened


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(folder: Path) -> list[str]:
    """What others may read, write or enter of a folder and everything in it."""
    return [f"{mode(path):o} {path.relative_to(folder)}" for path in (folder, *folder.rglob("*")) if mode(path) & 0o077]


def test_a_database_is_its_owners_with_what_sqlite_makes_beside_it(store: Store, home: Path) -> None:
    sit_sweep(store, Sat(questions=4))
    assert {path.name for path in home.iterdir()} == {"proctor.db", "proctor.db-wal", "proctor.db-shm"}
    assert not open_to_others(home.parent)


def test_a_database_of_an_earlier_release_is_closed_to_others_when_it_is_opened(store: Store, home: Path) -> None:
    sit_sweep(store, Sat(questions=4))
    for file in home.iterdir():
        file.chmod(0o644)
    with open_store(Settings(home, home, f"sqlite:///{home / 'proctor.db'}")):
        assert not open_to_others(home)


def test_a_folder_that_a_person_made_keeps_its_mode_and_the_database_in_it_is_private(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(0o755)
    with open_store(Settings(shared, shared, f"sqlite:///{shared / 'proctor.db'}")):
        assert open_to_others(shared) == ["755 ."]


def test_logs_are_their_owners_those_of_an_earlier_release_too(home: Path) -> None:
    (home / "logs").mkdir(parents=True, mode=0o755)
    home.chmod(0o700)
    path = home / "logs" / "worker.log"
    path.write_text("asked\n")
    with private.append_to(logs.log_file(home, "worker")) as file:
        file.write(b"answered\n")
    with logs.recorded(logs.log_file(home, "submit-1"), "INFO", "text"):
        pass
    assert path.read_text() == "asked\nanswered\n"
    assert not open_to_others(home)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_export_is_its_owners_and_so_is_the_folder_that_it_makes(store: Store, tmp_path: Path, kind: str) -> None:
    sweep = sit_sweep(store, Sat(questions=4))
    export_to_file(store, [sweep], kind, tmp_path / "out" / f"answers.{kind}")
    assert not open_to_others(tmp_path / "out")


def test_exports_of_several_files_are_their_owners(store: Store, tmp_path: Path) -> None:
    sweep = sit_sweep(store, Sat(questions=4, conditions=Conditions(shots=0)))
    assert export_questions(store, [sweep], tmp_path / "out")
    assert export_lm_eval(store, [sweep], tmp_path / "out")
    assert not open_to_others(tmp_path / "out")


def test_an_export_that_takes_the_place_of_an_open_one_is_its_owners(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("")
    export_to_file(store, [sit_sweep(store, Sat(questions=4))], "csv", path, force=True)
    assert mode(path) == private.FILE


def test_a_report_is_its_owners(store: Store, tmp_path: Path) -> None:
    results = read_results(store, [sit_sweep(store, Sat(questions=8))])
    write_report(results, tmp_path / "r", Options(("html", "md", "csv", "png", "svg")), NOW)
    assert {path.suffix for path in (tmp_path / "r").iterdir()} > {".html", ".md", ".csv", ".png", ".svg"}
    assert not open_to_others(tmp_path / "r")


def test_imported_results_are_their_owners_those_of_an_earlier_release_too(home: Path) -> None:
    private.make_folder(home)
    path = keep(read_foreign([SAMPLES]), "theirs", home)
    assert not open_to_others(home)
    path.chmod(0o644)
    assert kept("theirs", home) is not None
    assert mode(path) == private.FILE


def test_a_conversation_and_what_was_typed_are_their_owners(home: Path) -> None:
    private.make_folder(home)
    write_whole(home / "talk.json", "{}", replace=False)
    prompt_session(home)
    assert sorted(path.name for path in home.iterdir()) != ["talk.json"]
    assert not open_to_others(home)


def test_what_belongs_to_somebody_else_and_what_is_no_file_are_left_alone(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("")
    file.chmod(0o644)
    link.symlink_to(file)
    for path in (link, Path(os.devnull), tmp_path / "none"):
        private.tighten(path)
    assert mode(file) == 0o644
    assert stat.S_IMODE(Path(os.devnull).stat().st_mode) & 0o077
