"""The report and the export on a database: what they hold, that they stand alone, and that nothing escapes."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.data.panel import level
from analysis.data.results import answers_frame, read_results
from analysis.data.sets import set_names
from analysis.exchange.export import COLUMNS, export_questions, export_to_file
from analysis.report.folder import LIST
from analysis.report.write import FORMATS, Options, WrittenReport, write_report
from proctor.errors import BadInput
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import Quant
from proctor.nouns.runs import Noise
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests.sweeps import Sat, sit_sweep

ALL = Options(FORMATS)
NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "rect", "image", "stop"}


class Page(HTMLParser):
    """Reads a page as a browser would, and keeps what the tests ask about."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A SQLite store for what doesn't depend on the database: pages and pictures."""
    folder = tmp_path_factory.mktemp("desk")
    with open_store(Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}")) as opened:
        yield opened


@pytest.fixture(scope="module")
def written(desk: Store, tmp_path_factory: pytest.TempPathFactory) -> WrittenReport:
    """One report with a failed Run in it, that several tests read."""
    sweep = sit_sweep(desk, Sat(fail=(2,)))
    return write_report(read_results(desk, [sweep]), tmp_path_factory.mktemp("report"), ALL, NOW)


def read(written: WrittenReport) -> Page:
    assert written.page is not None
    return Page(written.page.read_text("utf-8"))


def test_the_report_is_complete_and_well_formed(written: WrittenReport) -> None:
    page = read(written)
    assert page.open == []
    names = {path.name for path in written.folder.iterdir()}
    wanted = {"model_comparison.png", "mistake_overlap_distribution.png", "mistake_overlap_pairwise.png", "overall.svg"}
    assert wanted | {"report.html", "report.md", "accuracy.csv", "costs_by_run.csv"} <= names
    assert names == {path.name for path in written.files} | {LIST}
    headings = [name for name, _ in page.tags if name in ("h1", "h2")]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1


def test_the_report_asks_nothing_of_the_network(written: WrittenReport) -> None:
    page = read(written)
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            place = attributes.get(name, "")
            assert not place.startswith(("http:", "https:", "//", "file:", "/"))
    assert not page.all("script")
    assert not page.all("link")
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'")
    assert {a["href"] for a in page.all("a") if not a["href"].startswith("#")} == {
        path.name for path in written.files if path.suffix in (".png", ".svg")
    }


def test_a_page_without_files_beside_it_links_to_none(desk: Store, tmp_path: Path) -> None:
    results = read_results(desk, [sit_sweep(desk, Sat(questions=8))])
    alone = write_report(results, tmp_path / "alone", Options(("html", "md")), NOW)
    page = read(alone)
    assert page.all("svg")
    assert all(a["href"].startswith("#") for a in page.all("a"))
    assert "](" not in (alone.folder / "report.md").read_text("utf-8")
    with_svg = write_report(results, tmp_path / "svg", Options(("md", "svg")), NOW)
    names = re.findall(r"\]\((.+?)\)", (with_svg.folder / "report.md").read_text("utf-8"))
    assert len(names) > 5
    assert all((with_svg.folder / name).is_file() for name in names)


def test_every_anchor_leads_somewhere_and_ids_are_used_once(written: WrittenReport) -> None:
    page = read(written)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    assert {"main", "missing", "ran", "finding", "overall", "subjects", "mistakes", "costs", "limits"} <= anchors
    assert anchors <= set(ids)


def test_the_report_can_be_read_by_a_screen_reader(written: WrittenReport) -> None:
    page = read(written)
    assert page.all("html")[0]["lang"] == "en"
    drawn, tables = (sum(path.suffix == kind for path in written.files) for kind in (".svg", ".csv"))
    assert (len(page.all("svg")), len(page.all("table"))) == (drawn, tables)
    assert min(drawn, tables) >= 10
    assert len({svg["aria-label"] for svg in page.all("svg")}) >= drawn - 1  # the forest's sheet says much the same
    assert all(svg.get("aria-label") and svg.get("role") == "img" for svg in page.all("svg"))
    assert {head["scope"] for head in page.all("th")} == {"col", "row"}
    assert len(page.all("caption")) == len(page.all("table"))


def test_what_failed_comes_first_with_its_reason(written: WrittenReport) -> None:
    text = read(written).text
    assert "out of memory <b>at once</b>" in text
    assert text.index("What failed or is missing") < text.index("What was run") < text.index("The finding")


def test_failed_runs_narrow_the_comparison_to_common_questions(written: WrittenReport) -> None:
    (table,) = written.accuracies
    asked = [column.heading for column in table.columns].index("asked")
    assert {row[asked] for row in table.rows} == {80}
    assert "40 questions of 120 not asked of everyone" in read(written).text


def test_names_from_outside_are_text_and_nothing_else(desk: Store, tmp_path: Path) -> None:
    models = ("evil/<script>alert(1)</script>", "evil/\u202ebold &amp; \u0085 $x$", 'e/" onload="x')
    subjects = ("<img src=x onerror=alert(1)>", 'law" onclick="x')
    sat = Sat(models=models, skill=(0.2, 0.4, 0.6), subjects=subjects, questions=8)
    written = write_report(read_results(desk, [sit_sweep(desk, sat)]), tmp_path, ALL, NOW)
    page = read(written)
    assert page.open == []
    for name in ("<script>alert(1)</script>", "\\u202ebold &amp; \\x85 $x$", '" onload="x', *subjects):
        assert name in page.text
    assert not page.all("script")
    assert not page.all("img")
    assert not any(attribute.startswith("on") for _, attributes in page.tags for attribute in attributes)
    assert "\u202e" not in page.text
    assert "\u0085" not in page.text


def test_runs_under_other_terms_are_never_mixed(desk: Store, tmp_path: Path) -> None:
    sats = (Sat(subjects=("law",)), Sat(subjects=("law",), conditions=Conditions(shots=0)))
    results = read_results(desk, [sit_sweep(desk, sat) for sat in sats])
    assert [panel.terms.shots for panel in results.panels] == [5, 0]
    written = write_report(results, tmp_path, Options(("html", "csv")), NOW)
    assert "Set 2 is never mixed with set 1: shots 5 against 0." in read(written).text
    assert (tmp_path / "accuracy_2.csv").exists()


def test_of_several_sets_everything_says_which_it_is_about(desk: Store, tmp_path: Path) -> None:
    by_text = Conditions(shots=0, scoring=Scoring.TEXT)
    sats = (Sat(), Sat(questions=30), Sat(conditions=by_text, fail=(0,)))
    results = read_results(desk, [sit_sweep(desk, sat) for sat in sats])
    written = write_report(results, tmp_path, Options(("html", "csv", "md")), NOW)
    assert len(written.sets) == len(results.panels) >= 2
    page = read(written)
    for number, (name, sentences, table) in enumerate(
        zip(written.sets, written.findings, written.accuracies, strict=True), start=1
    ):
        assert name.startswith(f"Set {number}: mmlu, ")
        assert all(sentence.startswith(f"Set {number}: ") for sentence in sentences)
        assert table.of_set == name
        suffix = "" if number == 1 else f"_{number}"
        for kind in ("accuracy", "accuracy_by_subject", "ties", "mistake_pairs"):
            rows = list(csv.DictReader((tmp_path / f"{kind}{suffix}.csv").read_text().splitlines()))
            assert {row["set"] for row in rows} == {name}
        ours = [svg["aria-label"] for svg in page.all("svg") if svg["aria-label"].startswith(name)]
        assert len(ours) >= 8
    assert len(set(written.sets)) == len(written.sets)
    costs = list(csv.DictReader((tmp_path / "costs.csv").read_text().splitlines()))
    assert len({(row["contestant"], row["set"]) for row in costs}) == len(costs)
    assert {row["set"] for row in costs} == {f"Set {number + 1}" for number in range(len(written.sets))}
    lefts = [word for word in page.words if "not asked of everyone" in word]
    assert lefts
    assert all(re.match(r"Set \d: ", left) for left in lefts)


def test_a_single_set_is_not_numbered(written: WrittenReport) -> None:
    page = read(written)
    assert written.sets == ("",)
    assert "Set 1" not in page.text
    assert "set" not in (written.folder / "accuracy.csv").read_text().splitlines()[0].split(",")


def test_runs_that_were_scored_by_text_are_never_mixed_with_letters(desk: Store, tmp_path: Path) -> None:
    by_text = Conditions(scoring=Scoring.TEXT)
    results = read_results(desk, [sit_sweep(desk, Sat()), sit_sweep(desk, Sat(conditions=by_text))])
    assert [panel.terms.scoring for panel in results.panels] == ["letters", "text"]
    letters, text = results.panels
    assert letters.accuracies_norm is None
    assert text.accuracies_norm == text.accuracies  # options of one length
    written = write_report(results, tmp_path, Options(("html", "csv")), NOW)
    assert "Set 2 is never mixed with set 1: scoring by letters against text." in read(written).text
    assert "right per character" not in (tmp_path / "accuracy.csv").read_text()
    assert "right per character" in (tmp_path / "accuracy_2.csv").read_text()


def test_the_report_shows_the_noise_floor_that_was_measured(desk: Store, tmp_path: Path) -> None:
    noise = Noise(questions=10, flips=1, largest=0.25, mean=0.01, pack_tokens=1024, wall_s=1.0)
    sweeps = [sit_sweep(desk, Sat(models=("org/Small",), skill=(0.2,), noise=noise)), sit_sweep(desk, Sat(name="no"))]
    results = read_results(desk, sweeps[:1])
    written = write_report(results, tmp_path, Options(("html", "csv")), NOW)
    assert "Measured: a slice of each Run was scored again" in read(written).text
    rows = list(csv.DictReader((tmp_path / "noise.csv").read_text().splitlines()))
    assert [(row["scored twice"], row["picks that flipped"], row["share"]) for row in rows] == [("30", "3", "0.1")] * 2
    assert float(rows[0]["at most"]) == pytest.approx(0.2562, abs=1e-3)
    unmeasured = write_report(read_results(desk, sweeps[1:]), tmp_path / "no", Options(("html",)), NOW)
    assert "wasn't measured (submit-sweep --check-noise does)" in read(unmeasured).text
    assert not unmeasured.noise[0].rows


def test_a_changed_exam_is_another_set(store: Store) -> None:
    sweeps = [sit_sweep(store, Sat()), sit_sweep(store, Sat(questions=30, models=("org/Other",), skill=(0.5,)))]
    newer, older = read_results(store, sweeps).panels
    assert [len(panel.contestants) for panel in (newer, older)] == [2, 4]
    assert set_names([newer, older]) == (
        f"Set 1: {newer.terms}; newest content of anatomy, astronomy and law",
        f"Set 2: {newer.terms}; older content of anatomy, astronomy and law",
    )


def test_a_model_on_an_exam_whose_keys_changed_is_in_two_sets_the_newest_first(desk: Store, tmp_path: Path) -> None:
    sweeps = [sit_sweep(desk, Sat()), sit_sweep(desk, Sat(mended=("law",)))]
    results = read_results(desk, sweeps)
    newer, older = results.panels
    for panel in (newer, older):
        assert (len(panel.contestants), len(panel.questions)) == (4, 120)
        assert not panel.questions.duplicated(["subject", "question_id"]).any()
    law = (newer.questions["subject"] == "law").to_numpy()
    keys = [panel.questions.set_index("question_id")["answer"] for panel in (newer, older)]
    moved = (keys[0] - keys[1].loc[keys[0].index]) % 4
    assert moved.tolist() == np.where(law, 1, 0).tolist()
    written = write_report(results, tmp_path, Options(("html",)), NOW)
    text = read(written).text
    assert "Set 2 is never mixed with set 1: another exam content in law (set 1 has the newer)." in text
    assert "set 1: mmlu, 5 shots, no chat template, prompt mmlu-1.0; newest content of law" in text
    assert "set 2: mmlu, 5 shots, no chat template, prompt mmlu-1.0; older content of law" in text
    assert written.sets == set_names(results.panels)
    costs = [record for record in results.records if results.set_named(record) == "Sets 1, 2"]
    assert {record.spec.subject for record in costs} == {"anatomy", "astronomy"}


def test_shots_that_a_window_dropped_are_told_and_leave_questions_out(desk: Store, tmp_path: Path) -> None:
    sweep = sit_sweep(desk, Sat(models=("org/Narrow", "org/Wide"), quants=(Quant.NONE,), dropped={"org/Narrow": 10}))
    results = read_results(desk, [sweep])
    frame = results.runs_frame()
    columns = ["model", "shots", "fewest_shots", "most_shots", "short_of_shots"]
    assert {tuple(row) for row in frame[columns].itertuples(index=False)} == {
        ("org/Narrow", 5, 3, 5, 10), ("org/Wide", 5, 5, 5, 0),
    }  # fmt: skip
    (panel,) = results.panels
    assert sorted(answers_frame(panel).groupby("contestant", observed=True)["shots"].min()) == [3, 5]
    ground = level(panel)
    assert (len(ground.panel.questions), ground.other_shots, ground.questions_left_out) == (90, 30, 30)
    text = read(write_report(results, tmp_path, Options(("html",)), NOW)).text
    assert "Narrow: 3 to 5 shots were shown instead of 5, fewer on 30 of 120 questions" in text
    assert "30 questions of 120 put after more shots to some than to others are left out" in text


def test_whoever_was_mostly_shown_fewer_shots_is_in_a_set_of_its_own(desk: Store, tmp_path: Path) -> None:
    sweep = sit_sweep(desk, Sat(models=("org/Narrow", "org/Wide"), quants=(Quant.NONE,), dropped={"org/Narrow": 30}))
    results = read_results(desk, [sweep])
    assert [panel.labels for panel in results.panels] == [("Wide",), ("Narrow",)]
    text = read(write_report(results, tmp_path, Options(("html",)), NOW)).text
    assert "Set 2 is never mixed with set 1: 5 shots shown against 3 to 5." in text
    assert "3 to 5 shots shown, as many as a window held" in text


def test_a_limit_leaves_the_common_questions(store: Store) -> None:
    short = Sat(models=("org/Other",), skill=(0.5,), conditions=Conditions(limit=25))
    results = read_results(store, [sit_sweep(store, Sat()), sit_sweep(store, short)])
    assert len(results.panels) == 1
    ground = level(results.panels[0])
    assert (len(ground.panel.questions), ground.questions_left_out) == (75, 45)


def test_a_sweep_run_anew_replaces_the_older_runs(store: Store) -> None:
    first, second = sit_sweep(store, Sat()), sit_sweep(store, Sat(), seed=1)
    results = read_results(store, [first, second])
    assert {record.sweep_id for record in results.superseded} == {first}
    assert len(results.panels[0].contestants) == 4


def test_a_sweep_without_an_answer_is_no_report(store: Store, tmp_path: Path) -> None:
    sat = Sat(models=("a/A",), skill=(0.5,), quants=(Quant.NONE,), subjects=("law",), fail=(0,))
    with pytest.raises(BadInput, match="has an answer yet"):
        write_report(read_results(store, [sit_sweep(store, sat)]), tmp_path, ALL, NOW)


def test_a_model_at_chance_is_called_that_on_the_page(desk: Store, tmp_path: Path) -> None:
    sat = Sat(models=("a/Guess",), skill=(0.04,), quants=(Quant.NONE,), questions=60)
    written = write_report(read_results(desk, [sit_sweep(desk, sat)]), tmp_path, Options(("html",)), NOW)
    assert "Guess cannot be told from blind guessing (25 %)" in read(written).text


@pytest.mark.parametrize(("raw", "written"), [(False, ["'=cmd()", "'@org/One"]), (True, ["=cmd()", "@org/One"])])
def test_text_that_a_spreadsheet_would_run_is_harmless_in_a_csv_unless_asked_for_raw(
    desk: Store, tmp_path: Path, raw: bool, written: list[str]
) -> None:
    sat = Sat(models=("@org/One",), skill=(0.5,), quants=(Quant.NONE,), subjects=("=cmd()",), questions=2, name="cells")
    export_to_file(desk, [sit_sweep(desk, sat)], "csv", tmp_path / "answers.csv", raw=raw)
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [[row["subject"], row["model"]] for row in rows] == [written] * 2
    assert json.loads(rows[0]["options_logprob"])


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_an_export_has_every_answer_with_the_same_values(kind: str, store: Store, tmp_path: Path) -> None:
    sweep, path = sit_sweep(store, Sat(questions=10)), tmp_path / f"answers.{kind}"
    assert export_to_file(store, [sweep], kind, path) == 120
    match kind:
        case "jsonl":
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        case "csv":
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row | {"options_logprob": json.loads(row["options_logprob"])} for row in csv.DictReader(file)]
        case _:
            rows = pd.read_parquet(path).to_dict("records")
    assert list(rows[0]) == list(COLUMNS)
    assert len({(row["run_id"], row["question_id"]) for row in rows}) == 120
    panel = read_results(store, [sweep]).panels[0]
    assert sum(str(row["correct"]) == "True" for row in rows) == panel.correct.sum()
    best = [max(range(4), key=list(row["options_logprob"]).__getitem__) for row in rows]
    assert best == [int(row["picked"]) for row in rows]


def test_an_export_is_not_written_over_unless_told(store: Store, tmp_path: Path) -> None:
    sweep, path = sit_sweep(store, Sat(questions=5)), tmp_path / "answers.jsonl"
    path.write_text("mine")
    with pytest.raises(BadInput, match="exists"):
        export_to_file(store, [sweep], "jsonl", path)
    assert path.read_text() == "mine"
    export_to_file(store, [sweep], "jsonl", path, force=True)
    assert len(path.read_text("utf-8").splitlines()) == 60
    assert list(tmp_path.glob(".*.part")) == []


def test_questions_files_are_those_that_the_scripts_made(store: Store, tmp_path: Path) -> None:
    sweep = sit_sweep(store, Sat(questions=5))
    paths = export_questions(store, [sweep], tmp_path)
    assert len(paths) == 12
    content = json.loads(paths[0].read_text("utf-8"))
    assert {"model", "quant", "subject", "accuracy", "questions"} <= set(content)
    first = content["questions"][0]
    assert first["is_correct"] == (first["correct_answer"] == first["predicted_answer"])
    assert content["accuracy"] == sum(question["is_correct"] for question in content["questions"]) / 5
    with pytest.raises(BadInput, match="exists"):
        export_questions(store, [sweep], tmp_path)


def test_file_names_of_hostile_models_stay_in_the_folder(store: Store, tmp_path: Path) -> None:
    sat = replace(Sat(questions=3), models=("../../etc/..", "x/a b/../c"), subjects=("../law",))
    paths = export_questions(store, [sit_sweep(store, sat)], tmp_path / "out")
    assert {path.parent for path in paths} == {tmp_path / "out"}
    assert len({path.name for path in paths}) == 4
