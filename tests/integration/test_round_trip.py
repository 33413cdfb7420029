"""Export and import are each other's inverse: Runs with Answers, costs and provenance, in every format."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.data.panel_rows import gather
from analysis.data.results import read_results
from analysis.exchange.export import ONCE, export_to_file, imported_rows, write_file
from analysis.exchange.exported import is_export, read_export
from analysis.exchange.imports import Taken, keep, place_of, read_foreign
from analysis.exchange.merging import merge
from analysis.report.write import Options, write_report
from proctor.errors import BadExam, BadInput
from proctor.exams.reading.identity import content_hash, question_id
from proctor.nouns.exams import Answer, Conditions, Exam, Question, Scoring
from proctor.nouns.runs import Claim, Cost, Measures, Noise, RunStatus
from proctor.retry import OutageRetry
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.reads.records import RunRecord
from proctor.store.runs import runs, sweeps
from proctor.store.runs.exams import load_exam, save_exam
from tests.integration.store_world import card, claim, first_lane, provenance, record, request, spec, submit
from tests.integration.store_world import exam as small_exam
from tests.sweeps import Sat, exam, sit_sweep
from workers.run.lease import Lease
from workers.run.liveness import Liveness

KINDS = ("jsonl", "csv", "parquet")
NOISE = Noise(questions=10, flips=1, largest=0.125, mean=0.01, pack_tokens=1024, wall_s=1.5)
LETTERS = Sat(models=("org/One", "org/Two"), skill=(0.2, 0.7), questions=12, name="by letters", noise=NOISE)
TEXT = Sat(
    models=("@org/One",), skill=(0.5,), subjects=("=cmd()", "law"), questions=6, name="-by text",
    conditions=Conditions(shots=0, limit=4, scoring=Scoring.TEXT),
)  # fmt: skip


def begun(store: Store) -> Claim:
    held = claim(store)
    runs.begin(store, held, provenance())
    return held


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    """Another machine's database, with nothing in it."""
    with another(tmp_path / "other") as opened:
        yield opened


def another(folder: Path) -> Store:
    folder.mkdir()
    return open_store(Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}"))


def moved(source: Store, sweep_ids: list[int], target: Store, path: Path, *, raw: bool = False) -> list[int]:
    """Export these sweeps and import them there; their numbers there."""
    export_to_file(source, sweep_ids, path.suffix[1:], path, raw=raw)
    return [each.sweep_id for each in merge(target, read_export(path).sat)]


def plain(found: RunRecord) -> dict[str, Any]:
    """All of a Run but the numbers that are each database's own."""
    return asdict(replace(found, run_id=0, sweep_id=0))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_and_imported_is_the_same_sweep_and_exports_to_the_same_file(
    kind: str, store: Store, other: Store, tmp_path: Path
) -> None:
    sent = [sit_sweep(store, LETTERS), sit_sweep(store, TEXT, seed=1)]
    came = moved(store, sent, other, tmp_path / f"sent.{kind}")
    assert [plain(one) for one in records.runs(other, came)] == [plain(one) for one in records.runs(store, sent)]
    export_to_file(other, came, kind, tmp_path / f"back.{kind}")
    assert (tmp_path / f"back.{kind}").read_bytes() == (tmp_path / f"sent.{kind}").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_of_what_came_has_the_same_tables_costs_and_provenance(
    kind: str, store: Store, other: Store, tmp_path: Path
) -> None:
    sent = sit_sweep(store, LETTERS)
    (came,) = moved(store, [sent], other, tmp_path / f"sent.{kind}")
    for place, sweep, folder in ((store, sent, "here"), (other, came, "there")):
        results = read_results(place, [sweep])
        write_report(results, tmp_path / folder, Options(("csv",), 0.01), datetime(2026, 1, 1, tzinfo=UTC))
    tables = sorted(path.name for path in (tmp_path / "here").glob("*.csv"))
    assert {"accuracy.csv", "costs.csv", "provenance.csv"} <= set(tables)
    for name in tables:
        assert (tmp_path / "there" / name).read_text() == (tmp_path / "here" / name).read_text(), name


def test_a_raw_csv_comes_back_too(store: Store, other: Store, tmp_path: Path) -> None:
    sent = sit_sweep(store, TEXT)
    (came,) = moved(store, [sent], other, tmp_path / "sent.csv", raw=True)
    assert [one.spec.subject for one in records.runs(other, [came])] == ["=cmd()", "law"] * 2


def odd_exam() -> Exam:
    """Questions that a careless reader of CSV would change."""
    odd = ("'=1+1", '=1+1\r\nand, "so"\non', "a\N{LINE SEPARATOR}b", "\tx'", "''", "-3 is?")
    choices = ("a\r", "'b", '["c"]')
    items = tuple(Question(question_id("odd", text, choices), n, text, choices, 0) for n, text in enumerate(odd))
    return Exam("own", "odd", (), items, content_hash("odd", (), items))


@pytest.mark.parametrize("kind", KINDS)
def test_odd_text_comes_back_to_the_letter_and_ties_stay_ties(
    kind: str, store: Store, other: Store, tmp_path: Path
) -> None:
    asked = odd_exam()
    save_exam(store, asked)
    planned = replace(spec(), benchmark="own", subject="odd", exam_hash=asked.content_hash, questions=6)
    made = sweeps.submit(store, request("odd"), [planned])
    held = claim(store)
    runs.begin(store, held, provenance())
    answers = [Answer(one.id, "ab" * 32, 0, (-1.0, -1.0, -1 / 3 - 2), None, correct=False) for one in asked.questions]
    runs.record(store, held, 0, answers, Cost(0.1, 0.2, 0.3))
    runs.finish(store, held, Measures(score=Cost(1 / 3, 0.2, 0.0)))
    (came,) = moved(store, [made.sweep_id], other, tmp_path / f"odd.{kind}")
    assert load_exam(other, "own", "odd", asked.content_hash) == asked
    (there,), (here,) = records.runs(other, [came]), records.runs(store, [made.sweep_id])
    assert plain(there) == plain(here)
    assert there.tied == 6


def test_the_results_of_two_machines_merge_into_one_comparison(store: Store, other: Store, tmp_path: Path) -> None:
    here = sit_sweep(store, replace(LETTERS, models=("org/One",), skill=(0.2,), name="laptop"))
    there = sit_sweep(other, replace(LETTERS, models=("org/Two",), skill=(0.7,), name="server"))
    (came,) = moved(other, [there], store, tmp_path / "server.parquet")
    (panel,) = read_results(store, [here, came]).panels
    assert {who.model for who in panel.contestants} == {"org/One", "org/Two"}
    assert len(panel.questions) == 36
    assert panel.asked.all()


def test_the_same_file_again_changes_nothing(store: Store, other: Store, tmp_path: Path) -> None:
    sent = sit_sweep(store, LETTERS)
    first, again = (moved(store, [sent], other, tmp_path / f"{n}.jsonl") for n in range(2))
    assert first == again
    assert len(records.overview(other)) == 1
    (known,) = merge(other, read_export(tmp_path / "0.jsonl").sat)
    assert (known.known, known.runs, known.answers) == (True, 12, 144)


def test_a_single_sweep_can_be_given_another_name_and_several_can_not(
    store: Store, other: Store, tmp_path: Path
) -> None:
    sent = [sit_sweep(store, LETTERS), sit_sweep(store, TEXT)]
    export_to_file(store, sent, "jsonl", tmp_path / "both.jsonl")
    with pytest.raises(BadInput, match=r"holds 2 sweeps, which can't all be named mine"):
        merge(other, read_export(tmp_path / "both.jsonl").sat, "mine")
    export_to_file(store, sent[:1], "jsonl", tmp_path / "one.jsonl")
    (came,) = merge(other, read_export(tmp_path / "one.jsonl").sat, "mine")
    assert sweeps.find(other, "mine").id == came.sweep_id


def test_a_run_that_was_not_done_starts_no_work_until_it_is_retried(store: Store, other: Store, tmp_path: Path) -> None:
    made = submit(store, spec("org/a"), spec("org/b"), name="stopped")
    record(store, begun(store), 0)
    export_to_file(store, [made.sweep_id], "jsonl", tmp_path / "part.jsonl")
    (came,) = merge(other, read_export(tmp_path / "part.jsonl").sat)
    assert (came.runs, came.answers, came.not_done) == (1, 3, 1)  # what answered nothing isn't in a file of answers
    (run,) = records.runs(other, [came.sweep_id])
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "It was not done when it was exported.")
    assert runs.claim_best(other, card(), None, first_lane, 30.0) is None
    assert sweeps.retry(other, came.sweep_id) == 1


def test_an_exam_that_came_in_parts_is_not_sat_before_a_submission_has_filled_it(
    store: Store, other: Store, tmp_path: Path
) -> None:
    made = submit(store, spec(), name="stopped")
    record(store, begun(store), 0)
    (came,) = moved(store, [made.sweep_id], other, tmp_path / "part.jsonl")
    sweeps.retry(other, came)
    with (
        Lease(other, claim(other), OutageRetry(lambda _: False, 5.0), Liveness()) as lease,
        pytest.raises(BadExam, match="isn't here as a whole"),
    ):
        lease.load_exam()
    save_exam(other, small_exam())
    found = load_exam(other, "demo", "astronomy", small_exam().content_hash)
    assert found == small_exam()
    (run,) = records.runs(other, [came])
    assert run.answered == 3


def test_an_exam_that_is_here_takes_no_question_that_is_not_its_own(store: Store, other: Store, tmp_path: Path) -> None:
    sent = sit_sweep(store, LETTERS)
    save_exam(other, exam("mmlu", "law", 12))
    path = exported(store, sent, tmp_path)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in rows:
        if row["subject"] == "law" and row["question_index"] == 0:
            row |= {"question": "Another?", "question_id": question_id("law", "Another?", row["choices"])}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(BadInput, match=r"law:0 \(.+\) is no question of the exam with the hash"):
        merge(other, read_export(path).sat)
    assert records.overview(other) == []


def exported(store: Store, sweep_id: int, folder: Path, kind: str = "jsonl") -> Path:
    path = folder / f"export.{kind}"
    export_to_file(store, [sweep_id], kind, path, force=True)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": "Changed?"}, "row 2: its question isn't the one that its id says"),
        ({"picked": 9}, "row 2: what was picked isn't the option that scored highest"),
        ({"options_logprob": [-1.0]}, "row 2: it has no log-probability of each option"),
        ({"prompt_hash": "no hex"}, "row 2: it is no row of an export"),
        ({"pack": {}}, "row 2: it is no row of an export"),
        ({"choices": None}, "row 2: it is no row of an export"),
        ({"run": {"sweep": {}}, "run_id": 99}, "row 2: its Run can't be read"),
        ({"run_id": 99}, "lacks the first row of Run 99"),
    ],
)
def test_a_row_that_was_changed_is_refused_by_its_number(
    change: dict[str, object], said: str, store: Store, tmp_path: Path
) -> None:
    path = exported(store, sit_sweep(store, LETTERS), tmp_path)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows[1] |= change
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(BadInput, match=said):
        read_export(path)


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_broken_off_or_of_others_are_told_from_exports(kind: str, store: Store, tmp_path: Path) -> None:
    path = exported(store, sit_sweep(store, LETTERS), tmp_path, kind)
    assert is_export(path)
    content = path.read_bytes()
    for kept in (0.4, 0.5, 0.9):
        path.write_bytes(content[: int(kept * len(content))])
        with pytest.raises(BadInput, match=r"export\." + kind):
            read_export(path)
    if kind != "parquet":
        path.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
        with pytest.raises(BadInput, match="holds 11 of the 12 answers of Run 12"):
            read_export(path)
    foreign = tmp_path / f"foreign.{kind}"
    if kind == "parquet":
        pd.DataFrame({"question": ["Who?"]}).to_parquet(foreign)
        with pytest.raises(BadInput, match="lacks the columns"):
            read_export(foreign)
    else:
        foreign.write_text("question\nWho?\n")
        assert not is_export(foreign)


@pytest.mark.parametrize("kind", KINDS)
def test_imported_results_come_back_as_imported_results(kind: str, tmp_path: Path) -> None:
    wide = tmp_path / "wide.csv"
    wide.write_text("subject,question,A,B,answer,one,=two\nlaw,What?,a,b,A,A,B\nlaw,=Who?,c,d,B,,B\n", "utf-8")
    taken = read_foreign([wide])
    write_file(imported_rows(taken.sets), kind, tmp_path / f"sent.{kind}")
    read = read_export(tmp_path / f"sent.{kind}")
    assert read.sat == ()
    back = Taken(gather(read.sheets).sets, ())
    kept = [place_of(name, tmp_path) for name in ("sent", "back")]
    for one, path in zip((taken, back), kept, strict=True):
        assert keep(one, path.stem, tmp_path) == path
    assert kept[0].read_text("utf-8") == kept[1].read_text("utf-8")


def test_an_export_of_an_earlier_release_comes_in_as_imported_results(store: Store, tmp_path: Path) -> None:
    path = exported(store, sit_sweep(store, LETTERS), tmp_path, "csv")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = [name for name in rows[0] if name not in {"pack", "exam_hash", "device", "status", "conditions", *ONCE}]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    read = read_export(path)
    assert read.sat == ()
    (one,) = gather(read.sheets).sets
    assert one.panel.asked.shape == (4, 36)
    assert one.panel.terms.shots == 5
    assert one.panel.terms.chat_template is None
