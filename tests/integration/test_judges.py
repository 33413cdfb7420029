"""Judges sit exams whose questions are replies: claimed once these are there, asked, asked again, and never made up."""

from __future__ import annotations

import pytest

from proctor.errors import BadInput
from proctor.nouns.exams import Scoring
from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.reads.export import export_rows
from proctor.store.reads.records import RunRecord
from proctor.store.runs import briefs, runs, sweeps
from tests import scripted
from tests.bigram import PlainDevice
from tests.integration.desks import CountedLink, make_desk
from tests.integration.store_world import card, claim, request, seen_loads
from tests.scripted import CANDIDATES, QUESTIONS, candidate, exam, judging
from workers.channel import Channel
from workers.context import WorkerContext
from workers.drain import drain
from workers.models.held import Models

TWO_TURNS = ("And what is {number} plus {other}?",)


def desk(store: Store, settings: Settings, channel: Channel | None = None) -> WorkerContext:
    return make_desk(store, settings, channel, Models(PlainDevice(), scripted.load))


def sat(store: Store, settings: Settings, sweep: int) -> list[RunRecord]:
    """The Runs of a sweep once a worker has sat them all."""
    drain(desk(store, settings))
    done = records.runs(store, [sweep])
    assert [run.reason for run in done if run.status is not RunStatus.DONE] == []
    return done


def of(done: list[RunRecord], judge: str, *candidates: str) -> RunRecord:
    (run,) = [
        run
        for run in done
        if run.spec.model.name == judge and tuple(one.spec.model.name for one in run.judged) == candidates
    ]
    return run


def test_a_judge_waits_for_the_replies(store: Store) -> None:
    sweep = scripted.submit(store, exam(), ["judges/first-70B"])
    assert {load.lane.model for load in seen_loads(store)} == {"org/terse-1B@r", "org/wordy-1B@r"}
    held = [claim(store, worker=f"cpu@host:{number}") for number in (1, 2)]
    assert {one.spec.model.name for one in held} == set(CANDIDATES)
    assert seen_loads(store) == []
    assert runs.waiting(store, card("cpu@host:7")) == 0
    assert [run.unjudged for run in records.progress(store, sweep).runs] == [True, True, False, False]


def test_what_waits_for_a_run_that_fails_fails_with_it_and_is_tried_again_with_it(store: Store) -> None:
    sweep = scripted.submit(store, exam(), ["judges/first-70B"], pairs=True)
    held = claim(store)
    runs.fail(store, held, "no such file", final=True)
    failed = [run for run in records.runs(store, [sweep]) if run.status is RunStatus.FAILED]
    assert {run.spec.conditions.scoring for run in failed} == {Scoring.OPEN, Scoring.JUDGED}
    assert len(failed) == 3  # the candidate's, the judge's on it, the pair
    assert all("failed" in run.reason for run in failed if run.judged)
    assert sweeps.retry(store, sweep) == 3
    assert {run.status for run in records.runs(store, [sweep])} == {RunStatus.PENDING}


def test_a_judge_waits_for_all_parts_of_the_replies_and_is_given_them_whole(store: Store, settings: Settings) -> None:
    whole = sat(store, settings, scripted.submit(store, exam(), ["judges/longer-70B"], pairs=True, name="whole"))
    sweep = scripted.submit(store, exam(), ["judges/longer-70B"], pairs=True, parts=3)
    held = [claim(store, worker=f"cpu@host:{number}") for number in range(6)]
    assert {one.spec.model.name for one in held} == set(CANDIDATES)
    assert seen_loads(store) == []
    for one in held:
        runs.hand_back(store, one)
    parted = sat(store, settings, sweep)
    assert [len(run.parts) for run in parted] == [3] * 5
    for run in parted:
        same = of(whole, run.spec.model.name, *(one.spec.model.name for one in run.judged))
        mine, theirs = ([*export_rows(store, [each.sweep_id], [each.run_id])] for each in (run, same))
        assert [(row.question_id, row.extracted, row.points) for row in mine] == [
            (row.question_id, row.extracted, row.points) for row in theirs
        ]
    assert not any(run.unjudged for run in records.progress(store, sweep).runs)


def test_a_part_that_fails_fails_what_waits_for_its_run(store: Store) -> None:
    sweep = scripted.submit(store, exam(), ["judges/first-70B"], parts=2)
    runs.fail(store, claim(store), "no such file", final=True)
    failed = [run for run in records.runs(store, [sweep]) if run.status is RunStatus.FAILED]
    assert [bool(run.judged) for run in failed] == [True]  # the judge's, whole; of the candidate's a part still waits
    assert sweeps.retry(store, sweep) == 2


def test_two_judges_rate_and_compare_the_replies_that_are_stored(store: Store, settings: Settings) -> None:
    done = sat(store, settings, scripted.submit(store, exam(), ["judges/reference-70B"], pairs=True))
    rated = of(done, "judges/reference-70B", "org/terse-1B")
    rows = {row.question_index: row for row in export_rows(store, [rated.sweep_id], [rated.run_id])}
    assert [rows[n].extracted for n in range(4)] == ["1", "10", "10", "1"]  # wrong on every third; the last line counts
    assert [rows[n].points for n in range(4)] == [0.1, 1.0, 1.0, 0.1]
    pair = of(done, "judges/reference-70B", *CANDIDATES)
    rows = {row.question_index: row for row in export_rows(store, [pair.sweep_id], [pair.run_id])}
    assert [rows[n].extracted for n in (0, 1, 2, 3)] == ["tie", "tie", "one", "other"]
    assert all(len(row.written) == 2 for row in rows.values())  # each in both orders
    assert rated.correct + rated.tied < rated.answered == QUESTIONS


def test_both_turns_stand_in_one_conversation_and_are_judged_each(store: Store, settings: Settings) -> None:
    done = sat(store, settings, scripted.submit(store, exam(TWO_TURNS), ["judges/longer-70B"]))
    judged = of(done, "judges/longer-70B", "org/wordy-1B")
    row = next(iter(export_rows(store, [judged.sweep_id], [judged.run_id])))
    assert row.extracted == "9, 9"
    replies = briefs.replies(store, judged.judged[0].run_id)
    assert {len(said) for said in replies.values()} == {2}
    assert replies[row.question_id][1].text.startswith("Let me think")


def test_a_verdict_that_is_missing_is_asked_for_once_more_and_then_counted_as_unjudged(
    store: Store, settings: Settings
) -> None:
    done = sat(store, settings, scripted.submit(store, exam(), ["judges/mumbling-70B"], pairs=True))
    judged = [run for run in done if run.judged]
    assert all(run.answered == QUESTIONS for run in judged)
    assert sum(run.tied for run in judged) > 0
    rated = of(done, "judges/mumbling-70B", "org/terse-1B")
    rows = list(export_rows(store, [rated.sweep_id], [rated.run_id]))
    assert {(row.extracted, row.points) for row in rows} == {("4", 0.4), (None, 0.0)}
    assert all(len(row.written) == 2 for row in rows)
    (progress,) = [run for run in records.progress(store, rated.sweep_id).runs if run.run_id == rated.run_id]
    assert progress.told == sum(row.extracted is not None for row in rows)
    assert progress.points == pytest.approx(0.4 * progress.told)


def test_a_judge_that_was_stopped_goes_on_and_judges_as_one_that_was_not(store: Store, settings: Settings) -> None:
    whole = sat(store, settings, scripted.submit(store, exam(), ["judges/reference-70B"], name="whole"))
    sweep = scripted.submit(store, exam(), ["judges/reference-70B"], name="stopped")
    for _ in range(6):
        drain(desk(store, settings, CountedLink(at=3)))
    stopped = sat(store, settings, sweep)

    def verdicts(done: list[RunRecord]) -> list[tuple[str, str | None]]:
        run = of(done, "judges/reference-70B", "org/terse-1B")
        return [(row.question_id, row.extracted) for row in export_rows(store, [run.sweep_id], [run.run_id])]

    assert verdicts(stopped) == verdicts(whole)


def test_another_judge_is_another_sweep_over_the_same_replies(store: Store, settings: Settings) -> None:
    paper = exam(open_=False)
    done = sat(store, settings, scripted.submit(store, paper, [], name="candidates"))
    specs = [candidate(paper, one) for one in CANDIDATES]
    stored = {sweeps.identity_of(run.spec): run.run_id for run in done}
    later = [judging("judges/longer-70B", one) for one in specs]
    sweep = sweeps.submit(store, request("later"), later, stored=stored).sweep_id
    judged = sat(store, settings, sweep)
    assert [run.judged[0].run_id for run in judged] == [run.run_id for run in done]
    assert sweeps.submit(store, request("later"), later, stored=stored).continued
    with pytest.raises(BadInput, match="isn't here"):
        sweeps.submit(store, request("nothing"), later, fresh=True)
