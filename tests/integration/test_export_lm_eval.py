"""`proctor export --format lm-eval`, against what lm-evaluation-harness itself wrote of the same questions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from analysis.exchange.imports import read_foreign
from analysis.exchange.lm_eval_export import export_lm_eval
from analysis.exchange.lm_eval_samples import read_samples
from analysis.exchange.verify import Selection, verify
from proctor.errors import BadInput
from proctor.exams.benchmarks.mmlu_prompts import fit
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.chat_prompts import Message
from proctor.exams.marking.choice import judge
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Cost, Measures, RunSpec, SweepRequest
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.reads.export import export_rows
from proctor.store.runs import runs
from proctor.store.runs.exams import save_exam
from proctor.store.runs.sweeps import submit
from tests.integration.store_world import card, first_lane, provenance

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "lm_eval_smollm2"
EXAM = load_benchmark("demo", ["arithmetic"]).exams["arithmetic"]
ASKED = Conditions(shots=5, limit=20)
# Of `results_*.json`, what the harness's own tables, cards and trackers look at.
READ = {
    "results", "groups", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "config",
    "git_hash", "date", "task_hashes", "model_source", "model_name", "model_name_sanitized", "chat_template",
}  # fmt: skip
OF_A_TASK = {
    "task", "dataset_path", "dataset_name", "test_split", "fewshot_split", "doc_to_text", "doc_to_target",
    "doc_to_choice", "description", "target_delimiter", "fewshot_delimiter", "fewshot_config", "num_fewshot",
    "metric_list", "output_type", "repeats", "should_decontaminate", "metadata",
}  # fmt: skip
OF_A_RUN = {
    "model", "model_args", "model_dtype", "model_revision", "model_sha", "batch_size", "batch_sizes", "device",
    "use_cache", "limit", "apply_chat_template", "bootstrap_iters", "gen_kwargs",
}  # fmt: skip
numbers = count()


def theirs(scoring: Scoring) -> list[dict[str, Any]]:
    kind = "_continuation" if scoring is Scoring.TEXT else ""
    (file,) = SAMPLES.glob(f"samples_demo_arithmetic{kind}_2026*.jsonl")
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def chatml(messages: Sequence[Message]) -> str:
    return "".join(f"<{message.role}>{message.content}" for message in messages)


def sit(
    store: Store,
    conditions: Conditions,
    model: str = "org/SmolLM2",
    quant: Quant = Quant.NONE,
    window_tokens: int = 10**6,
) -> int:
    """A done Run on the demo exam with the harness's own log-probabilities; returns its sweep."""
    save_exam(store, EXAM)
    ref = ModelRef(model, ModelSource.HUB, "abc123")
    spec = RunSpec(ref, quant, Device.CPU, DType.AUTO, "demo", EXAM.subject, EXAM.content_hash, 20, conditions)
    request = SweepRequest((model,), (quant,), "demo", (EXAM.subject,), "cpu", DType.AUTO, conditions)
    sweep_id = submit(store, request, [spec], fresh=True).sweep_id
    claim = runs.claim_best(store, card(f"cpu@here:{next(numbers)}"), None, first_lane, 60.0)
    assert claim is not None
    runs.begin(store, claim, provenance())
    scores = {
        line["doc_id"]: [float(score) for score, _ in line["filtered_resps"]] for line in theirs(conditions.scoring)
    }
    prompts = [fit(EXAM, asked, conditions, len, window_tokens, chatml) for asked in EXAM.questions[:20]]
    answers = [judge(prompt, scores[prompt.question.index]) for prompt in prompts]
    runs.record(store, claim, 0, answers, Cost(1.0, 1.0))
    runs.finish(store, claim, Measures(score=Cost(2.0)))
    return sweep_id


def read(paths: Sequence[Path], start: str) -> Any:
    """The one file of the export whose name begins so: an object, or one a line."""
    (path,) = [path for path in paths if path.name.startswith(start)]
    text = path.read_text("utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("scoring", [Scoring.LETTERS, Scoring.TEXT])
def test_every_line_is_the_harnesss_own_but_for_what_only_it_knows(
    store: Store, tmp_path: Path, scoring: Scoring
) -> None:
    sweep_id = sit(store, replace(ASKED, scoring=scoring))
    ours = read(export_lm_eval(store, [sweep_id], tmp_path), "samples_demo_arithmetic")
    for place, (line, own) in enumerate(zip(ours, theirs(scoring), strict=True)):
        for each in ("resps", "filtered_resps"):  # whether an option would have been generated greedily
            own[each] = json.loads(json.dumps(own[each]).replace('"True"', '"None"').replace('"False"', '"None"'))
        if place >= 2:  # the data keeps the prompts of the first two
            for argument in line["arguments"].values():
                argument["arg_0"] = ""
        assert list(line) == list(own)
        assert line == own


def test_results_are_what_the_harnesss_tables_are_made_of(store: Store, tmp_path: Path) -> None:
    sweep_id = sit(store, replace(ASKED, scoring=Scoring.TEXT), quant=Quant.FOUR_BIT)
    found = read(paths := export_lm_eval(store, [sweep_id], tmp_path), "results_")
    task, lines = "demo_arithmetic_continuation", theirs(Scoring.TEXT)
    assert set(found) >= READ
    assert {path.parent.name for path in paths} == {"org__SmolLM2__4bit"}
    for name in (task, "demo"):
        metrics = found["results"][name]
        assert metrics["acc,none"] == sum(line["acc"] for line in lines) / 20
        assert metrics["acc_norm,none"] == sum(line["acc_norm"] for line in lines) / 20
        assert metrics["acc_stderr,none"] == pytest.approx(
            (metrics["acc,none"] * (1 - metrics["acc,none"]) / 19) ** 0.5
        )
    assert found["group_subtasks"] == {"demo": [task]}
    assert found["n-samples"] == {task: {"original": 40, "effective": 20}}
    assert found["n-shot"] == {task: 5}
    assert found["configs"][task]["output_type"] == "multiple_choice"
    assert set(found["configs"][task]) == OF_A_TASK
    assert set(found["config"]) == OF_A_RUN


@pytest.mark.parametrize(("scoring", "options"), [(Scoring.LETTERS, list("ABCD")), (Scoring.TEXT, "{{choices}}")])
def test_a_tasks_options_are_as_many_letters_as_its_widest_question_has_or_the_texts(
    store: Store, tmp_path: Path, scoring: Scoring, options: object
) -> None:
    sweep_id = sit(store, replace(ASKED, scoring=scoring))
    (config,) = read(export_lm_eval(store, [sweep_id], tmp_path), "results_")["configs"].values()
    assert config["doc_to_choice"] == options


def test_what_is_exported_is_imported_and_verified(store: Store, tmp_path: Path) -> None:
    sweep_id = sit(store, replace(ASKED, scoring=Scoring.TEXT))
    samples = [path for path in export_lm_eval(store, [sweep_id], tmp_path) if path.suffix == ".jsonl"]
    (panel,) = read_foreign(samples).panels
    assert (panel.terms.shots, panel.terms.chat_template) == (5, False)
    assert panel.terms.scoring == Scoring.TEXT
    assert panel.accuracies_norm is not None
    right = [sum(line[metric] for line in theirs(Scoring.TEXT)) / 20 for metric in ("acc", "acc_norm")]
    assert [panel.accuracies[0].estimate, panel.accuracies_norm[0].estimate] == right
    (record,) = records.runs(store, [sweep_id])
    assert [record.correct / 20, record.correct_norm / 20] == right
    theirs_again = [sample for file in read_samples([tmp_path]).files for sample in file.samples]
    found = verify(store, theirs_again, Selection(), 0.0)
    assert (found.passed, found.largest, len(found.pairs)) == (True, 0.0, 20)


def test_a_chats_prompts_stay_empty_and_its_options_have_no_space(store: Store, tmp_path: Path) -> None:
    sweep_id = sit(store, replace(ASKED, chat_template=True))
    first = read(export_lm_eval(store, [sweep_id], tmp_path), "samples_")[0]
    assert [tuple(each.values()) for each in first["arguments"].values()] == [("", letter) for letter in "ABCD"]
    assert len(first["prompt_hash"]) == 64


@pytest.mark.parametrize("chat", [True, False])
def test_what_is_imported_of_an_export_knows_its_conditions(store: Store, tmp_path: Path, chat: bool) -> None:
    sweep_id = sit(store, replace(ASKED, chat_template=chat), quant=Quant.FOUR_BIT)
    export_lm_eval(store, [sweep_id], tmp_path)
    (panel,) = read_foreign([tmp_path]).panels
    assert (panel.terms.shots, panel.terms.chat_template) == (5, chat)
    (who,) = panel.contestants
    assert (who.quant, who.revision, who.dtype) == ("4bit", "abc123", provenance().dtype.value)
    assert who.model == "org__SmolLM2"


def test_an_answer_whose_shots_were_dropped_is_exported_with_its_own_prompt(store: Store, tmp_path: Path) -> None:
    sweep_id = sit(store, ASKED, window_tokens=420)
    shots = {row.question_index: row.shots for row in export_rows(store, [sweep_id])}
    assert set(shots.values()) == {3, 4, 5}
    for line in read(export_lm_eval(store, [sweep_id], tmp_path), "samples_"):
        prompt = line["arguments"]["gen_args_0"]["arg_0"]
        assert prompt.count("Answer:") == shots[line["doc_id"]] + 1
        assert hashlib.sha256(prompt.encode()).hexdigest() == line["prompt_hash"]


def test_contestants_and_sweeps_have_files_of_their_own(store: Store, tmp_path: Path) -> None:
    sweeps = [sit(store, ASKED), sit(store, ASKED), sit(store, ASKED, "org__SmolLM2")]
    paths = export_lm_eval(store, sweeps, tmp_path)
    assert len({path for path in paths if path.name.startswith("results_")}) == 3
    assert {path.parent.name for path in paths} == {"org__SmolLM2", "org__SmolLM2__2"}


def test_nothing_is_written_over_without_force(store: Store, tmp_path: Path) -> None:
    sweep_id = sit(store, ASKED)
    first = export_lm_eval(store, [sweep_id], tmp_path)
    with pytest.raises(BadInput, match="exists"):
        export_lm_eval(store, [sweep_id], tmp_path)
    assert export_lm_eval(store, [sweep_id], tmp_path, force=True) == first
