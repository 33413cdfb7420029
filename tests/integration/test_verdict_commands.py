"""`compare`, `quant`, `overlap`, `suspects`, `show` and `import` as a person types them, on a database with a sweep."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from proctor.cli import COMMANDS, command, run
from proctor.errors import AmbiguousName, BadInput, ProctorError, UnknownName
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Quant
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.reads.records import progress
from tests.support import shared_data
from tests.sweeps import Sat, sit_sweep

Typed = Callable[..., str]
WIDE = """subject,question,A,B,C,D,answer,strong,good,weak
law,Is it?,yes,no,maybe,never,A,B,B,A
law,Was it?,yes,no,maybe,never,A,A,A,C
law,Will it?,yes,no,maybe,never,B,B,B,
art,Who?,me,you,him,her,C,C,C,C
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sweeps `trial`, `unshot` under other terms, `before` and `after` of one model, and `again`, the latest."""
    folder = tmp_path_factory.mktemp("home")
    with open_store(Settings.read({"PROCTOR_HOME": str(folder)})) as store:
        sit_sweep(store, Sat())
        sit_sweep(store, Sat(conditions=Conditions(shots=0), name="unshot"))
        for name, seed in (("before", 5), ("after", 6)):
            sit_sweep(store, Sat(models=("org/One",), skill=(0.5,), quants=(Quant.NONE,), name=name), seed=seed)
        sit_sweep(store, Sat(name="again"), seed=3)
    return folder


def answer(name: str, *words: str) -> str:
    """What the command prints; its own errors are raised."""
    result: Result = CliRunner().invoke(command(COMMANDS[name]), list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def typed_raising(name: str, *words: str) -> None:
    """The command, with click's own errors raised too."""
    command(COMMANDS[name]).main(list(words), standalone_mode=False)


@pytest.fixture
def typed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setenv("PROCTOR_HOME", str(home))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)
    return answer


def test_compare_says_who_is_better_and_what_it_rests_on(typed: Typed) -> None:
    said = typed("compare", "Small", "Large", "-s", "trial")
    assert said.startswith("Large is better than Small by")
    assert "mid-p McNemar" in said
    assert "smallest detectable difference" in said
    assert "Gained: questions that only Large has right." in said


def test_compare_turned_round_is_the_same_difference(typed: Typed) -> None:
    there = json.loads(typed("compare", "Small", "Large", "-s", "trial", "--json"))
    back = json.loads(typed("compare", "Large", "Small", "-s", "trial", "--json"))
    assert (there["lost"], there["gained"]) == (back["gained"], back["lost"])
    assert there["change"] == pytest.approx(-back["change"])
    assert there["p"] == pytest.approx(back["p"])
    assert (there["verdict"], back["verdict"]) == ("better", "worse")
    assert sum(subject["gained"] for subject in there["subjects"]) == there["gained"] == len(there["gained_questions"])


def test_compare_takes_a_quantization_behind_a_colon(typed: Typed) -> None:
    found = json.loads(typed("compare", "org/Large", "large:4BIT", "-s", "trial", "--json"))
    assert (found["first"], found["second"]) == ("Large", "Large 4 bit")
    assert found["verdict"] in ("cannot tell", "within the margin")


def test_compare_of_two_sweeps_names_them(typed: Typed) -> None:
    found = json.loads(typed("compare", "Large", "Large", "-s", "trial", "-s", "again", "--json"))
    assert (found["first"], found["second"]) == ("Large (trial)", "Large (again)")
    assert found["questions"] == 120


def test_compare_takes_the_sweeps_themselves_where_one_contestant_sat_each(typed: Typed) -> None:
    found = json.loads(typed("compare", "before", "after", "--json"))
    assert (found["first"], found["second"]) == ("One (before)", "One (after)")
    assert found["questions"] == found["both_right"] + found["lost"] + found["gained"] + found["both_wrong"]


def test_compare_of_a_sweep_with_several_contestants_says_who_they_are(typed: Typed) -> None:
    with pytest.raises(BadInput, match="trial has 4 contestants: Small, Small 4 bit, Large") as caught:
        typed("compare", "trial", "again")
    assert "--sweep trial" in caught.value.next_step


def test_compare_refuses_other_terms_by_name(typed: Typed) -> None:
    with pytest.raises(ProctorError, match="shots 5 against 0"):
        typed("compare", "Large", "Large", "-s", "trial", "-s", "unshot")


TWINS = ("/w/run1/ckpt", "/w/run2/ckpt")


def test_two_models_that_end_alike_are_compared_with_each_other_and_have_one_label_everywhere(
    typed: Typed, home: Path, tmp_path: Path
) -> None:
    with open_store(Settings.read({"PROCTOR_HOME": str(home)})) as store:
        sweep = sit_sweep(store, Sat(models=TWINS, skill=(0.1, 0.9), quants=(Quant.NONE,), name="twins"))
        run_id = progress(store, sweep).runs[0].run_id
    with pytest.raises(AmbiguousName, match="'ckpt' may be run1/ckpt or run2/ckpt"):
        typed("compare", "ckpt", "ckpt", "-s", "twins")
    found = json.loads(typed("compare", "run1/ckpt", "/w/x/../run2/ckpt/", "-s", "twins", "--json"))
    assert (found["first"], found["second"], found["verdict"]) == ("run1/ckpt", "run2/ckpt", "better")
    shown = json.loads(typed("show", "law:7", "-s", "twins", "--json"))["answers"]
    assert {each["contestant"] for each in shown} == {"run1/ckpt", "run2/ckpt"}
    assert "run1/ckpt" in typed("report", "twins", "-o", str(tmp_path / "report"), "--format", "html")
    status = json.loads(typed("status", "twins", "--json"))
    assert {run["label"] for run in status["runs"]} == {"run1/ckpt", "run2/ckpt"}
    assert "run1/ckpt, astronomy" in typed("attempts", str(run_id))
    typed("export", "twins", "--format", "questions", "-o", str(tmp_path / "questions"))
    assert any(path.name.startswith("run2-ckpt_law_") for path in (tmp_path / "questions").iterdir())


def test_every_command_says_which_set_is_which_where_an_exam_has_changed(
    typed: Typed, home: Path, tmp_path: Path
) -> None:
    models, skill = ("org/A", "org/B", "org/C"), (0.2, 0.4, 0.6)
    with open_store(Settings.read({"PROCTOR_HOME": str(home)})) as store:
        for name, mended in (("old-key", ()), ("new-key", ("law",))):
            sit_sweep(store, Sat(models=models, skill=skill, quants=(Quant.NONE,), mended=mended, name=name))
    terms = "mmlu, 5 shots, no chat template, prompt mmlu-1.0"
    sets = [f"Set 1: {terms}; newest content of law", f"Set 2: {terms}; older content of law"]
    for words in (["overlap"], ["suspects"], ["report", "-o", str(tmp_path / "report"), "--format", "csv"]):
        said = typed(*words, "old-key", "new-key")
        assert all(one in said for one in sets)
    shown = typed("show", "law:7", "-s", "old-key", "-s", "new-key")
    assert sets[0] in shown
    assert "* C. option c" in shown
    with pytest.raises(ProctorError, match="another exam content in law"):
        typed("compare", "A", "A", "-s", "old-key", "-s", "new-key")


def test_compare_leaves_out_what_was_put_after_other_numbers_of_shots_and_says_so(typed: Typed, home: Path) -> None:
    models, skill = ("org/Narrow", "org/Slim", "org/Wide"), (0.2, 0.4, 0.6)
    dropped = {"org/Narrow": 10, "org/Slim": 40}
    with open_store(Settings.read({"PROCTOR_HOME": str(home)})) as store:
        sit_sweep(store, Sat(models=models, skill=skill, quants=(Quant.NONE,), dropped=dropped, name="windows"))
    said = typed("compare", "Narrow", "Wide", "-s", "windows")
    assert "90 questions that both were asked" in said
    assert "30 questions left out: put after another number of shots (Narrow 3 and Wide 5), as windows held" in said
    both = json.loads(typed("compare", "Slim", "Narrow", "-s", "windows", "--json"))
    assert both["questions"] == 30
    assert "3 shots instead of 5 on all 30 questions, for both" in both["notes"]
    with pytest.raises(ProctorError, match="3 against 5 shots shown, on no question as many"):
        typed("compare", "Slim", "Wide", "-s", "windows")


def test_a_contestant_is_not_compared_with_itself(typed: Typed) -> None:
    with pytest.raises(BadInput, match="are the same Answers of trial"):
        typed("compare", "Small", "org/Small:none", "-s", "trial")


def test_compare_takes_other_terms_that_are_asked_for_and_says_them_in_the_verdict(typed: Typed) -> None:
    across = ("compare", "Large", "Large", "-s", "trial", "-s", "unshot", "--across", "shots")
    found = json.loads(typed(*across, "--json"))
    assert (found["first"], found["second"]) == ("Large (5 shots)", "Large (0 shots)")
    assert "Large (0 shots)" in found["sentence"]
    assert "5 shots" in found["sentence"]
    assert found["questions"] == 120
    assert "(mmlu, 5 shots, no chat template, prompt mmlu-1.0, against mmlu, 0 shots," in typed(*across)
    with pytest.raises(BadInput, match="don't differ in template: no chat template, both"):
        typed(*across, "--across", "template")
    with pytest.raises(ProctorError) as caught:
        typed(*across[:-2])
    assert isinstance(caught.value, BadInput)
    assert "say --across shots" in caught.value.next_step
    with pytest.raises(ProctorError, match="shots 5 against 0"):
        typed(*across[:-1], "prompts")


def test_an_unknown_contestant_is_offered_the_nearest(typed: Typed) -> None:
    with pytest.raises(UnknownName, match="Did you mean Large"):
        typed("compare", "Larg", "Small", "-s", "trial")


def test_quant_has_a_row_a_quantization(typed: Typed) -> None:
    ((first, second),) = json.loads(typed("quant", "trial", "--json", "--margin", "2"))
    assert {first["quantized"], second["quantized"]} == {"Small 4 bit", "Large 4 bit"}
    assert first["KL, nats"] > 0


def test_overlap_puts_quantizations_of_one_model_first(typed: Typed) -> None:
    (pairs,) = json.loads(typed("overlap", "trial", "--json"))
    assert len(pairs) == 6
    for pair in pairs[:2]:
        assert pair["first"].split()[0] == pair["second"].split()[0]


def test_show_prints_the_question_and_every_answer(typed: Typed) -> None:
    said = typed("show", "law:7", "-s", "trial")
    assert "law question 7?" in said
    assert "* B. option b" in said
    assert "Large 4 bit" in said
    asked = json.loads(typed("show", "law:7", "-s", "trial", "--json"))
    assert len(asked["answers"]) == 4
    assert sum(asked["answers"][0][letter] for letter in "ABCD") == pytest.approx(1)


def test_an_unknown_question_is_an_error_with_a_next_step(typed: Typed) -> None:
    with pytest.raises(UnknownName, match="SUBJECT:INDEX"):
        typed("show", "lw:7", "-s", "trial")


def test_imported_results_are_known_to_every_command(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "others.csv"
    file.write_text(WIDE)
    assert "4 questions in 2 subjects, 3 models" in typed("import", str(file), "--force")
    assert json.loads(typed("compare", "strong", "weak", "-s", "others", "--json"))["questions"] == 4
    (suspects,) = json.loads(typed("suspects", "others", "--json"))
    assert [lead["question"] for lead in suspects if lead["margin"] > 0] == ["Is it?"]
    assert suspects[0]["votes, key first"] == "A 1, B 2"
    assert {lead["question"] for lead in suspects} == {"Is it?", "Was it?", "Will it?", "Who?"}
    assert [lead["score"] for lead in suspects] == sorted((lead["score"] for lead in suspects), reverse=True)
    assert "Was it?" not in typed("suspects", "others")
    assert "strong" in typed("report", "others", "-o", str(tmp_path / "report"), "--format", "html")
    with pytest.raises(ProctorError, match="imported already"):
        typed("import", str(file))


def test_imported_results_are_listed_shown_exported_and_deleted(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "kept.csv"
    file.write_text(WIDE + "art,Who?,me,you,him,her,C,C,C,A\n")
    typed("import", str(file), "--force")
    assert "kept" in typed("imports", "list")
    assert json.loads(typed("imports", "list", "--json"))[0]["name"] == "kept"
    said = typed("imports", "show", "kept")
    assert "4 questions in 2 subjects, 3 models" in said
    assert "1 row dropped" in said
    assert json.loads(typed("imports", "show", "kept", "--json"))["sets"][0]["contestants"] == [
        "strong",
        "good",
        "weak",
    ]
    rows = [json.loads(line) for line in typed("export", "kept", "--format", "jsonl", "-o", "-").splitlines()]
    weak = [row for row in rows if row["model"] == "weak"]
    assert [(row["subject"], row["picked"], row["correct"]) for row in weak] == [
        ("law", 0, True), ("law", 2, False), ("law", None, False), ("art", 2, True)
    ]  # fmt: skip
    assert (weak[0]["shots"], weak[0]["prompt_hash"], weak[0]["options_logprob"]) == (None, None, None)
    both = typed("export", "trial", "kept", "-o", str(tmp_path / "both.parquet"))
    assert both.startswith(f"{480 + 12} answers")
    with pytest.raises(click.UsageError, match="is for sweeps"):
        typed_raising("export", "kept", "--format", "lm-eval")
    assert "kept is deleted" in typed("imports", "delete", "kept")
    for words in (("show", "kept"), ("delete", "kept"), ("delete", "../kept")):
        with pytest.raises(UnknownName, match="imported results"):
            typed("imports", *words)


def test_an_export_is_imported_into_another_database_as_the_sweep_that_it_was(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = typed("report", "trial", "-o", str(tmp_path / "here"))
    typed("export", "trial", "before", "after", "-o", str(tmp_path / "some.parquet"))
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path / "elsewhere"))
    said = typed("import", str(tmp_path / "some.parquet"))
    assert said.splitlines() == [
        "Sweep 1 (trial): 12 Runs, 480 answers.",
        "Sweep 2 (before): 3 Runs, 120 answers.",
        "Sweep 3 (after): 3 Runs, 120 answers.",
        "Next: proctor report 1 2 3",
    ]
    there = typed("report", "trial", "-o", str(tmp_path / "there"))
    assert there.replace("/there/", "/here/") == here
    assert "Sweep 1 (trial) is here already: 12 Runs, 480 answers passed over." in typed(
        "import", str(tmp_path / "some.parquet")
    )
    told = json.loads(typed("import", str(tmp_path / "some.parquet"), "--json"))
    assert [(each["name"], each["known"]) for each in told["sweeps"]] == [
        ("trial", True), ("before", True), ("after", True)
    ]  # fmt: skip


def test_exports_and_other_files_are_imported_apart(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text(WIDE)
    typed("export", "trial", "-o", str(tmp_path / "ours.csv"))
    with pytest.raises(BadInput, match="Import them apart"):
        typed("import", str(tmp_path / "ours.csv"), str(tmp_path / "wide.csv"))


def test_imported_results_are_never_mixed_with_a_sweep(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "foreign.csv"
    file.write_text(WIDE)
    typed("import", str(file), "--force")
    with pytest.raises(ProctorError, match="they share no question"):
        typed("compare", "Large", "weak", "-s", "trial", "-s", "foreign")


def test_an_import_says_what_it_passed_over_and_what_is_never_mixed(typed: Typed, tmp_path: Path) -> None:
    doc = {"question": "Is it?", "subject": "law", "choices": ["yes", "no"], "answer": 1}
    for model, date, hash in (("one", "01", "a"), ("one", "02", "a"), ("two", "01", "b")):
        scores = [["-2.0", "False"], ["-0.1", "True"]]
        line = {"doc_id": 0, "doc": doc, "filtered_resps": scores, "prompt_hash": hash * 64}
        (tmp_path / model).mkdir(exist_ok=True)
        file = tmp_path / model / f"samples_mmlu_law_2026-01-{date}T00-00-00.0.jsonl"
        file.write_text(f"{json.dumps(line)}\n{json.dumps(line)}\n")
    said = typed("import", str(tmp_path), "--name", "reruns", "--force")
    assert "Set 2, never mixed with the others: 1 question in 1 subject, 1 model (lm-evaluation-harness" in said
    assert "Note: samples_mmlu_law_2026-01-01T00-00-00.0.jsonl of one is passed over" in said
    assert said.count("1 row dropped, which is a copy") == 2
    told = json.loads(typed("import", str(tmp_path), "--name", "reruns", "--force", "--json"))
    assert (told["name"], len(told["notes"])) == ("reruns", 3)
    assert [one["contestants"] for one in told["sets"]] == [["one"], ["two"]]
    typed("report", "reruns", "-o", str(tmp_path / "report"), "--format", "html")
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "is passed over" in page
    assert "another prompt for 1 of the 1 questions that are in both" in page


def test_samples_of_the_harness_are_read_with_their_probabilities(typed: Typed, tmp_path: Path) -> None:
    folder = tmp_path / "my__model"
    folder.mkdir()
    doc = {"question": "Is it?", "subject": "law", "choices": ["yes", "no"], "answer": 1}
    good = {"doc_id": 0, "doc": doc, "filtered_resps": [["-2.0", "False"], ["-0.1", "True"]]}
    tie = {"doc_id": 1, "doc": doc | {"question": "Was it?"}, "resps": [[[-0.7, False]], [[-0.7, False]]]}
    file = folder / "samples_mmlu_law_2026-01-01T00-00-00.jsonl"
    file.write_text(f"{json.dumps(good)}\n{json.dumps(tie)}\n")
    typed("import", str(file), "--name", "mine", "--force")
    first = json.loads(typed("show", "law:0", "-s", "mine", "--json"))["answers"][0]
    assert (first["contestant"], first["picked"], first["right"]) == ("my__model", "B", True)
    assert first["B"] == pytest.approx(0.8699, abs=1e-4)
    assert json.loads(typed("show", "law:1", "-s", "mine", "--json"))["answers"][0]["picked"] == "–"


def test_compare_says_what_is_right_per_character_and_what_is_tied(typed: Typed, tmp_path: Path) -> None:
    """Two letters are likelier than ten as a whole, or as likely, and by the character far less."""
    doc = {"question": "Is it?", "subject": "law", "choices": ["no", "absolutely"], "answer": 1}
    asked = {"gen_args_0": {"arg_0": "p", "arg_1": " no"}, "gen_args_1": {"arg_0": "p", "arg_1": " absolutely"}}
    for model, score in (("one", "-2.5"), ("two", "-2.0")):
        folder = tmp_path / model
        folder.mkdir()
        scores = [["-2.0", "False"], [score, "False"]]
        line = {"doc_id": 0, "doc": doc, "arguments": asked, "filtered_resps": scores}
        (folder / "samples_mmlu_law_continuation_2026-01-01T00-00-00.jsonl").write_text(json.dumps(line) + "\n")
    typed("import", *map(str, sorted(tmp_path.glob("*/*.jsonl"))), "--name", "texts", "--force")
    said = typed("compare", "one", "two", "-s", "texts")
    assert "right per character: one 100.0 % (" in said
    assert "no single answer: one on 0, two on 1" in said
    told = json.loads(typed("compare", "one", "two", "-s", "texts", "--json"))
    assert (told["accuracies_norm"], told["no_single_answer"]) == ([1.0, 1.0], [0, 1])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.jsonl", '{"doc": 1}\n', "line 1 is no multiple-choice sample"),
        ("x.jsonl", "\n", "holds no sample"),
        ("x.txt", "hello", "can't be imported"),
        ("x.csv", "a,b\n1,2\n", "lacks the columns"),
    ],
)
def test_what_is_no_result_is_refused(name: str, text: str, said: str, typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ProctorError, match=said):
        typed("import", str(file), "--force")


def test_a_failure_is_a_message_and_an_exit_code(
    typed: Typed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["compare", "Nobody", "Large"])
    assert run(command(COMMANDS["compare"]), "proctor compare") == 2
    assert "Unknown contestant 'Nobody'" in capsys.readouterr().err


def test_the_helm_results_keep_their_figures_through_an_import(typed: Typed) -> None:
    typed("import", str(shared_data("predictions/helm_mmlu.csv")), "--name", "helm", "--force")
    (pairs,) = json.loads(typed("overlap", "helm", "--json"))
    assert [round(pair["kappa"], 2) for pair in pairs[:2]] == [0.92, 0.79]
    (leads,) = json.loads(typed("suspects", "helm", "--json"))
    assert leads[0]["subject"] == "virology"
