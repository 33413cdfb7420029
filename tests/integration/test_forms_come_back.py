"""Exams in a form, exported and imported: questions, form, replies and marks are what they were."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from analysis.data.results import read_results
from analysis.exchange.export import export_questions, export_to_file
from analysis.exchange.exported import read_export
from analysis.exchange.lm_eval_export import export_lm_eval
from analysis.exchange.lm_eval_lines import read_lines
from analysis.exchange.lm_eval_samples import found_in
from analysis.exchange.merging import merge
from analysis.exchange.verify import Selection
from analysis.exchange.verify_forms import verify_forms
from proctor.errors import BadExam, BadInput
from proctor.exams.reading.identity import prompt_hash, question_id
from proctor.exams.tasks.asking import FORM_VERSION
from proctor.exams.tasks.form import Form, Headline, Kind, Metric, read_form
from proctor.nouns.exams import Answer, Ask, Conditions, Exam, Question, Scoring, Written
from proctor.nouns.runs import Claim
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.reads.export import export_rows
from proctor.store.runs.exams import load_exam, save_exam
from tests import in_forms


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "other"
    folder.mkdir()
    with open_store(Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}")) as opened:
        yield opened


def stored(store: Store, exam: Exam) -> Exam:
    return load_exam(store, exam.benchmark, exam.subject, exam.content_hash)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_exams_in_a_form_come_back_with_all_that_their_questions_have(
    kind: str, store: Store, other: Store, tmp_path: Path
) -> None:
    sent = in_forms.sit_forms(store)
    export_to_file(store, [sent], kind, tmp_path / f"sent.{kind}")
    (came,) = merge(other, read_export(tmp_path / f"sent.{kind}").sat)
    here, there = records.runs(store, [sent]), records.runs(other, [came.sweep_id])
    assert [asdict(replace(one, run_id=0, sweep_id=0)) for one in there] == [
        asdict(replace(one, run_id=0, sweep_id=0)) for one in here
    ]
    for made in in_forms.ALL:
        assert stored(other, made()) == replace(made(), dev=())  # the examples before the questions don't come along
    export_to_file(other, [came.sweep_id], kind, tmp_path / f"back.{kind}")
    assert (tmp_path / f"back.{kind}").read_bytes() == (tmp_path / f"sent.{kind}").read_bytes()


@pytest.mark.parametrize("raw", [False, True])
def test_texts_with_apostrophes_before_formulas_come_back_to_the_letter(
    store: Store, other: Store, tmp_path: Path, raw: bool
) -> None:
    form = replace(read_form(in_forms.sums().form), chains=(in_forms.FIRST,), headline=Headline("exact_match", "none"))
    odd = ("'=1+1", "=1+1", "''-x", "@y", "'z")
    asked = [
        Question(question_id("sums", f"Say {n}.", ()), n, f"Say {n}.", reference=text) for n, text in enumerate(odd)
    ]
    paper = in_forms.exam("sums", form, asked)

    def said(held: Claim, exam: Exam, _skill: float) -> list[Answer]:
        model = Repeater()
        return [in_forms.answered(exam, one, held.spec.conditions, model) for one in exam.questions]

    conditions = Conditions(0, prompt_version=FORM_VERSION, scoring=Scoring.WRITTEN)
    sent = in_forms.sit_as(store, "odd", [(paper, conditions)], said)
    export_to_file(store, [sent], "csv", tmp_path / "odd.csv", raw=raw)
    (came,) = merge(other, read_export(tmp_path / "odd.csv").sat)
    assert stored(other, paper) == paper
    rows = list(export_rows(other, [came.sweep_id]))
    assert [(row.extracted, row.points) for row in rows] == [(text, 1.0) for text in odd] * 3


class Repeater(in_forms.Model):
    """Replies what is right."""

    def __init__(self) -> None:
        super().__init__(1.0, 0)

    def reply(self, question: Question, _asked: Ask) -> Written:
        return Written(question.reference)


def test_what_came_without_its_examples_is_filled_by_a_submission(store: Store, other: Store, tmp_path: Path) -> None:
    sent = in_forms.sit_forms(store, made=[in_forms.sums()])
    export_to_file(store, [sent], "jsonl", tmp_path / "sent.jsonl")
    merge(other, read_export(tmp_path / "sent.jsonl").sat)
    save_exam(other, in_forms.sums())
    assert stored(other, in_forms.sums()) == in_forms.sums()


def test_a_changed_pick_or_mark_of_an_exam_in_a_form_is_refused(store: Store, tmp_path: Path) -> None:
    sent = in_forms.sit_forms(store, made=[in_forms.colours()])
    path = tmp_path / "sent.jsonl"
    export_to_file(store, [sent], "jsonl", path)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    other_pick = next(n for n in range(3) if n != rows[1]["picked"])
    for change, said in (
        ({"picked": other_pick}, "row 2: what was picked isn't the option that scored highest"),
        ({"points": 2.0}, "row 2: it is no row of an export"),
        ({"options_logprob": [-1.0]}, "row 2: it has no log-probability of each option"),
        ({"opening": "It was"}, "row 2: its question isn't the one that its id says"),
    ):
        changed = [row | change if place == 1 else row for place, row in enumerate(rows)]
        path.write_text("".join(json.dumps(row) + "\n" for row in changed), "utf-8")
        with pytest.raises(BadInput, match=said):
            read_export(path)


def test_question_files_say_what_of_each_kind_was_asked_and_answered(store: Store, tmp_path: Path) -> None:
    files = export_questions(store, [in_forms.sit_forms(store)], tmp_path / "out")
    by_subject = {found["subject"]: found for path in files if (found := json.loads(path.read_text("utf-8")))}
    assert set(by_subject) == {one().subject for one in in_forms.ALL}
    assert by_subject["endings"]["perplexity"] > 1
    assert "tied" not in by_subject["sums"]
    assert by_subject["sums"]["unanswered"] == sum(
        one["predicted_answer"] is None for one in by_subject["sums"]["questions"]
    )
    colours, gaps = by_subject["colours"]["questions"][0], by_subject["gaps"]["questions"][0]
    assert (colours["correct_answers"], colours["answer_begins"]) == (["A", "C"], "It is")
    assert gaps["contexts"] == gaps["choices"]
    assert 0 < by_subject["shares"]["questions"][0]["points"] < 1
    assert by_subject["endings"]["questions"][0]["correct_answer"] == " 0"


def test_what_several_options_answer_is_right_wherever_it_is_counted(store: Store) -> None:
    sent = in_forms.sit_forms(store, made=[in_forms.colours()])
    (panel,) = read_results(store, [sent]).panels
    assert panel.right_options.sum(axis=1).tolist() == [2, 1, 1] * 4
    assert panel.chance == pytest.approx((2 / 3 + 1 / 3 + 1 / 3) / 3)
    assert (panel.has_options, panel.has_keys) == (True, False)
    assert (panel.right_options[range(12), panel.picked] == panel.correct).all()
    runs = records.runs(store, [sent])
    norm = panel.accuracies_norm
    assert norm is not None
    assert sorted(round(12 * one.estimate) for one in norm) == sorted(run.correct_norm for run in runs)


def test_pages_have_a_perplexity_by_their_words_wherever_it_is_told(store: Store, tmp_path: Path) -> None:
    sent = in_forms.sit_forms(store, made=[in_forms.pages()])
    (panel,) = read_results(store, [sent]).panels
    assert panel.perplexities is not None
    files = export_questions(store, [sent], tmp_path / "out")
    told = [json.loads(path.read_text("utf-8"))["word_perplexity"] for path in files]
    assert sorted(told) == pytest.approx(sorted(one.estimate for one in panel.perplexities))
    assert all(6 < value < 9 for value in told)
    export_lm_eval(store, [sent], tmp_path / "lm")
    (line, *_) = lines_of(tmp_path / "lm", "pages")
    assert prompt_hash(line["arguments"]["gen_args_0"]["arg_0"]) == line["prompt_hash"]
    read = [read_lines(one) for one in found_in([tmp_path / "lm" / "org__Small"])[0]]
    found = verify_forms(store, read, Selection(str(sent), "Small"), 0.0, 1.0)
    assert (found.passed, len(found.met), found.equal_share) == (True, 12, None)


def lines_of(folder: Path, task: str) -> list[dict[str, Any]]:
    (path,) = folder.glob(f"org__Small/samples_{task}_*.jsonl")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def laid_out(store: Store, tmp_path: Path) -> Path:
    export_lm_eval(store, [in_forms.sit_forms(store)], tmp_path / "out")
    return tmp_path / "out"


def test_samples_have_a_line_a_question_and_filter_with_what_was_asked_to_the_byte(laid_out: Path) -> None:
    sums = lines_of(laid_out, "sums")
    assert [line["filter"] for line in sums] == ["strict"] * 12 + ["loose"] * 12
    for line in sums:
        (asked,) = line["arguments"].values()
        assert prompt_hash(asked["arg_0"]) == line["prompt_hash"]
        assert asked["arg_0"].count("####") == 1  # the example
        assert asked["arg_1"]["until"] == ["Question:"]
        assert "Question:" not in line["resps"][0][0]
        assert line["exact_match"] == float(line["filtered_resps"] == [line["target"]])
    gaps = lines_of(laid_out, "gaps")[1]
    assert [one["arg_0"] for one in gaps["arguments"].values()] == gaps["doc"]["contexts"]
    assert {one["arg_1"] for one in gaps["arguments"].values()} == {" was better."}
    colours, endings = lines_of(laid_out, "colours"), lines_of(laid_out, "endings")
    assert (colours[0]["target"], colours[1]["target"]) == ("[0, 2]", "1")
    assert colours[0]["doc"]["answer_begins"] == "It is"
    assert all(line["resps"][0][0][1] == str(line["acc"] == 1) for line in endings)
    assert endings[0]["perplexity"] == float(endings[0]["resps"][0][0][0])


def test_results_sum_up_each_metric_on_each_filter_as_its_samples_do(laid_out: Path, store: Store) -> None:
    (path,) = laid_out.glob("org__Small/results_*.json")
    found = json.loads(path.read_text("utf-8"))
    assert (
        found["results"]["sums"]["exact_match,loose"]
        == sum(line["exact_match"] for line in lines_of(laid_out, "sums") if line["filter"] == "loose") / 12
    )
    logprobs = [line["perplexity"] for line in lines_of(laid_out, "endings")]
    assert found["results"]["endings"]["perplexity,none"] == pytest.approx(math.exp(-sum(logprobs) / 12))
    assert found["results"]["endings"]["perplexity_stderr,none"] == "N/A"
    shares = [line["mc2"] for line in lines_of(laid_out, "shares")]
    assert found["results"]["shares"]["mc2_stderr,none"] == pytest.approx(statistics.stdev(shares) / 12**0.5)
    assert found["configs"]["sums"]["generation_kwargs"]["max_gen_toks"] == 32
    assert (found["versions"]["gaps"], found["n-shot"]["sums"]) == (1.0, 1)
    assert found["higher_is_better"]["endings"] == {"perplexity": False, "acc": True}


def test_prompts_whose_examples_are_not_here_are_left_empty(store: Store, other: Store, tmp_path: Path) -> None:
    sent = in_forms.sit_forms(store, made=[in_forms.sums()])
    export_to_file(store, [sent], "jsonl", tmp_path / "sent.jsonl")
    (came,) = merge(other, read_export(tmp_path / "sent.jsonl").sat)
    export_lm_eval(other, [came.sweep_id], tmp_path / "out")
    for line in lines_of(tmp_path / "out", "sums"):
        assert [one["arg_0"] for one in line["arguments"].values()] == [""]


def test_what_only_a_running_program_could_judge_is_refused_before_anything_is_written(
    store: Store, tmp_path: Path
) -> None:
    form = Form(Kind.WRITE, (Metric("pass_at_1"),), Headline("pass_at_1", "none"), source=in_forms.source("programs"))
    sums = in_forms.sums()
    programs = in_forms.exam("programs", form, sums.questions, sums.dev)
    sent = in_forms.sit_forms(store, made=[sums, programs])
    with pytest.raises(BadExam, match="programs is judged by pass_at_1"):
        export_lm_eval(store, [sent], tmp_path / "out")
    assert not (tmp_path / "out").exists()
