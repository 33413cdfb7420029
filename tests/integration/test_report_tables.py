"""Tables and files of a report and an export by what is in them: their columns and keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.data.results import read_results
from analysis.exchange.export import export_questions
from analysis.report.blocks import Bullets
from analysis.report.overview import ran_section
from analysis.report.write import Options, WrittenReport, write_report
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Quant
from proctor.nouns.runs import Noise
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests.sweeps import Sat, sit_sweep

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
FIGURE = re.compile(r"(< )?[+−-]?[\d,]*\.?\d+( %| s| GiB)?")
NOISE = Noise(questions=10, flips=1, largest=0.25, mean=0.01, pack_tokens=1024, wall_s=1.0)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("desk")
    with open_store(Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}")) as opened:
        yield opened


def tables_of(page: str) -> dict[str, dict[str, tuple[bool, list[str]]]]:
    """Of a Markdown page: caption → heading → whether it is set to the right, and the cells."""
    found: dict[str, dict[str, tuple[bool, list[str]]]] = {}
    for caption, body in re.findall(r"^\*\*(.+?)\*\*\n\n((?:\|.*\n?)+)", page, re.MULTILINE):
        heads, rule, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines())
        cells = zip(*rows, strict=True) if rows else [()] * len(heads)
        found[caption] = {
            head: (dashes.endswith(":"), list(column))
            for head, dashes, column in zip(heads, rule, cells, strict=True)
        }  # fmt: skip
    return found


def report(desk: Store, folder: Path, kind: str) -> WrittenReport:
    """A report with every table that answers of two models in two quantizations give, and one failed Run."""
    results = read_results(desk, [sit_sweep(desk, Sat(noise=NOISE, fail=(1,)))])
    return write_report(results, folder, Options((kind,)), NOW)


def test_figures_are_set_to_the_right_and_words_to_the_left(desk: Store, tmp_path: Path) -> None:
    written = report(desk, tmp_path, "md")
    tables = tables_of((written.folder / "report.md").read_text("utf-8"))
    assert len(tables) >= 12
    for caption, columns in tables.items():
        for heading, (right, cells) in columns.items():
            told = [cell for cell in cells if cell not in ("", "–", "never")]
            if told:
                assert right is all(FIGURE.fullmatch(cell) for cell in told), (caption, heading, told[:3])


HEADINGS = {
    "accuracy": "contestant,right,low,high,right answers,asked,no single answer,against chance",
    "accuracy_by_subject": "subject,contestant,right,low,high,right answers,asked,no single answer",
    "calibration": "contestant,Brier,expected calibration error,mean confidence,right of the picks,picks",
    "contestants": "contestant,model,quantization,device,dtype,Runs done,Runs,answered,questions",
    "costs": 'contestant,Runs,questions,wall,CPU,GPU,"loading, wall",peak memory,peak GPU memory,questions a second',
    "costs_by_run": (
        'Run,contestant,subject,questions,wall,CPU,GPU,"tokenizing, wall","prefix, wall","packs, wall",'
        '"loading, wall","writing, wall",peak memory,peak GPU memory,GPU memory held,questions a second,attempt'
    ),
    "exams": "subject,benchmark,content (SHA-256),prompt version",
    "mistake_distribution": "missed by,questions,if independent",
    "mistake_pairs": (
        'first,second,kappa,both wrong,of those that either has wrong,"same wrong option, given both wrong",'
        "only first wrong,only second wrong,lift at equal difficulty"
    ),
    "noise": "contestant,scored twice,picks that flipped,share,at most,largest difference,mean difference",
    "provenance": "contestant,model,revision,dtype,attention,device,host,versions,notes,Runs",
    "quantizations": (
        'quantized,"change, points",low,high,lost,gained,p (Holm),p of within (Holm),verdict,'
        '"smallest detectable, points",other picks,"KL, nats",key\'s probability'
    ),
    "ties": "contestant,no single answer,near ties,share",
    "undecided_pairs": (
        "contestant,against,ahead by,questions that differ,smallest detectable,questions that would show it"
    ),
    "unfinished_runs": "Run,contestant,subject,status,answered,of,attempts,reason",
}


def test_scripts_find_the_columns_of_every_file_by_their_headings(desk: Store, tmp_path: Path) -> None:
    files = report(desk, tmp_path, "csv").files
    assert {path.stem: path.read_text("utf-8").splitlines()[0] for path in files} == HEADINGS


def test_a_limit_of_questions_is_told_with_what_was_run(desk: Store) -> None:
    def facts(sat: Sat) -> str:
        first = ran_section(read_results(desk, [sit_sweep(desk, sat)])).blocks[0]
        assert isinstance(first, Bullets)
        return " ".join(first.items)

    short = facts(Sat(conditions=Conditions(limit=25), name="short"))
    assert "Only the first 25 questions of a subject were asked." in short
    assert "Only the first" not in facts(Sat(name="whole"))


def test_the_frame_of_runs_has_a_row_a_run_with_its_own_figures(desk: Store) -> None:
    results = read_results(desk, [sit_sweep(desk, Sat(noise=NOISE, fail=(0,)))])
    frame = results.runs_frame()
    assert list(frame) == [
        "run_id", "sweep", "model", "revision", "quant", "device", "dtype", "benchmark", "subject", "shots",
        "chat_template", "limit", "status", "attempt", "questions", "answered", "correct", "tied", "accuracy",
        "scoring", "accuracy_norm", "noise_flips", "noise_questions", "noise_largest",
        "load_wall_s", "tokenize_wall_s", "prefix_wall_s", "write_wall_s",
        "wall_s", "cpu_s", "gpu_s", "peak_rss_bytes", "peak_device_bytes", "questions_per_s", "reason",
        "fewest_shots", "most_shots", "short_of_shots", "peak_reserved_bytes",
    ]  # fmt: skip
    failed, done = frame[frame["status"] == "failed"], frame[frame["status"] == "done"]
    assert (len(failed), len(done)) == (1, 11)
    assert failed["reason"].tolist() == ["out of memory <b>at once</b>"]
    assert failed[["wall_s", "cpu_s", "noise_flips", "accuracy"]].isna().all(axis=None)
    assert set(done["reason"]) == {""}
    figures = done[["load_wall_s", "wall_s", "cpu_s", "noise_flips", "noise_questions", "noise_largest", "attempt"]]
    assert figures.drop_duplicates().to_numpy().tolist() == [[3.0, 1.5, 2.5, 1, 10, 0.25, 1]]
    assert done["questions_per_s"].tolist() == pytest.approx([40 / 1.5] * 11)


def test_a_file_of_questions_has_these_keys_and_counts(desk: Store, tmp_path: Path) -> None:
    sat = Sat(models=("org/One",), skill=(0.5,), quants=(Quant.FOUR_BIT,), subjects=("law",), questions=9)
    (path,) = export_questions(desk, [sit_sweep(desk, sat)], tmp_path)
    text = path.read_text("utf-8")
    assert text.startswith('{\n "model"')
    content = json.loads(text)
    questions = content.pop("questions")
    right = sum(one["is_correct"] for one in questions)
    assert content == {
        "model": "org/One", "revision": "abc123", "quant": "4bit", "device": "cpu", "dtype": "float32",
        "benchmark": "mmlu", "subject": "law", "status": "done", "scoring": "letters", "correct": right, "total": 9,
        "accuracy": right / 9, "accuracy_norm": right / 9, "tied": 0,
    }  # fmt: skip
    assert len(questions) == 9
    for one in questions:
        assert list(one) == [
            "question_id", "question", "choices", "correct_answer", "predicted_answer", "is_correct", "options_logprob",
        ]  # fmt: skip


def test_names_beyond_ascii_are_written_as_they_are(desk: Store, tmp_path: Path) -> None:
    sat = Sat(models=("org/Größe",), skill=(0.5,), quants=(Quant.NONE,), subjects=("Überblick",), questions=2)
    (path,) = export_questions(desk, [sit_sweep(desk, sat)], tmp_path)
    assert '"Überblick question 0?"' in path.read_text("utf-8")
