"""Judges are planned beside what they judge, or over what is stored: who judges whom, in which way, on which lane."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from proctor.cli import COMMANDS, command
from proctor.errors import BadInput, SeveralFaults
from proctor.exams.judges import prompts
from proctor.nouns.briefs import Grading
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import DType, Quant
from proctor.nouns.runs import Judges, SweepRequest
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.runs import sweeps
from proctor.store.runs.exams import save_exam
from proctor.store.runs.sweeps import identity_of
from scheduler.cli import judges_from
from scheduler.prepare import Prepared, prepare
from scheduler.request_exams import RowSource
from tests import tiny

ROWS = [{"question": "Why?", "answer": "So."}, {"question": "How?", "answer": "Thus."}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models: two candidates of one family, and a judge."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("walrus-1B", "walrus-2B", "judge-70B"):
        tiny.lengthen(tiny.make(folder / name), 4096)
    return folder


def planned(
    models: Path,
    home: Path,
    judges: Judges | None,
    *,
    way: str = "model",
    names: tuple[str, ...] = ("walrus-1B", "walrus-2B"),
) -> Prepared:
    rows = home / "mine.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    request = SweepRequest(
        tuple(str(models / name) for name in names), (Quant.NONE,), str(rows), ("all",), "cpu", DType.AUTO,
        Conditions(0), judges=judges,
    )  # fmt: skip
    settings = Settings(home, home, f"sqlite:///{home / 'proctor.db'}")
    with open_store(settings) as store:
        return prepare(request, settings, store, rows=RowSource(judge=way))


def judged(prepared: Prepared) -> list[tuple[str, ...]]:
    """Whose replies each judge's Run is about, by their models' names."""
    runs = {identity_of(run): Path(run.model.name).name for run in prepared.plan.runs}
    briefs = [run.conditions.brief for run in prepared.plan.runs if run.conditions.brief]
    return [tuple(runs[one] for one in (brief.candidate, brief.against) if one) for brief in briefs]


def test_each_judge_rates_each_candidate_on_its_own_lane(models: Path, tmp_path: Path) -> None:
    prepared = planned(models, tmp_path, Judges((str(models / "judge-70B"),), (Quant.NONE,)))
    assert judged(prepared) == [("walrus-1B",), ("walrus-2B",)]
    own, judges = prepared.plan.runs[:2], prepared.plan.runs[2:]
    assert {run.conditions.scoring for run in own} == {Scoring.OPEN}
    assert {(run.conditions.scoring, run.conditions.prompt_version) for run in judges} == {
        (Scoring.JUDGED, prompts.VERSION)
    }
    assert {run.conditions.brief.prompts for run in judges if run.conditions.brief} == {prompts.DIGEST}
    assert [(Path(lane.lane.model.partition("@")[0]).name, lane.runs) for lane in prepared.plan.lanes] == [
        ("walrus-1B", 1), ("walrus-2B", 1), ("judge-70B", 2),
    ]  # fmt: skip
    assert prepared.plan.questions == 8


def test_pairs_are_all_of_two_or_those_with_a_baseline(models: Path, tmp_path: Path) -> None:
    names = ("walrus-1B", "walrus-2B", "judge-70B")
    everyone = planned(models, tmp_path, Judges((str(models / "judge-70B"),), pairs=True), names=names)
    assert judged(everyone) == [("walrus-1B", "walrus-2B"), ("walrus-1B", "judge-70B"), ("walrus-2B", "judge-70B")]
    against = Judges((str(models / "judge-70B"),), pairs=True, baseline="walrus-2B")
    assert judged(planned(models, tmp_path, against, names=names)) == [
        ("walrus-1B", "walrus-2B"),
        ("judge-70B", "walrus-2B"),
    ]
    briefs = [run.conditions.brief for run in everyone.plan.runs if run.conditions.brief]
    assert {brief.grading for brief in briefs} == {Grading.PAIRS}
    with pytest.raises(SeveralFaults, match="no pair"):
        planned(models, tmp_path, Judges((str(models / "judge-70B"),), pairs=True), names=("walrus-1B",))
    with pytest.raises(SeveralFaults, match="nobody"):
        planned(models, tmp_path, Judges((str(models / "judge-70B"),), pairs=True, baseline="nobody"))


def test_a_judge_of_the_same_family_or_a_small_one_is_told_of_beforehand(models: Path, tmp_path: Path) -> None:
    kin = planned(models, tmp_path, Judges((str(models / "walrus-2B"),)))
    said = " ".join(kin.told)
    assert "walrus-2B judges its own family (walrus-1B, walrus-2B)" in said
    assert "small for a judge" in said
    stranger = planned(models, tmp_path, Judges((str(models / "judge-70B"),)))
    assert not any("family" in note or "small" in note for note in stranger.told)
    assert len(kin.plan.lanes) == 2  # it is loaded once for both


def test_the_judges_are_part_of_what_a_sweep_is(models: Path, tmp_path: Path) -> None:
    alone = planned(models, tmp_path, None)
    assert any(note.startswith("mine: a judge alone can tell") for note in alone.told)
    rated = planned(models, tmp_path, Judges((str(models / "judge-70B"),)))
    compared = planned(models, tmp_path, Judges((str(models / "judge-70B"),), pairs=True))
    prints = {sweeps.fingerprint_of(each.plan.runs) for each in (alone, rated, compared)}
    assert len(prints) == 3
    assert sweeps.fingerprint_of(planned(models, tmp_path, Judges((str(models / "judge-70B"),))).plan.runs) in prints
    settings = Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'proctor.db'}")
    with open_store(settings) as store:
        for exam in rated.exams:
            save_exam(store, exam)
        made = sweeps.submit(store, rated.plan.request, rated.plan.runs)
        assert sweeps.find(store, str(made.sweep_id)).request.judges == Judges((str(models / "judge-70B"),))


def test_exams_with_marks_of_their_own_are_judged_as_well_and_those_without_a_text_are_not(
    models: Path, tmp_path: Path
) -> None:
    prepared = planned(models, tmp_path, Judges((str(models / "judge-70B"),)), way="exact")
    assert {run.conditions.scoring for run in prepared.plan.runs} == {Scoring.WRITTEN, Scoring.JUDGED}
    request = SweepRequest(
        (str(models / "walrus-1B"),), (Quant.NONE,), "demo", ("arithmetic",), "cpu", DType.AUTO, Conditions(0),
        judges=Judges((str(models / "judge-70B"),)),
    )  # fmt: skip
    settings = Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'proctor.db'}")
    with open_store(settings) as store, pytest.raises(SeveralFaults, match="nothing to judge"):
        prepare(request, settings, store)


def test_a_way_of_judging_without_a_judge_is_refused() -> None:
    given = {"judge_models": (), "judge_quants": ("none",), "pairs": True, "baseline": ""}
    with pytest.raises(BadInput, match="none is named"):
        judges_from(given)
    assert judges_from(given | {"pairs": False}) is None
    assert judges_from(given | {"judge_models": ("j", "j"), "pairs": False, "baseline": "a"}) == Judges(
        ("j",), (Quant.NONE,), True, "a"
    )


def test_stored_replies_are_judged_by_a_command_of_its_own(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path))
    monkeypatch.delenv("PROCTOR_DATABASE_URL", raising=False)
    prepared = planned(models, tmp_path, None)
    with open_store(Settings.read({"PROCTOR_HOME": str(tmp_path)})) as store:
        for exam in prepared.exams:
            save_exam(store, exam)
        sweeps.submit(store, prepared.plan.request, prepared.plan.runs)
    said = CliRunner().invoke(command(COMMANDS["judge"]), ["-m", str(models / "judge-70B"), "--plan"])
    assert isinstance(said.exception, BadInput)
    assert "Runs that are done" in str(said.exception)
