"""Imports: nothing is dropped, pooled or taken for granted without a word."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.data.panel import Panel
from analysis.data.terms import UNKNOWN
from analysis.exchange.imports import FORMAT, Taken, keep, kept, place_of, read_foreign
from analysis.exchange.lm_eval_results import LARGEST
from analysis.exchange.lm_eval_samples import read_samples
from analysis.verdicts.same_prompts import why_apart
from proctor.errors import BadInput
from tests.support import shared_data

OLD, NEW = "2026-01-01T10-00-00.000000", "2026-02-01T10-00-00.000000"
HARNESS: dict[str, Any] = {
    "configs": {"mmlu_law": {"num_fewshot": 5}},
    "n-shot": {"mmlu_law": 5, "mmlu": 5},
    "config": {
        "model": "hf", "model_args": "pretrained=org/model,dtype=bfloat16,load_in_4bit=True", "batch_size": "8",
        "model_dtype": "torch.bfloat16", "model_sha": "0123abcd", "model_revision": "main",
    },
    "chat_template": None,
    "fewshot_as_multiturn": False,
}  # fmt: skip


def line(number: int, picked: int = 0, key: int = 0, prompt: str = "a", **more: object) -> dict[str, Any]:
    doc = {"question": f"Question {number}?", "subject": "law", "choices": ["one", "two", "three"], "answer": key}
    scores = [["-0.5" if option == picked else "-2.5", "False"] for option in range(3)]
    return {"doc_id": number, "doc": doc, "filtered_resps": scores, "prompt_hash": prompt * 64} | more


def write(
    folder: Path, lines: Sequence[dict[str, Any]], date: str = NEW, results: dict[str, Any] | None = None,
    task: str = "mmlu_law",
) -> Path:  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"samples_{task}_{date}.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")
    if results is not None:
        (folder / f"results_{date}.json").write_text(json.dumps(results), "utf-8")
    return path


def right(panel: Panel) -> dict[str, int]:
    """Right answers by label."""
    return dict(zip(panel.labels, panel.correct.sum(axis=1).tolist(), strict=True))


def test_of_two_dated_files_of_a_task_the_newer_counts_and_it_is_said(tmp_path: Path) -> None:
    write(tmp_path / "org__model", [line(n) for n in range(10)], OLD)
    write(tmp_path / "org__model", [line(n, picked=1) for n in range(10)], NEW)
    taken = read_foreign([tmp_path])
    (panel,) = taken.panels
    assert right(panel) == {"org__model": 0}
    assert taken.notes == (
        f"samples_mmlu_law_{OLD}.jsonl of org__model is passed over: samples_mmlu_law_{NEW}.jsonl is newer",
    )


def test_the_order_of_the_files_does_not_decide_which_rerun_counts(tmp_path: Path) -> None:
    newer = write(tmp_path / "m", [line(0, picked=1)], NEW)
    older = write(tmp_path / "m", [line(0)], OLD)
    assert right(read_foreign([newer, older]).panels[0]) == right(read_foreign([older, newer]).panels[0]) == {"m": 0}


def test_files_without_a_date_in_their_names_go_by_when_they_were_changed(tmp_path: Path) -> None:
    dated = write(tmp_path / "m", [line(0)], OLD, task="law")
    undated = dated.with_name("law.jsonl")
    undated.write_text(json.dumps(line(0, picked=2)) + "\n")
    for changed, found in ((4e9, 0), (1e9, 1)):  # 2096 and 2001
        os.utime(undated, (changed, changed))
        taken = read_foreign([dated, undated])
        assert right(taken.panels[0]) == {"m": found}
        assert len(taken.notes) == 1


def test_what_is_told_elsewhere_or_changes_no_answer_is_no_part_of_a_models_name(tmp_path: Path) -> None:
    for place, (date, more) in enumerate([(OLD, "revision=main,device=cuda:0"), (NEW, "revision=v2,device=cpu")]):
        results = HARNESS | {"config": HARNESS["config"] | {"model_args": f"pretrained=a,{more}"}}
        write(tmp_path / "a", [line(0, picked=place)], date, results)
    (panel,) = read_foreign([tmp_path]).panels
    assert panel.labels == ("a",)


WHERE_IT_RAN = (
    "batch_size", "max_batch_size", "device", "device_map", "parallelize", "max_memory_per_gpu", "max_cpu_memory",
    "offload_folder", "trust_remote_code", "use_fast_tokenizer", "logits_cache", "token", "tensor_parallel_size",
    "data_parallel_size", "gpu_memory_utilization", "num_concurrent", "max_retries", "timeout",
)  # fmt: skip


def test_where_and_how_fast_a_model_ran_is_no_part_of_its_name(tmp_path: Path) -> None:
    for place, date in enumerate((OLD, NEW)):
        said = ",".join(["pretrained=a", *(f"{name}={place}" for name in WHERE_IT_RAN)])
        results = HARNESS | {"config": HARNESS["config"] | {"model_args": said}}
        write(tmp_path / "a", [line(0, picked=place)], date, results)
    (panel,) = read_foreign([tmp_path]).panels
    assert panel.labels == ("a",)


def test_the_reruns_that_people_brought_are_told(tmp_path: Path) -> None:
    taken = read_foreign([shared_data("faults/lm_eval_reruns/out")])
    assert right(taken.panels[0]) == {"org__model": 0}
    assert len(taken.notes) == 1
    keep(taken, "two", tmp_path)
    assert kept("two", tmp_path) is not None


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "m", [line(0)])
    taken = read_foreign([tmp_path, path])
    assert (taken.notes, len(taken.panels[0].questions)) == ((), 1)


def test_models_in_folders_of_one_name_are_two_contestants(tmp_path: Path) -> None:
    write(tmp_path / "bf16" / "org__model", [line(0)])
    write(tmp_path / "4bit" / "org__model", [line(0, picked=1)])
    taken = read_foreign([tmp_path])
    assert [c.model for c in taken.panels[0].contestants] == ["4bit/org__model", "bf16/org__model"]
    assert sorted(right(taken.panels[0]).values()) == [0, 1]
    assert taken.notes == ()


def test_two_quantizations_that_share_a_folder_are_two_contestants(tmp_path: Path) -> None:
    """lm-evaluation-harness names the folder by the model alone."""
    plain = HARNESS | {"config": HARNESS["config"] | {"model_args": {"pretrained": "org/model"}}}
    write(tmp_path / "org__model", [line(0)], OLD, plain)
    write(tmp_path / "org__model", [line(0, picked=1)], NEW, HARNESS)
    (panel,) = read_foreign([tmp_path]).panels
    assert [(c.quant, c.dtype) for c in panel.contestants] == [("none", "bfloat16"), ("4bit", "bfloat16")]
    assert len(set(panel.labels)) == 2


def test_other_arguments_of_a_model_are_part_of_its_name_where_they_differ(tmp_path: Path) -> None:
    for date, arguments in ((OLD, "pretrained=a,peft=x,batch_size=4"), (NEW, "pretrained=a,peft=y,batch_size=8")):
        results = HARNESS | {"config": HARNESS["config"] | {"model_args": arguments}}
        write(tmp_path / "a", [line(0)], date, results)
    (panel,) = read_foreign([tmp_path]).panels
    assert [c.model for c in panel.contestants] == ["a (peft=x)", "a (peft=y)"]
    rerun = HARNESS | {"config": HARNESS["config"] | {"model_args": "pretrained=a,peft=y,batch_size=1"}}
    write(tmp_path / "a", [line(0, picked=1)], "2026-03-01T00-00-00.0", rerun)
    taken = read_foreign([tmp_path])
    assert right(taken.panels[0]) == {"a (peft=x)": 1, "a (peft=y)": 0}
    assert len(taken.notes) == 1


def test_copies_of_a_question_are_counted_and_so_is_in_what_they_disagree(tmp_path: Path) -> None:
    copies = [line(0), line(1), line(0), line(0, picked=1), line(1, key=2), line(1, prompt="b")]
    taken = read_foreign([write(tmp_path / "m", copies)])
    (note,) = taken.notes
    assert note == (
        f"samples_mmlu_law_{NEW}.jsonl: 4 rows dropped, which are copies of a question of the same subject (1 with "
        "another pick, 1 with another answer key and 1 with another prompt); the first one counts"
    )
    assert right(taken.panels[0]) == {"m": 2}


def test_copies_in_a_csv_are_counted_once_for_all_its_models(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("subject,question,A,B,answer,m,n\ns,q,1,2,A,A,B\ns,q,1,2,A,A,B\ns,q,1,2,B,A,A\n")
    taken = read_foreign([path])
    (note,) = taken.notes
    assert note == (
        "wide.csv: 2 rows dropped, which are copies of a question of the same subject (1 with another pick and 1 with "
        "another answer key); the first one counts"
    )
    assert right(taken.panels[0]) == {"m": 1, "n": 0}


def test_white_space_around_a_letter_of_a_csv_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("subject,question,A,B,answer,m\ns,q,1,2, b ,\tB \ns,r,1,2,A,  \n")
    (panel,) = read_foreign([path]).panels
    assert (right(panel), panel.unanswered.tolist()) == ({"m": 1}, [1])


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("subject,question,A,B,answer,m,m\ns,q,1,2,A,A,B\n")
    with pytest.raises(BadInput, match="several columns named m"):
        read_foreign([path])


def test_how_a_csv_was_asked_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "helm.csv"
    path.write_text("subject,question,A,B,answer,m\ns,q,1,2,A,A\n")
    (panel,) = read_foreign([path]).panels
    assert panel.prompt is None
    assert (panel.terms.shots, panel.terms.chat_template, panel.terms.scoring) == (None, None, UNKNOWN)


def test_another_answer_key_makes_another_set_and_each_is_marked_by_its_own(tmp_path: Path) -> None:
    write(tmp_path / "one", [line(0), line(1)])
    write(tmp_path / "two", [line(0), line(1, picked=2, key=2)])
    first, second = read_foreign([tmp_path]).panels
    assert (right(first), right(second)) == ({"one": 2}, {"two": 2})
    assert why_apart(first, second) == ["another answer key for 1 of the 2 questions that are in both"]


def test_another_prompt_makes_another_set(tmp_path: Path) -> None:
    """Nothing says how these were asked: the prompts do."""
    write(tmp_path / "five", [line(0), line(1)])
    write(tmp_path / "none", [line(0, prompt="b"), line(1, prompt="c")])
    write(tmp_path / "other", [line(0), line(2)])
    first, second = read_foreign([tmp_path]).panels
    assert [set(right(panel)) for panel in (first, second)] == [{"five", "other"}, {"none"}]
    assert why_apart(first, second) == ["another prompt for 2 of the 2 questions that are in both"]


def test_with_a_chat_template_models_have_prompts_of_their_own(tmp_path: Path) -> None:
    chat = HARNESS | {"chat_template": "{{ messages }}"}
    write(tmp_path / "one", [line(0)], results=chat)
    write(tmp_path / "two", [line(0, prompt="b")], results=chat)
    write(tmp_path / "plain", [line(0, prompt="c")], results=HARNESS)
    first, second = read_foreign([tmp_path]).panels
    assert [len(panel.contestants) for panel in (first, second)] == [2, 1]
    assert why_apart(first, second) == ["chat template True against False"]


def test_what_a_results_file_says_is_read(tmp_path: Path) -> None:
    (file,) = read_samples([write(tmp_path / "m", [line(0)], results=HARNESS)]).files
    assert (file.terms.shots, file.terms.chat_template) == (5, False)
    who = file.contestant
    assert (who.model, who.quant, who.dtype, who.revision) == ("m", "4bit", "bfloat16", "0123abcd")


@pytest.mark.parametrize(
    ("results", "shots", "chat"),
    [
        ({}, None, None),
        ({"n-shot": {"mmlu_law": 0}, "chat_template": ""}, 0, None),  # a server writes the prompt, or nobody does
        ({"configs": {"mmlu_law": {"num_fewshot": 2}}, "chat_template": "x"}, 2, True),
        ({"n-shot": {"mmlu_art": 3}, "config": {"apply_chat_template": True}, "chat_template": None}, None, True),
    ],
)
def test_what_a_results_file_does_not_say_is_not_known(
    tmp_path: Path, results: dict[str, Any], shots: int | None, chat: bool | None
) -> None:
    (file,) = read_samples([write(tmp_path / "m", [line(0)], results=results)]).files
    assert (file.terms.shots, file.terms.chat_template) == (shots, chat)


def test_results_of_another_date_are_of_another_run(tmp_path: Path) -> None:
    write(tmp_path / "m", [line(0)], OLD, HARNESS)
    assert [file.about.shots for file in read_samples([write(tmp_path / "m", [line(0)], NEW)]).files] == [None]


@pytest.mark.parametrize("content", ["{", "[1]", '{"config": 3}', "\xff", '{"n-shot": {"mmlu_law": "many"}}'])
def test_a_results_file_that_cannot_be_read_is_told_and_nothing_taken_from_it(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "m", [line(0)])
    (tmp_path / "m" / f"results_{NEW}.json").write_text(content, "latin-1")
    harvest = read_samples([path])
    assert harvest.files[0].about.shots is None
    assert harvest.notes[0].startswith(f"results_{NEW}.json can't be read")


def test_an_endless_results_file_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "m", [line(0)])
    with (tmp_path / "m" / f"results_{NEW}.json").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert "larger than 64 MiB" in read_samples([path]).notes[0]


@pytest.mark.parametrize("shots", [0, 1, 3])
@pytest.mark.parametrize("named", [["A", "B", "C"], ["one", "two", "three"]])
def test_shots_are_counted_in_prompts_of_the_layout_that_we_know(
    tmp_path: Path, shots: int, named: Sequence[str]
) -> None:
    texts = named[0] == "one"
    kind = "questions" if texts else "multiple choice questions"
    example = "Question: E\n\ne?\nAnswer: one\n\n" if texts else "E?\nA. one\nB. two\nAnswer: B\n\n"
    ask = "Question: Question 0?\nAnswer:" if texts else "Question 0?\nA. one\nB. two\nC. three\nAnswer:"
    prompt = f"The following are {kind} (with answers) about law.\n\n{example * shots}{ask}"
    arguments = {str(n): {"arg_0": prompt, "arg_1": f" {option}"} for n, option in enumerate(named)}
    (file,) = read_samples([write(tmp_path / "m", [line(0, arguments=arguments)])]).files
    assert (file.about.shots, file.about.chat_template) == (shots, False)
    for strange in (f"<|user|>{prompt}", f"{prompt} ", prompt.replace("law", "art")):
        arguments = {str(n): {"arg_0": strange, "arg_1": f" {option}"} for n, option in enumerate(named)}
        (file,) = read_samples([write(tmp_path / "m", [line(0, arguments=arguments)])]).files
        assert (file.about.shots, file.about.chat_template) == (None, None)


def test_letters_and_texts_come_into_sets_of_their_own(tmp_path: Path) -> None:
    for model, named in (("letters", "ABC"), ("texts", ("one", "two", "three"))):
        write(tmp_path / model, [line(0, prompt=model[0].replace("l", "a").replace("t", "b"), arguments=[
            ["p", f" {option}"] for option in named
        ])])  # fmt: skip
    first, second = read_foreign([tmp_path]).panels
    assert why_apart(first, second) == ["scoring by letters against text"]


def same(one: Taken, other: Taken) -> None:
    assert (one.notes, len(one.sets)) == (other.notes, len(other.sets))
    for mine, theirs in zip(one.sets, other.sets, strict=True):
        assert mine.prompt_hashes.tolist() == theirs.prompt_hashes.tolist()
        first, second = mine.panel, theirs.panel
        assert (first.terms, first.contestants) == (second.terms, second.contestants)
        assert first.questions.equals(second.questions)
        for name in ("asked", "correct", "picked", "logprob", "prompt"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "m", [line(0), line(0), line(1)], results=HARNESS)
    write(tmp_path / "n", [line(1, picked=2), line(2, prompt="")])
    taken = read_foreign([tmp_path])
    assert (len(taken.panels), len(taken.notes)) == (2, 1)
    keep(taken, "mine", tmp_path)
    back = kept("mine", tmp_path)
    assert back is not None
    same(taken, back)


def test_an_import_of_an_earlier_release_no_longer_claims_to_know_its_conditions(tmp_path: Path) -> None:
    head = {
        "terms": {"benchmark": "helm", "prompt_version": "unknown", "shots": 0, "chat_template": False,
                  "scoring": "letters"},
        "contestants": [{"model": "m", "revision": "", "quant": "none", "device": "", "dtype": ""}],
    }  # fmt: skip
    asked = {
        "subject": "law", "question_id": "0" * 16, "question_index": 0, "question": "Is it?", "choices": ["a", "b"],
        "answer": 1, "picked": [1], "options_logprob": None,
    }  # fmt: skip
    path = place_of("old", tmp_path)
    path.parent.mkdir()
    path.write_text(f"{json.dumps(head)}\n{json.dumps(asked)}\n")
    found = kept("old", tmp_path)
    assert found is not None
    (panel,) = found.panels
    assert (panel.terms.shots, panel.terms.chat_template, right(panel)) == (None, None, {"m": 1})


def test_an_import_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = place_of("new", tmp_path)
    path.parent.mkdir()
    path.write_text(json.dumps({"format": FORMAT + 1}) + "\n")
    with pytest.raises(BadInput, match="newer Proctor"):
        kept("new", tmp_path)


@pytest.mark.parametrize("name", ["samples_mmlu_law_x.jsonl", "samples_mmlu_law_x.jsonl.gz", "wide.csv"])
@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("analysis.data.files.LONGEST_LINE", "has a line of more than"),
        ("analysis.data.files.LONGEST_TEXT", "holds more than"),
        ("analysis.data.panel_rows.MOST_ANSWERS", "more than 3 answers"),
    ],
)
def test_a_file_beyond_the_limits_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: str, said: str
) -> None:
    path = tmp_path / name
    text = "".join(json.dumps(line(n)) + "\n" for n in range(4))
    if name.endswith(".csv"):
        text = "subject,question,A,B,answer,m,n\n" + "s,q,1,2,A,A,B\n" * 3
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    read_foreign([path])
    monkeypatch.setattr(limit, 3)
    with pytest.raises(BadInput, match=said):
        read_foreign([path])


def test_what_is_wrong_with_a_line_is_said_in_a_few_words(tmp_path: Path) -> None:
    path = write(tmp_path / "m", [line(0, key=10**4000)])
    with pytest.raises(BadInput) as caught:
        read_foreign([path])
    assert len(caught.value.problem) < 600
