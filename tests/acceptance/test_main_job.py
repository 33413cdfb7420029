"""The main job as a person runs it: submit, watch, stop, go on, fail, retry, report, export; in real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file, save_file

from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import workers
from tests import tiny
from tests.acceptance.conftest import Said, spawn
from tests.support import wait_until

LIMIT_S = 600.0
LONG = ("-q", "none", "-q", "4bit")  # two loads: long enough to be stopped in the middle


class Desk:
    """A home, a tiny model and a benchmark of its own; commands are typed as subprocesses."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PROCTOR_")},
            "PROCTOR_HOME": str(folder / "home"),
            "PROCTOR_CACHE": str(folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        return spawn(list(words), self.environ)

    def run(self, *words: str) -> Said:
        process = self.start(*words)
        out, err = process.communicate(timeout=LIMIT_S)
        return Said(process.returncode, out, err)

    def submit(self, *words: str, questions: int = 12) -> tuple[str, ...]:
        """The words of a sweep of the tiny model on two subjects of so many questions."""
        return (
            "submit-sweep", "-m", str(self.model), "--benchmark", str(self.benchmark(questions)), "--shots", "0",
            "--dtype", "float32", *words,
        )  # fmt: skip

    def benchmark(self, questions: int) -> Path:
        path = self.folder / f"made-{questions}.jsonl"
        rows = [
            {
                "question": f"What is {number} and {number + 1} in {subject}?",
                "choices": [str(2 * number + offset) for offset in range(4)],
                "answer": 1,
                "subject": subject,
            }
            for subject in ("sums", "tides")
            for number in range(questions)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    def store(self) -> Store:
        return open_store(Settings.read(self.environ))

    def progress(self) -> records.SweepProgress | None:
        with self.store() as store:
            sweeps = records.overview(store)
            return records.progress(store, sweeps[0].id) if sweeps else None

    def answered(self) -> int:
        progress = self.progress()
        return sum(run.answered for run in progress.runs) if progress else 0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def desk(tmp_path: Path, model: Path) -> Desk:
    return Desk(tmp_path, model)


@dataclass(frozen=True)
class Sat:
    """A sweep that was run to its end: where, by which words, and what was said."""

    desk: Desk
    words: tuple[str, ...]
    said: Said


@pytest.fixture(scope="module")
def sat(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Sat:
    desk = Desk(tmp_path_factory.mktemp("desk"), model)
    assert "No sweep yet" in desk.run("proctor", "status").out
    words = desk.submit("-q", "none", "-q", "4bit", "--name", "first")
    return Sat(desk, words, desk.run(*words, "--verbose"))


def statuses(progress: records.SweepProgress | None) -> Sequence[RunStatus]:
    return [run.status for run in progress.runs] if progress else []


def test_a_sweep_runs_and_ends_with_a_line_for_each_model_and_quantization(sat: Sat) -> None:
    assert sat.said.code == 0, sat.said.err
    assert "Sweep 1 (first): 4 Runs, 48 questions, 2 loads of a model." in sat.said.err
    assert [line.split("  ")[0].rstrip() for line in sat.said.out.splitlines()] == ["tiny", "tiny 4 bit"]
    assert "of 24" in sat.said.out
    assert statuses(sat.desk.progress()) == [RunStatus.DONE] * 4


def test_verbose_shows_each_question_the_answer_and_whether_it_is_right(sat: Sat) -> None:
    for lane in ("tiny", "tiny 4 bit"):
        for subject in ("sums", "tides"):
            shown = [line for line in sat.said.err.splitlines() if line.startswith(f"[{lane}] {subject}:")]
            assert len(shown) == 12
            assert all(line.endswith((": right", ": wrong", "(a tie)")) for line in shown)
    assert sat.said.err.count("What is 3 and 4 in tides?") == 2


def test_the_same_sweep_again_says_that_it_is_done_and_runs_nothing(sat: Sat) -> None:
    again = sat.desk.run(*sat.words)

    assert again.code == 0
    assert "was submitted before and all its 4 Runs are done; --fresh runs it anew" in again.err
    assert again.out == sat.said.out


def test_json_is_all_that_stands_on_standard_output(sat: Sat) -> None:
    told = json.loads(sat.desk.run(*sat.words, "--json").out)

    assert told["counts"]["done"] == 4
    assert [run["answered"] for run in told["runs"]] == [12] * 4


def test_a_plan_says_what_would_run_and_submits_nothing(sat: Sat) -> None:
    said = sat.desk.run(*sat.words, "-q", "8bit", "--plan")

    assert said.code == 0, said.err
    assert "6 Runs on cpu: 72 questions, 3 loads of a model." in said.out
    assert "The smallest difference that this could show" in said.out
    assert len(json.loads(sat.desk.run("proctor", "status", "--json").out)["sweeps"]) == 1


def test_status_lists_sweeps_and_shows_one(sat: Sat) -> None:
    assert "first" in sat.desk.run("proctor", "status").out
    assert "4/4 Runs" in sat.desk.run("proctor", "status", "first").out
    (told,) = json.loads(sat.desk.run("proctor", "status", "--json").out)["sweeps"]
    assert (told["name"], told["done"], told["answered"]) == ("first", 4, 48)


def test_a_sweep_becomes_a_report_and_an_export(sat: Sat, tmp_path: Path) -> None:
    report = sat.desk.run("proctor", "report", "-o", str(tmp_path / "report"))
    export = sat.desk.run("proctor", "export", "-o", str(tmp_path / "answers.jsonl"))

    assert report.code == 0, report.err
    assert str(tmp_path / "report" / "report.html") in report.out
    for name in ("model_comparison", "mistake_overlap_distribution", "mistake_overlap_pairwise"):
        assert (tmp_path / "report" / f"{name}.png").stat().st_size > 1000
    assert export.code == 0, export.err
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 48
    assert {"benchmark", "subject", "question_id", "question_index", "question", "choices", "answer", "prompt_hash",
            "model", "revision", "quant", "dtype", "shots", "options_logprob", "picked", "correct", "run_id",
            "attempt"} <= set(rows[0])  # fmt: skip


def test_a_stopped_sweep_goes_on_with_only_what_is_missing(desk: Desk) -> None:
    words = desk.submit(*LONG, questions=400)
    process = desk.start(*words)
    wait_until(lambda: desk.answered() > 0, "some questions were answered", LIMIT_S)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT_S)

    kept = desk.answered()
    assert process.returncode == 130, err
    assert "The same command goes on from here" in err
    assert 0 < kept < 1600
    assert RunStatus.RUNNING not in statuses(desk.progress())

    again = desk.run(*words)
    assert again.code == 0, again.err
    assert "goes on: " in again.err
    assert desk.answered() == 1600


def test_a_run_that_fails_is_named_with_its_reason_while_the_others_go_on(desk: Desk, tmp_path: Path) -> None:
    broken = tiny.make(tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})

    said = desk.run(*desk.submit("-m", str(broken), "-s", "sums"))

    assert said.code == 1
    assert "failed: broken, sums: " in said.out
    assert "NaN" in said.out or "nan" in said.out
    assert statuses(desk.progress()) == [RunStatus.DONE, RunStatus.FAILED]


def test_what_was_started_in_the_background_goes_on_and_can_be_cancelled_and_retried(desk: Desk) -> None:
    words = desk.submit(*LONG, questions=400)
    said = desk.run(*words, "--detach")
    assert said.code == 0, said.err
    assert "proctor cancel 1" in said.out
    wait_until(lambda: desk.answered() > 0, "the background worked", LIMIT_S)

    cancelled = desk.run("proctor", "cancel", "1", "--json")

    assert json.loads(cancelled.out)["sweep"] == 1
    before = desk.answered()
    assert set(statuses(desk.progress())) <= {RunStatus.CANCELLED, RunStatus.DONE}
    wait_until(lambda: not ours(desk), "everything that was started has ended", LIMIT_S)
    assert desk.answered() == before

    assert json.loads(desk.run("proctor", "retry", "1", "--json").out)["waiting_again"] > 0
    assert desk.run(*words).code == 0
    assert desk.answered() == 1600


@pytest.mark.parametrize("left", [[], ["--detach"]], ids=["watched", "left behind"])
def test_the_workers_of_a_sweep_are_given_what_its_command_says(desk: Desk, left: list[str]) -> None:
    (desk.folder / "sweep.yaml").write_text("max_memory: 2GB\npack_tokens: 100\n")
    said = desk.run(*desk.submit(str(desk.folder / "sweep.yaml"), *left, "--device", "cpu"))
    assert said.code == 0, said.err
    wait_until(lambda: desk.answered() == 24 and not ours(desk), "all was answered and ended", LIMIT_S)
    with desk.store() as store:
        (worker,) = workers.listing(store)
        assert worker.card.memory_bytes == 2 * 10**9
        assert {run.spec.conditions.pack_tokens for run in records.runs(store, [1])} == {100}


def ours(desk: Desk) -> list[psutil.Process]:
    """Processes that have this desk's home in their environment."""
    home = desk.environ["PROCTOR_HOME"]
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PROCTOR_HOME") == home:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found
