"""An imported contestant against one of a sweep: real samples of lm-evaluation-harness, and what isn't comparable."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.data.terms import Condition
from analysis.exchange.imports import read_foreign
from analysis.report.comparison import as_object, summary
from analysis.verdict_cli import CONDITIONS
from analysis.verdicts.candidates import Candidate, roll_of_panels, roll_of_sweep
from analysis.verdicts.compare import Comparison, NotComparable, compare, named_across
from proctor.errors import BadInput
from proctor.nouns.exams import Scoring
from proctor.store.database.session import Store
from tests.integration.test_export_lm_eval import ASKED, SAMPLES, sit

Line = dict[str, Any]
FILE = "samples_demo_arithmetic_2026-11-24T18-03-41.336751.jsonl"


def imported(*paths: Path, model: str | None = None) -> Candidate:
    return roll_of_panels(read_foreign(paths, model).panels, "theirs").only()


def changed(folder: Path, change: Callable[[int, Line], Line]) -> Path:
    """A copy of the real file with its lines changed."""
    lines = [json.loads(line) for line in (SAMPLES / FILE).read_text("utf-8").splitlines()]
    path = folder / FILE
    path.write_text("".join(json.dumps(change(place, line)) + "\n" for place, line in enumerate(lines)), "utf-8")
    return path


def ours(store: Store, **conditions: Any) -> Candidate:
    return roll_of_sweep(store, str(sit(store, replace(ASKED, **conditions)))).only()


def against(store: Store, theirs: Candidate) -> Comparison:
    return compare(theirs, ours(store), 0.01)


@pytest.mark.parametrize("scoring", [Scoring.LETTERS, Scoring.TEXT])
def test_a_real_import_at_5_shots_compares_with_our_runs_and_says_what_it_stands_on(
    store: Store, scoring: Scoring
) -> None:
    name = FILE.replace("_2026", "_continuation_2026") if scoring is Scoring.TEXT else FILE
    theirs = imported(SAMPLES / name)
    assert (theirs.panel.terms.shots, theirs.panel.terms.chat_template) == (5, False)  # from their prompts
    for first, second in ((theirs, ours(store, scoring=scoring)), (ours(store, scoring=scoring), theirs)):
        found = compare(first, second, 0.01)
        assert found.verdict.pair.asked == 20
        assert (found.lost, found.gained) == ([], [])
        assert found.panel.terms.prompt_version == "mmlu-1.0"
        assert as_object(found)["prompts"] == {"equal": 20, "other": 0, "unknown": 0}
        kind = ", scored by text" if scoring is Scoring.TEXT else ""
        assert found.notes == (
            f"lm_eval_smollm2 is imported: lm-evaluation-harness, imported, 5 shots, no chat template{kind}",
            "the same prompt, to the byte, on all 20 questions (SHA-256)",
        )
        assert set(found.notes) < set(summary(found))


def test_other_shots_are_refused_by_name_where_the_prompts_tell_them(store: Store) -> None:
    with pytest.raises(NotComparable, match="shots 5 against 0"):
        compare(imported(SAMPLES / FILE), ours(store, shots=0), 0.01)


def test_other_prompts_are_refused_where_nothing_else_tells_the_conditions(store: Store, tmp_path: Path) -> None:
    """Without their text, the prompts' hashes alone say that ours were others: here, 0 shots."""
    theirs = imported(changed(tmp_path, lambda _, line: line | {"arguments": {}}))
    assert theirs.panel.terms.unknown == ("shots", "chat template", "scoring")
    assert compare(theirs, ours(store), 0.01).verdict.pair.asked == 20
    with pytest.raises(NotComparable, match="another prompt on all 20 questions"):
        compare(theirs, ours(store, shots=0), 0.01)


def test_what_was_asked_in_other_ways_compares_where_that_is_asked_for(store: Store, tmp_path: Path) -> None:
    """Letters against text has no accuracy per character; prompts that nobody can explain are named as such."""
    letters, texts = imported(SAMPLES / FILE), imported(SAMPLES / FILE.replace("_2026", "_continuation_2026"))
    across = (Condition.SCORING,)
    found = compare(*named_across(letters, texts, across), 0.01, across)
    assert found.verdict.pair.asked == 20
    assert (found.first, found.second) == ("lm_eval_smollm2 (by letters)", "lm_eval_smollm2 (by text)")
    assert found.panel.accuracies_norm is None
    assert "another prompt on all 20 questions, compared across scoring" in found.notes
    theirs = imported(changed(tmp_path, lambda _, line: line | {"arguments": {}}), model="theirs")
    with pytest.raises(NotComparable) as caught:
        compare(theirs, ours(store, shots=0), 0.01)
    assert "say --across prompts" in caught.value.next_step
    found = compare(theirs, ours(store, shots=0), 0.01, (Condition.PROMPTS,))
    assert found.verdict.pair.asked == 20


def test_conditions_of_the_command_are_those_of_the_terms() -> None:
    assert tuple(Condition) == CONDITIONS


def test_questions_in_another_prompt_are_left_out_and_counted(store: Store, tmp_path: Path) -> None:
    def reword(place: int, line: Line) -> Line:
        return line | ({"prompt_hash": "f" * 64} if place < 3 else {"prompt_hash": "?"} if place < 5 else {})

    found = against(store, imported(changed(tmp_path, lambda n, line: reword(n, line) | {"arguments": {}})))
    assert found.verdict.pair.asked == 15
    assert "5 questions left out: not known to have been put in the same prompt" in found.notes


def test_prompts_that_nobody_knows_are_said_to_be_unknown(store: Store, tmp_path: Path) -> None:
    found = against(
        store, imported(changed(tmp_path, lambda _, line: line | {"arguments": {}, "prompt_hash": ""}), model="theirs")
    )
    assert found.verdict.pair.asked == 20
    assert found.notes == (
        "theirs is imported: lm-evaluation-harness, imported, not known: shots, chat template, scoring",
        "prompts of all 20 questions are not known: they may have been put in other words",
    )


def test_imports_with_another_key_for_the_same_question_are_not_comparable(store: Store, tmp_path: Path) -> None:
    def mend(place: int, line: Line) -> Line:
        return line | {"doc": line["doc"] | {"answer": (line["doc"]["answer"] + 1) % 4}} if place == 7 else line

    with pytest.raises(NotComparable, match="another answer key for the same questions"):
        against(store, imported(changed(tmp_path, mend)))


def test_two_chat_templates_are_compared_and_the_prompts_said_to_be_each_models_own(
    store: Store, tmp_path: Path
) -> None:
    path = changed(tmp_path, lambda _, line: line | {"arguments": {}})
    results = {"n-shot": {"demo_arithmetic": 5}, "chat_template": "{{ messages }}"}
    path.with_name(FILE.replace("samples_demo_arithmetic", "results")[:-1]).write_text(json.dumps(results))
    found = compare(imported(path), ours(store, chat_template=True), 0.01)
    assert found.verdict.pair.asked == 20
    assert "another prompt on all 20 questions, as each model's chat template has it" in found.notes


def test_a_csv_compares_on_questions_and_keys_alone_and_says_so(store: Store, tmp_path: Path) -> None:
    lines = [json.loads(line)["doc"] for line in (SAMPLES / FILE).read_text("utf-8").splitlines()]
    rows = [
        ",".join([doc["subject"], f'"{doc["question"]}"', *doc["choices"], "ABCD"[doc["answer"]], "A"]) for doc in lines
    ]
    path = tmp_path / "helm.csv"
    path.write_text("\n".join(["subject,question,A,B,C,D,answer,guesser", *rows]) + "\n", "utf-8")
    found = against(store, imported(path))
    assert found.verdict.pair.asked == 20
    assert found.notes == (
        "guesser is imported: helm, imported, not known: shots, chat template, scoring",
        "prompts of all 20 questions are not known: they may have been put in other words",
    )


def test_one_that_answered_under_several_conditions_is_no_one_contestant(tmp_path: Path) -> None:
    two = (
        read_foreign([changed(tmp_path, lambda _, line: line)], "m").panels
        + read_foreign([changed(tmp_path, lambda n, line: line | {"prompt_hash": f"{n:064x}"})], "m").panels
    )
    with pytest.raises(BadInput, match="m answered in 2 sets of theirs that don't mix"):
        roll_of_panels(two, "theirs").candidate("m", Path("/"))
