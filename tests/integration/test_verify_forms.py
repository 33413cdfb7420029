"""`proctor verify` on exams in a form, against samples that are written as lm-evaluation-harness 0.4.13 writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analysis.exchange.lm_eval_lines import read_lines
from analysis.exchange.lm_eval_samples import found_in
from analysis.exchange.verify_forms import Met
from proctor.cli import COMMANDS, command
from proctor.errors import BadInput
from proctor.exams.tasks.form import Form, Headline, Kind, Metric
from proctor.nouns.exams import Written
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads.export import ExportRow, export_rows
from tests import in_forms

Line = dict[str, Any]
Change = Callable[[Line], Line]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    with open_store(Settings.read({"PROCTOR_HOME": str(folder)})) as store:
        in_forms.sit_forms(store)
    return folder


@pytest.fixture
def rows(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ExportRow]]:
    """The Answers of one contestant."""
    monkeypatch.setenv("PROCTOR_HOME", str(home))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)
    with open_store(Settings.read({"PROCTOR_HOME": str(home)})) as opened:
        yield [row for row in _rows(opened) if row.model == "org/Small"]


def _rows(store: Store) -> list[ExportRow]:
    return list(export_rows(store, [1]))


def lines(row: ExportRow) -> list[Line]:
    """A question as the harness has it, a line a filter."""
    known = {"doc_id": row.question_index, "doc": {"any": "columns"}, "prompt_hash": row.prompt_hash, "target": "x"}
    if not row.written:
        greedy = "True" if row.correct else "False"
        resps = [[[str(score), greedy]] for score in row.options_logprob]
        return [known | {"resps": resps, "filtered_resps": [one[0] for one in resps], "filter": "none", "metrics": []}]
    text = row.written[0].text.partition("Question:")[0]
    strict = "####" in text
    said = [word for word in text.replace("#", " ").split() if word.lstrip("-").isdigit()]
    found = {"strict": said[-1] if strict else "[invalid]", "loose": said[-1] if said else "[invalid]"}
    return [
        known
        | {
            "resps": [[text]], "filtered_resps": [read], "filter": chain, "metrics": ["exact_match"],
            "exact_match": float(read == row.reference),
        }
        for chain, read in found.items()
    ]  # fmt: skip


def write(folder: Path, rows: list[ExportRow], change: Change = lambda line: line) -> str:
    inside = folder / "small"
    inside.mkdir(parents=True, exist_ok=True)
    for subject in {row.subject for row in rows}:
        own = [change(line) for row in rows if row.subject == subject for line in lines(row)]
        file = inside / f"samples_{subject}_2026-01-01T00-00-00.000000.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in own), "utf-8")
    return str(folder)


def verify(*words: str) -> tuple[int, Line]:
    said = CliRunner().invoke(command(COMMANDS["verify"]), [*words, "-c", "Small", "--json"], catch_exceptions=False)
    return said.exit_code, json.loads(said.output)


def test_every_kind_is_the_same_as_its_own_samples(rows: list[ExportRow], tmp_path: Path) -> None:
    code, found = verify("--against", write(tmp_path, rows))
    assert (code, found["passed"], found["differing"]) == (0, True, [])
    assert (found["prompts_in_both"], found["equal_replies"]) == (60, 1.0)
    assert {one["task"]: one["equal"] for one in found["tasks"]} == {
        "colours": 0, "gaps": 0, "shares": 0, "endings": 0, "sums": 12,
    }  # fmt: skip


def test_another_reply_counts_against_the_share_that_is_wanted(rows: list[ExportRow], tmp_path: Path) -> None:
    written = [row for row in rows if row.written]
    first = next(row for row in written if "####" in row.written[0].text.partition("Question:")[0])
    text = first.written[0].text

    def changed(line: Line) -> Line:
        return line | {"resps": [[text[:4] + "?"]]} if line["resps"] == [[text]] else line

    against = write(tmp_path, written, changed)
    code, found = verify("--against", against)
    assert code == 1
    assert found["equal_replies"] == pytest.approx(11 / 12)
    (apart,) = found["differing"]
    assert apart["theirs"] == [text[:4] + "?"]
    assert verify("--against", against, "--replies", "90")[0] == 0


def test_an_equal_reply_that_is_judged_otherwise_is_never_passed(rows: list[ExportRow], tmp_path: Path) -> None:
    def turned(line: Line) -> Line:
        return line | {"exact_match": 1 - line["exact_match"]} if line.get("filter") == "loose" else line

    written = [row for row in rows if row.written]
    code, found = verify("--against", write(tmp_path, written, turned), "--replies", "0")
    assert (code, found["equal_replies"]) == (1, 1.0)
    assert {tuple(one["judged_otherwise"]) for one in found["differing"]} == {("loose exact_match",)}


def test_log_probabilities_picks_and_likeliest_texts_are_held_to_the_tolerance(
    rows: list[ExportRow], tmp_path: Path
) -> None:
    def shifted(line: Line) -> Line:
        score, greedy = line["resps"][0][0]
        return line | {"resps": [[[str(float(score) + 1e-3), greedy]], *line["resps"][1:]]}

    scored = [row for row in rows if row.subject == "gaps"]
    against = write(tmp_path / "a", scored, shifted)
    assert verify("--against", against)[0] == 1
    assert verify("--against", against, "--tolerance", "0.01")[0] == 0

    def unlikely(line: Line) -> Line:
        score, greedy = line["resps"][0][0]
        return line | {"resps": [[[score, "False" if greedy == "True" else "True"]]]}

    code, found = verify(
        "--against", write(tmp_path / "b", [row for row in rows if row.subject == "endings"], unlikely)
    )
    assert (code, found["tasks"][0]["other_picks"]) == (1, 12)


def test_questions_in_another_prompt_and_beyond_our_runs_are_told_apart(rows: list[ExportRow], tmp_path: Path) -> None:
    def change(line: Line) -> Line:
        if line["doc_id"] == 3:
            return line | {"prompt_hash": "f" * 64}
        return line | {"doc_id": 99} if line["doc_id"] == 4 else line

    code, found = verify("--against", write(tmp_path, [row for row in rows if row.subject == "colours"], change))
    assert code == 1
    assert (found["prompts_in_both"], found["in_another_prompt"], found["not_to_be_asked"]) == (10, 1, 1)


def test_it_says_in_words_what_differs_and_from_where_on(rows: list[ExportRow], tmp_path: Path) -> None:
    written = [row for row in rows if row.written]
    against = write(tmp_path, written, lambda line: line | {"resps": [[line["resps"][0][0] + "and on"]]})
    said = CliRunner().invoke(
        command(COMMANDS["verify"]), ["--against", against, "-c", "Small"], catch_exceptions=False
    )
    assert said.exit_code == 1
    assert "Written replies: 0.0 % of 12 equal to the letter, 100 % wanted" in said.output
    assert "and on" in said.output


def test_a_line_that_is_no_sample_is_refused_by_its_number(rows: list[ExportRow], tmp_path: Path) -> None:
    against = write(tmp_path, [row for row in rows if row.subject == "gaps"])
    (path,) = Path(against).rglob("samples_*")
    path.write_text(path.read_text("utf-8") + '{"doc_id": 1, "doc": {}}\n' + "[3]\n", "utf-8")
    with pytest.raises(BadInput, match=r"line 14 is no sample"):
        verify("--against", against)


def test_a_figure_of_several_flags_is_held_against_theirs_flag_by_flag(rows: list[ExportRow], tmp_path: Path) -> None:
    """IFEval's figures by instruction have a flag each."""
    name = "inst_level_strict_acc"
    form = Form(Kind.WRITE, (Metric(name),), Headline(name, "none"))
    wanted = {"instruction_id_list": ["punctuation:no_comma", "startend:quotation"], "kwargs": [{}, {}]}
    row = next(row for row in rows if row.written)
    ours = replace(
        row, run=replace(row.run, form=form.json()), reference=json.dumps(wanted), written=(Written("no comma"),)
    )
    known = {"doc_id": 0, "doc": {}, "prompt_hash": row.prompt_hash, "target": "", "filter": "none", "metrics": [name]}
    for flags, apart in (([True, False], ()), ([True, True], (f"none {name}",))):
        file = tmp_path / "samples_x_2026-01-01T00-00-00.000000.jsonl"
        file.write_text(json.dumps(known | {"resps": [["no comma"]], "filtered_resps": ["no comma"], name: flags}))
        (found,), _ = found_in([file])
        (line,) = read_lines(found).lines
        assert Met(ours, line).judged_apart == apart
