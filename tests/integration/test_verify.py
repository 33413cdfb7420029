"""`proctor verify` on a database with sweeps, against samples that are written as lm-evaluation-harness writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from proctor.cli import COMMANDS, command
from proctor.errors import BadInput, UnknownName
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Quant
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads.export import ExportRow, export_rows
from tests.sweeps import Sat, sit_sweep

ONE = Sat(models=("org/One",), skill=(0.5,), quants=(Quant.NONE,), subjects=("law", "art"), questions=10)
TWO = Sat(subjects=("history",), questions=10, name="two")
LIMITED = Sat(
    models=("org/One",), skill=(0.5,), quants=(Quant.NONE,), subjects=("tides",), questions=10,
    conditions=Conditions(limit=4), name="limited",
)  # fmt: skip
Change = Callable[[int, dict[str, object]], dict[str, object]]


@dataclass(frozen=True)
class Said:
    """What `verify --json` found, and its exit code."""

    code: int
    found: dict[str, object]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    with open_store(Settings.read({"PROCTOR_HOME": str(folder)})) as store:
        for sat in (ONE, TWO, LIMITED):
            sit_sweep(store, sat)
    return folder


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PROCTOR_HOME", str(home))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)
    with open_store(Settings.read({"PROCTOR_HOME": str(home)})) as opened:
        yield opened


def sample(row: ExportRow) -> dict[str, object]:
    doc = {"question": row.question, "subject": row.subject, "choices": row.choices, "answer": row.answer}
    scores = [[str(value), "False"] for value in row.options_logprob]
    return {"doc_id": row.question_index, "doc": doc, "filtered_resps": scores, "prompt_hash": row.prompt_hash}


def write(folder: Path, rows: Sequence[ExportRow], change: Change = lambda _, line: line) -> Path:
    """Samples of these Answers in a model's folder, a file a subject."""
    inside = folder / "my__model"
    inside.mkdir(parents=True, exist_ok=True)
    for subject in {row.subject for row in rows}:
        own = [change(n, sample(row)) for n, row in enumerate(rows) if row.subject == subject]
        file = inside / f"samples_mmlu_{subject}_2026-01-01T00-00-00.000000.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in own))
    return folder


def verify(*words: str) -> Said:
    result = CliRunner().invoke(command(COMMANDS["verify"]), [*words, "--json"], catch_exceptions=False)
    return Said(result.exit_code, json.loads(result.output))


def shifted(by: float) -> Change:
    """The first sample's first option as so much more likely."""

    def change(place: int, line: dict[str, object]) -> dict[str, object]:
        scores = line["filtered_resps"]
        assert isinstance(scores, list)
        if place == 0:
            scores = [[str(float(scores[0][0]) + by), "False"], *scores[1:]]
        return line | {"filtered_resps": scores}

    return change


def test_the_same_answers_are_all_within(store: Store, tmp_path: Path) -> None:
    said = verify("--against", str(write(tmp_path, list(export_rows(store, [1])))))
    assert said.code == 0
    assert (said.found["sweep"], said.found["prompts_in_both"], said.found["extra"]) == ("trial", 20, 0)
    assert (said.found["largest_difference"], said.found["other_picks"]) == (0, 0)


def test_a_log_probability_beyond_the_tolerance_differs_and_is_shown(store: Store, tmp_path: Path) -> None:
    rows = list(export_rows(store, [1]))
    against = str(write(tmp_path, rows, shifted(1e-3)))
    said = verify("--against", against)
    assert said.code == 1
    assert said.found["largest_difference"] == pytest.approx(1e-3)
    assert said.found["mean_difference"] == pytest.approx(1e-3 / 80)
    differing = said.found["differing"]
    assert isinstance(differing, list)
    assert [one["question_id"] for one in differing] == [rows[0].question_id]
    assert verify("--against", against, "--tolerance", "0.01").code == 0


def test_a_difference_equal_to_the_tolerance_is_within_it(store: Store, tmp_path: Path) -> None:
    against = str(write(tmp_path, list(export_rows(store, [1])), shifted(1e-3)))
    largest = verify("--against", against).found["largest_difference"]
    assert isinstance(largest, float)
    assert verify("--against", against, "--tolerance", repr(largest)).code == 0
    assert verify("--against", against, "--tolerance", repr(math.nextafter(largest, 0))).code == 1


def test_a_verification_without_one_common_prompt_does_not_pass(store: Store, tmp_path: Path) -> None:
    """Nothing is missing either: these subjects weren't asked of our Runs at all."""
    against = str(write(tmp_path, list(export_rows(store, [3]))))
    said = verify("trial", "--against", against)
    assert (said.found["prompts_in_both"], said.found["missing"], said.found["not_to_be_asked"]) == (0, 0, 4)
    assert (said.found["passed"], said.code) == (False, 1)


def test_of_a_rerun_the_newest_file_is_verified_and_it_is_said(store: Store, tmp_path: Path) -> None:
    rows = list(export_rows(store, [3]))
    write(tmp_path, rows)
    older = tmp_path / "my__model" / "samples_mmlu_tides_2025-01-01T00-00-00.000000.jsonl"
    older.write_text("".join(json.dumps(shifted(1.0)(n, sample(row))) + "\n" for n, row in enumerate(rows)))
    said = verify("--against", str(tmp_path))
    assert (said.code, said.found["prompts_in_both"]) == (0, 4)
    notes = said.found["notes"]
    assert isinstance(notes, list)
    assert "is passed over" in notes[0]


def test_another_pick_differs_whatever_the_tolerance(store: Store, tmp_path: Path) -> None:
    rows = sorted(export_rows(store, [1]), key=lambda row: row.picked == 0)  # the first picked another than the first
    said = verify("--against", str(write(tmp_path, rows, shifted(50.0))), "--tolerance", "100")
    assert (said.code, said.found["other_picks"]) == (1, 1)


def test_a_question_in_another_prompt_is_missing_and_said_to_be_reworded(store: Store, tmp_path: Path) -> None:
    def reword(place: int, line: dict[str, object]) -> dict[str, object]:
        return line | {"prompt_hash": "f" * 64} if place == 3 else line

    said = verify("--against", str(write(tmp_path, list(export_rows(store, [1])), reword)))
    assert said.code == 1
    assert (said.found["missing"], said.found["asked_in_another_prompt"], said.found["extra"]) == (1, 1, 1)


def test_what_our_runs_were_not_to_ask_is_counted_and_held_against_nobody(store: Store, tmp_path: Path) -> None:
    """Subjects of another sweep, and questions beyond --limit."""
    limited, other = list(export_rows(store, [3])), list(export_rows(store, [1]))
    beyond = {"question": "Beyond the limit?", "subject": "tides", "choices": ["a", "b", "c", "d"], "answer": 0}

    def change(place: int, line: dict[str, object]) -> dict[str, object]:
        return line | {"doc": beyond, "prompt_hash": "e" * 64} if place == 0 else line

    said = verify("limited", "--against", str(write(tmp_path, [*limited, *other], change)))
    assert (said.code, said.found["prompts_in_both"], said.found["not_to_be_asked"]) == (0, 3, 21)
    assert said.found["missing"] == 0


def test_one_subject_alone(store: Store, tmp_path: Path) -> None:
    against = str(write(tmp_path, list(export_rows(store, [1]))))
    said = verify("--against", against, "--subject", "law")
    assert (said.code, said.found["prompts_in_both"], said.found["not_to_be_asked"]) == (0, 10, 0)
    with pytest.raises(UnknownName, match="'law2'"):
        verify("--against", against, "--subject", "law2")


def test_of_several_contestants_one_must_be_named(store: Store, tmp_path: Path) -> None:
    rows = [row for row in export_rows(store, [2]) if (row.model, row.quant) == ("org/Large", "4bit")]
    against = str(write(tmp_path, rows))
    with pytest.raises(BadInput, match="several contestants"):
        verify("--against", against)
    assert verify("--against", against, "--contestant", "Large:4bit").code == 0
    assert verify("--against", against, "--contestant", "Small").code == 1


def test_samples_of_prompts_that_nobody_put_are_bad_input(store: Store, tmp_path: Path) -> None:
    def elsewhere(place: int, line: dict[str, object]) -> dict[str, object]:
        return line | {"prompt_hash": f"{place:064x}"}

    against = str(write(tmp_path, list(export_rows(store, [1])), elsewhere))
    with pytest.raises(BadInput, match="No finished Run"):
        verify("--against", against)
    assert verify("trial", "--against", against).found["asked_in_another_prompt"] == 20


@pytest.mark.usefixtures("store")
def test_a_folder_without_samples_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no sample"):
        verify("--against", str(tmp_path))


def test_older_files_are_read_and_their_prompts_hashed(store: Store, tmp_path: Path) -> None:
    """Arguments as lists and no prompt_hash: the prompt itself says what was asked."""

    def older(_: int, line: dict[str, object]) -> dict[str, object]:
        return {name: line[name] for name in ("doc_id", "doc", "filtered_resps")} | {"arguments": [["A prompt", " A"]]}

    said = verify("trial", "--against", str(write(tmp_path, list(export_rows(store, [1])), older)))
    assert (said.code, said.found["missing"]) == (1, 20)


def test_it_says_in_words_what_differs(store: Store, tmp_path: Path) -> None:
    against = str(write(tmp_path, list(export_rows(store, [1])), shifted(0.5)))
    result = CliRunner().invoke(command(COMMANDS["verify"]), ["--against", against], catch_exceptions=False)
    assert result.exit_code == 1
    assert "They differ: not all within 0.0001 nats" in result.output
    assert "largest 5.0e-01" in result.output
    assert "What differs." in result.output
