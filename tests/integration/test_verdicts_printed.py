"""What the commands of the analysis print of results that were imported, and of a sweep of one Run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proctor.errors import BadInput
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Quant
from proctor.settings import Settings
from proctor.store.database.open import open_store
from tests.integration.test_verdict_commands import answer
from tests.sweeps import Sat, sit_sweep

MODELS = 7
PAIRS = 21
ASKED = Conditions(shots=0)


def wide(models: int) -> str:
    """Answers of so many models to 24 questions of one subject, each of them wrong on its own seventh."""
    heads = ",".join(["subject,question,A,B,C,D,answer", *(f"m{place}" for place in range(models))])
    rows = [
        ",".join([f"law,Q{number}?,a,b,c,d,A", *("B" if number % MODELS == place else "A" for place in range(models))])
        for number in range(24)
    ]
    return "\n".join([heads, *rows, ""])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Imports `seven` and `one`."""
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)
    for name, models in (("seven", MODELS), ("one", 1)):
        (tmp_path / f"{name}.csv").write_text(wide(models), "utf-8")
        answer("import", str(tmp_path / f"{name}.csv"))
    return tmp_path


def test_the_first_20_rows_are_printed_unless_more_or_all_are_asked_for(home: Path) -> None:
    def rows(*words: str) -> int:
        return sum(line.startswith("m") for line in answer("overlap", "seven", *words).splitlines())

    assert (rows(), rows("-n", "3"), rows("-n", "99")) == (20, 3, PAIRS)
    (pairs,) = json.loads(answer("overlap", "seven", "--json"))
    assert len(pairs) == PAIRS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("overlap", "one"), "There is no pair to compare by mistakes."),
        (("quant", "seven"), "Nothing here was run both quantized and not."),
        (("suspects", "one"), "No key is outvoted (it takes three models)."),
    ],
)
def test_where_there_is_nothing_to_print_it_is_said(home: Path, words: tuple[str, str], said: str) -> None:
    assert answer(*words).strip() == said


def test_a_report_as_json_names_its_page_its_files_and_its_figures(home: Path) -> None:
    folder = home / "report"
    found = json.loads(answer("report", "one", "-o", str(folder), "--format", "csv,html", "--json"))
    assert set(found) == {"page", "files", "sets", "findings", "noise", "terms"}
    assert found["page"] == str(folder / "report.html")
    assert {Path(path).name for path in found["files"]} >= {"report.html", "accuracy.csv"}
    assert all(Path(path).is_file() for path in found["files"])
    ((row,),) = found["sets"]
    assert (row["contestant"], row["right answers"], row["asked"]) == ("m0", 20, 24)
    tables = json.loads(answer("report", "one", "-o", str(home / "tables"), "--format", "csv", "--json"))
    assert tables["page"] is None


@pytest.mark.parametrize("kind", ["questions", "lm-eval"])
def test_a_folder_of_exports_is_written_over_only_where_that_is_asked_for(home: Path, kind: str) -> None:
    with open_store(Settings.read({"PROCTOR_HOME": str(home / "home")})) as store:
        sit_sweep(store, Sat(("org/One",), (0.5,), (Quant.NONE,), ("law",), 4, conditions=ASKED, name="small"))
    words = ("export", "small", "--format", kind, "-o", str(home / "out"))
    said = answer(*words)
    with pytest.raises(BadInput, match="exists"):
        answer(*words)
    assert answer(*words, "--force") == said
    files = [path for path in (home / "out").rglob("*.json*") if path.is_file()]
    assert said == f"{len(files)} files in {home / 'out'}\n"


def test_where_nothing_is_imported_it_is_said_with_what_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path))
    assert answer("imports", "list") == "Nothing is imported. Next: proctor import --help\n"
    assert json.loads(answer("imports", "list", "--json")) == []
