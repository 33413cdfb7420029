"""Task files of lm-evaluation-harness: includes, functions that are never run, keys that are known or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proctor.errors import BadExam
from proctor.exams.tasks import known_functions
from proctor.exams.tasks.form import Chain, Kind, Metric, Step
from proctor.exams.tasks.pieces import Piece
from proctor.exams.tasks.task_files import Reference, digest, read_file, references, sha256_of
from proctor.exams.tasks.task_keys import task_of
from tests.unit.proctor.exams.tasks.made_up import SUMS, only

SUMS_FILE = """
task: sums
dataset_path: own/sums
output_type: multiple_choice
test_split: test
doc_to_text: "{{sum}} ="
doc_to_target: place
doc_to_choice: "{{[value, wrong]}}"
"""


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{own}: &{own} [{', '.join([f'*{before}'] * 10)}]\n" for before, own in zip("abcdef", "bcdefg", strict=True)
)


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_task_file_is_read_into_a_task(tmp_path: Path) -> None:
    made = task_of(read_file(file(tmp_path, "sums.yaml", SUMS_FILE + "metadata: {version: 2.5}\nnum_fewshot: 3\n")))
    assert (made.name, made.kind, made.version, made.asking.shots) == ("sums", Kind.CHOOSE, "2.5", 3)
    assert [one.name for one in made.judging.metrics] == ["acc", "acc_norm"]
    assert only(replace(made, asking=replace(made.asking, shots=0)), SUMS[0]).choices == ("2", "1")


def test_included_keys_are_overridden_by_later_ones_and_by_own(tmp_path: Path) -> None:
    file(tmp_path, "parts/_a", "x: 1\ny: 1\nz: 1\nmetadata: {version: 1, other: 1}\ntask_list: [q]\n")
    file(tmp_path, "parts/_b", "include: _a\ny: 2\n")
    file(tmp_path, "_c", "x: 3\n")
    path = file(tmp_path, "t.yaml", "include: [parts/_b, _c]\nz: 4\nmetadata: {version: 2}\n")
    assert read_file(path) == {"x": 3, "y": 2, "z": 4, "metadata": {"version": 2}}


def test_an_include_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    file(tmp_path, "b.yaml", "include: a.yaml\n")
    with pytest.raises(BadExam, match=r"a\.yaml includes itself"):
        read_file(file(tmp_path, "a.yaml", "include: b.yaml\n"))


def test_one_file_may_be_included_by_two(tmp_path: Path) -> None:
    for name, text in {"_d": "x: 1\n", "_b": "include: _d\n", "_c": "include: _d\n"}.items():
        file(tmp_path, name, text)
    assert read_file(file(tmp_path, "a.yaml", "include: [_b, _c]\n")) == {"x": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "no YAML"),
        ("- a\n", "no task file"),
        ("1: a\n", "no task file"),
        ("include: gone\n", "gone can't be read"),
        ("x: !python/object/apply:os.system ['true']\n", "no YAML"),
        (BOMB, "values"),
    ],
)
def test_what_is_no_task_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadExam, match=said):
        read_file(file(tmp_path, "a.yaml", text))


def test_a_function_is_named_and_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    file(tmp_path, "utils.py", f"from pathlib import Path\nPath({str(ran)!r}).touch()\ndef f(doc): return 1\n")
    path = file(tmp_path, "sums.yaml", SUMS_FILE + "process_docs: !function utils.f\n")
    config = read_file(path)
    (function,) = references(config)
    assert (function.name, function.file.name, len(function.sha256)) == ("utils.f", "utils.py", 64)
    with pytest.raises(BadExam, match=f"'sums' needs code .* utils.f for process_docs .sha256 {function.sha256[:12]}"):
        task_of(config)
    assert not ran.exists()


def test_all_functions_without_a_piece_are_named_at_once(tmp_path: Path) -> None:
    text = SUMS_FILE + "process_results: !function a.b\nfilter_list: [{name: x, filter: [{function: !function c.d}]}]\n"
    with pytest.raises(BadExam, match=r"a\.b for process_results \(sha256 of no file\); c\.d for filter_list"):
        task_of(read_file(file(tmp_path, "sums.yaml", text)))


def test_a_known_function_is_served_by_its_piece_unless_its_file_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = file(tmp_path, "utils.py", "def keep(rows): return rows.filter(lambda row: row['value'] == '4')\n")
    known = {(sha256_of(code.resolve()), "utils.keep"): ("rows_where", {"column": "value"}, "4")}
    monkeypatch.setattr(known_functions, "_table", lambda: known)
    config = read_file(file(tmp_path, "sums.yaml", SUMS_FILE + "process_docs: !function utils.keep\n"))
    prepare = task_of(config).rows.prepare
    assert prepare is not None
    assert prepare(SUMS) == [SUMS[1]]
    changed = Reference("utils.keep", file(tmp_path / "other", "utils.py", "def keep(rows): ...\n").parent)
    assert known_functions.piece_of(changed) is None


def test_each_line_of_the_table_names_a_piece() -> None:
    table = known_functions._table()
    assert len(table) > 600
    assert {piece for piece, _, _ in table.values()} <= set(known_functions.PIECES)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("colour: red", "colour"),
        ("fewshot_config: {colour: red}", "colour"),
        ("fewshot_config: {sampler: balanced}", "balanced"),
        ("fewshot_config: {fewshot_indices: [1]}", "fewshot_indices"),
        ("fewshot_config: {samples: [1]}", "a list of rows"),
        ("fewshot_config: {target_delimiter: 1}", "delimiters"),
        ("generation_kwargs: {colour: red}", "colour"),
        ("class: !function task.Sums", "Python class"),
        ("custom_dataset: !function task.rows", "custom_dataset"),
        ("doc_to_image: picture", "images"),
        ("use_prompt: promptsource:x", "another library"),
        ("output_type: sing", "output_type"),
        ("num_fewshot: many", "num_fewshot"),
        ("unsafe_code: 1", "unsafe_code"),
        ("test_split: [test]", "test_split"),
        ("gen_prefix: 1.5", "gen_prefix"),
        ("description: '{{ 2 * 2 }}'", "Mul"),
        ("metric_list: [{metric: colour}]", "colour"),
        ("metric_list: [acc]", "metric_list"),
        ("metric_list: [{metric: acc, aggregation: red}]", "red"),
        ("filter_list: [{name: x, filter: [{function: paint}]}]", "paint"),
        ("filter_list: [{name: x, filter: [{function: regex, colour: red}]}]", "colour"),
        ("filter_list: [{filter: []}]", "filter_list"),
        ("filter_list: [{name: x, filter: [regex]}]", "filter_list"),
        ("dataset_kwargs: {features: !function utils.f}", "dataset_kwargs"),
        ("metadata: 3", "metadata"),
    ],
)
def test_what_isnt_known_is_refused_by_name(tmp_path: Path, line: str, said: str) -> None:
    own = "\n".join(old for old in SUMS_FILE.splitlines() if old.partition(":")[0] != line.partition(":")[0])
    with pytest.raises(BadExam, match=said) as caught:
        task_of(read_file(file(tmp_path, "sums.yaml", f"{own}\n{line}\n")))
    assert "sums" in str(caught.value)


def test_keys_without_effect_are_passed_over(tmp_path: Path) -> None:
    more = "task_alias: s\ntag: [a]\nshould_decontaminate: true\ndoc_to_decontamination_query: !function a.b\n"
    more += "dataset_kwargs: {trust_remote_code: true, revision: abc, data_dir: d}\n"
    rows = task_of(read_file(file(tmp_path, "sums.yaml", SUMS_FILE + more))).rows
    assert (rows.revision, rows.arguments) == ("abc", {"data_dir": "d"})


def test_filters_and_metrics_are_named_with_their_arguments(tmp_path: Path) -> None:
    text = """
task: sums
dataset_path: own/sums
doc_to_text: "{{sum}}"
doc_to_target: "{{value}}"
repeats: 2
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true, regexes_to_ignore: [","]}
filter_list:
  - {name: last, filter: [{function: regex, group_select: -1, regex_pattern: "[0-9]+"}, {function: take_first}]}
"""
    judging = task_of(read_file(file(tmp_path, "sums.yaml", text))).judging
    last = Chain("last", (Step("regex", {"group_select": -1, "regex_pattern": "[0-9]+"}), Step("take_first")))
    assert judging.metrics == (Metric("exact_match", {"ignore_case": True, "regexes_to_ignore": [","]}),)
    assert (judging.chains, judging.repeats) == ((last,), 2)


def test_a_files_identity_changes_with_what_it_includes(tmp_path: Path) -> None:
    part = file(tmp_path, "_part", "x: 1\n")
    path = file(tmp_path, "a.yaml", "include: _part\n")
    before = digest(path)
    part.write_text("x: 2\n")
    sha256_of.cache_clear()
    assert digest(path) != before


def test_every_function_of_one_file_has_its_piece(tmp_path: Path) -> None:
    reference = Reference("utils.f", tmp_path)
    for piece, arguments, own in known_functions._table().values():
        if piece not in {"format", "mmlu_prox"}:  # they read the file beside the task
            made = known_functions.PIECES[piece](reference, arguments, own)
            assert made != Piece(), (piece, own)
            if made.results:
                assert all(isinstance(name, str) for name in made.results.metrics), piece


def test_a_data_set_and_its_splits_are_read_by_name(tmp_path: Path) -> None:
    more = "dataset_name: small\ntraining_split: a\nvalidation_split: b\nfewshot_split: d\n"
    rows = task_of(read_file(file(tmp_path, "sums.yaml", SUMS_FILE + more))).rows
    assert (rows.data, rows.config, rows.training, rows.validation) == ("own/sums", "small", "a", "b")
    assert (rows.test, rows.pool, rows.asked, rows.shown) == ("test", "d", "test", "d")
