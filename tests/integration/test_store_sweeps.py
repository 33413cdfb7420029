"""Sweeps: submitted, submitted again, cancelled, retried, found; on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from datetime import UTC, date, datetime

import pytest
from sqlmodel import col, update

from proctor.errors import BadInput, UnknownName
from proctor.nouns.exams import Scoring
from proctor.nouns.models import Quant
from proctor.nouns.runs import Cost, Measures, Noise, RunStatus
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import runs, sweeps
from proctor.store.runs.tables import SweepRow
from tests.integration.store_world import (
    HandClock,
    card,
    claim,
    first_lane,
    provenance,
    record,
    request,
    seen_loads,
    sit,
    spec,
    submit,
)

NOISE = Noise(questions=6, flips=1, largest=0.25, mean=0.0625, pack_tokens=1024, wall_s=0.5)


def statuses(store: Store, sweep_id: int) -> list[RunStatus]:
    return [run.status for run in records.progress(store, sweep_id).runs]


def test_a_new_sweep_has_its_runs_pending_in_the_order_asked_for(store: Store) -> None:
    specs = [spec(subject="b"), spec(subject="a"), spec(subject="b", quant=Quant.FOUR_BIT)]
    made = submit(store, *specs, name="first")
    assert (made.name, made.continued, made.total, made.done, made.to_do) == ("first", False, 3, 0, 3)
    assert [run.spec for run in records.runs(store, [made.sweep_id])] == specs


def test_a_sweep_without_a_name_is_called_by_its_number(store: Store) -> None:
    made = submit(store, spec())
    assert made.name == f"sweep-{made.sweep_id}"
    assert sweeps.find(store, made.name).id == made.sweep_id


def test_what_was_asked_for_is_kept_as_it_was_said(store: Store) -> None:
    made = submit(store, spec(), name="kept", priority=4)
    assert sweeps.find(store, "kept").request == request("kept", 4)
    assert sweeps.find(store, str(made.sweep_id)).priority == 4


def test_that_noise_is_to_be_measured_is_kept_with_what_was_asked_for(store: Store) -> None:
    noisy = replace(request("noisy"), check_noise=True)
    submit(store, spec())
    sweeps.submit(store, noisy, [spec()], fresh=True)
    assert sweeps.find(store, "noisy").request == noisy


def test_the_same_sweep_submitted_again_repeats_nothing(store: Store) -> None:
    first = submit(store, spec(subject="a"), spec(subject="b"), spec(subject="c"))
    sit(store, claim(store))
    failed = claim(store)
    runs.fail(store, failed, "no such model", "Traceback", final=True)

    again = submit(store, spec(subject="c"), spec(subject="b"), spec(subject="a"), priority=7)

    assert again == sweeps.Submission(first.sweep_id, first.name, True, 3, 1, 2, 1)
    assert statuses(store, first.sweep_id) == [RunStatus.DONE, RunStatus.PENDING, RunStatus.PENDING]
    retried = records.runs(store, [first.sweep_id])[1]
    assert (retried.failures, retried.reason, retried.traceback) == (0, "", "")
    assert sweeps.find(store, None).priority == 7


def test_a_running_run_is_left_alone_by_submitting_again(store: Store) -> None:
    submit(store, spec())
    held = claim(store)
    again = submit(store, spec())
    assert (again.to_do, again.retried) == (1, 0)
    record(store, held, 0, 1)
    runs.finish(store, held, Measures())


def test_a_done_run_is_scored_again_for_its_noise_alone(store: Store) -> None:
    first = submit(store, spec(subject="a"), spec(subject="b"))
    sit(store, claim(store))
    noisy = replace(request(), check_noise=True)

    again = sweeps.submit(store, noisy, [spec(subject="a"), spec(subject="b")])

    assert (again.sweep_id, again.done, again.to_do, again.retried) == (first.sweep_id, 0, 2, 0)
    for _ in range(2):
        held = claim(store)
        assert held.check_noise
        runs.begin(store, held, provenance())
        record(store, held, *sorted({0, 1} - runs.committed_packs(store, held)))
        runs.finish(store, held, Measures(), NOISE)
    assert statuses(store, first.sweep_id) == [RunStatus.DONE] * 2
    assert [run.noise for run in records.runs(store, [first.sweep_id])] == [NOISE] * 2
    assert [(run.noise, run.answered) for run in records.progress(store, first.sweep_id).runs] == [(NOISE, 6)] * 2
    assert sweeps.submit(store, noisy, [spec(subject="a"), spec(subject="b")]).to_do == 0


def test_a_done_run_scored_again_for_its_noise_counts_once_into_its_lanes_pace(store: Store) -> None:
    submit(store, spec(subject="a"))
    held = claim(store)
    runs.begin(store, held, provenance())
    record(store, held, 0, 1)
    runs.finish(store, held, Measures(score=Cost(2.0), write=Cost(1.0)))
    sweeps.submit(store, replace(request(), check_noise=True), [spec(subject="a")])

    runs.finish(store, claim(store), Measures(score=Cost(9.0)), NOISE)

    submit(store, spec(subject="b"))  # so that something waits on the lane
    assert [load.mean_run_s for load in seen_loads(store)] == [3.0]


def test_a_sweep_that_does_not_ask_for_noise_leaves_done_runs_alone(store: Store) -> None:
    submit(store, spec())
    held = claim(store)
    assert not held.check_noise
    sit(store, held)
    assert submit(store, spec()).to_do == 0


def test_scoring_by_text_is_another_sweep_and_letters_are_known_by_their_old_fingerprint(store: Store) -> None:
    letters = spec()
    text = replace(letters, conditions=replace(letters.conditions, scoring=Scoring.TEXT))
    unsaid = asdict(letters)
    del (
        unsaid["conditions"]["scoring"],
        unsaid["conditions"]["template_date"],
        unsaid["conditions"]["shots_as_turns"],
        unsaid["conditions"]["brief"],
    )  # as specs were before there was a choice
    old = hashlib.sha256(json.dumps(unsaid, sort_keys=True).encode()).hexdigest()
    assert sweeps.fingerprint_of([letters]) == old
    assert submit(store, text).sweep_id != submit(store, letters).sweep_id
    assert [run.spec for run in records.runs(store, [1, 2])] == [text, letters]


def test_a_sweeps_templates_are_told_the_day_of_its_submission_or_the_one_that_was_named(store: Store) -> None:
    chat = replace(spec(), conditions=replace(spec().conditions, chat_template=True))
    named = replace(chat, conditions=replace(chat.conditions, template_date="2024-07-26"))
    assert submit(store, spec()).sweep_id == 1
    assert claim(store, "cpu@host:1").template_date is None
    made = submit(store, chat)
    long_ago = datetime(2025, 1, 31, 23, 59, tzinfo=UTC)
    with store.write() as session:
        session.exec(update(SweepRow).where(col(SweepRow.id) == made.sweep_id).values(created_at=long_ago))
    assert submit(store, chat).sweep_id == made.sweep_id  # the same command goes on, whatever day it is
    assert claim(store, "cpu@host:2").template_date == date(2025, 1, 31)
    assert submit(store, named).sweep_id not in (1, made.sweep_id)
    assert claim(store, "cpu@host:3").template_date == date(2024, 7, 26)


@pytest.mark.parametrize("other", [spec(quant=Quant.FOUR_BIT), spec("org/b"), spec(subject="b"), spec(size=5)])
def test_another_set_of_runs_is_another_sweep(store: Store, other: object) -> None:
    first = submit(store, spec())
    assert isinstance(other, type(spec()))
    assert submit(store, other).sweep_id != first.sweep_id
    assert submit(store, spec(), other).sweep_id != first.sweep_id


def test_a_run_named_twice_is_one_run(store: Store) -> None:
    assert submit(store, spec(), spec()).total == 1


def test_fresh_makes_a_new_sweep_and_leaves_the_old_one(store: Store) -> None:
    first = submit(store, spec(), name="nightly")
    sit(store, claim(store))
    fresh = submit(store, spec(), name="nightly", fresh=True)
    assert (fresh.continued, fresh.to_do) == (False, 1)
    assert statuses(store, first.sweep_id) == [RunStatus.DONE]
    assert sweeps.find(store, "nightly").id == fresh.sweep_id
    assert submit(store, spec()).sweep_id == fresh.sweep_id


def test_a_cancelled_sweep_is_not_continued_by_submitting_again(store: Store) -> None:
    first = submit(store, spec())
    sweeps.cancel(store, first.sweep_id)
    assert submit(store, spec()).sweep_id != first.sweep_id


def test_cancelling_stops_what_is_pending_or_running_and_keeps_the_rest(store: Store) -> None:
    made = submit(store, *(spec(subject=subject) for subject in "abcd"))
    sit(store, claim(store))
    runs.fail(store, claim(store), "no such model", final=True)
    claim(store)

    assert sweeps.cancel(store, made.sweep_id) == 2

    assert statuses(store, made.sweep_id) == [
        RunStatus.DONE,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
        RunStatus.CANCELLED,
    ]
    assert runs.claim_best(store, card(), None, first_lane, 30.0) is None
    assert runs.waiting(store, card()) == 0
    assert sweeps.find(store, None).cancelled_at is not None
    assert sweeps.cancel(store, made.sweep_id) == 0


def test_a_sweep_that_is_over_is_not_marked_as_cancelled(store: Store) -> None:
    made = submit(store, spec())
    sit(store, claim(store))

    assert sweeps.cancel(store, made.sweep_id) == 0

    assert sweeps.find(store, None).cancelled_at is None
    assert submit(store, spec()).sweep_id == made.sweep_id


def test_retry_resumes_a_cancelled_sweep_where_it_was(store: Store) -> None:
    made = submit(store, spec(subject="a"), spec(subject="b"), spec(subject="c"))
    record(store, claim(store, "cpu@host:1"), 0)
    for _ in range(2):
        sit(store, claim(store, "cpu@host:2"))
    sweeps.cancel(store, made.sweep_id)

    assert sweeps.retry(store, made.sweep_id) == 1

    assert sweeps.find(store, None).cancelled_at is None
    held = claim(store)
    assert held.attempt == 2
    assert runs.committed_packs(store, held) == {0}


def test_retry_counts_failures_anew(store: Store) -> None:
    made = submit(store, spec())
    for _ in range(3):
        runs.fail(store, claim(store), "out of memory")
    assert sweeps.retry(store, made.sweep_id) == 1
    runs.fail(store, claim(store), "out of memory")
    assert statuses(store, made.sweep_id) == [RunStatus.PENDING]
    assert sweeps.retry(store, made.sweep_id) == 0


def test_the_latest_is_the_one_submitted_last(timed: Store, clock: HandClock) -> None:
    first = submit(timed, spec(subject="a"), name="one")
    clock.go_on(1)
    second = submit(timed, spec(subject="b"), name="two")
    assert sweeps.find(timed, None).id == second.sweep_id
    assert sweeps.names(timed) == ["two", "one"]
    clock.go_on(1)
    submit(timed, spec(subject="a"))
    assert sweeps.find(timed, None).id == first.sweep_id


def test_a_name_of_digits_goes_before_a_number(store: Store) -> None:
    submit(store, spec(subject="a"))
    named = submit(store, spec(subject="b"), name="1")
    assert sweeps.find(store, "1").id == named.sweep_id


def test_an_unknown_sweep_is_named_with_the_nearest(store: Store) -> None:
    with pytest.raises(BadInput, match="no sweep yet"):
        sweeps.find(store, None)
    submit(store, spec(), name="nightly")
    for name in ("nightli", "99", "9" * 30, "²"):
        with pytest.raises(UnknownName, match="Unknown sweep") as unknown:
            sweeps.find(store, name)
        assert unknown.value.nearest == (("nightly",) if name == "nightli" else ())
    for act in (sweeps.cancel, sweeps.retry, records.progress):
        with pytest.raises(UnknownName):
            act(store, 99)


def test_a_sweep_that_can_never_finish_is_refused(store: Store) -> None:
    with pytest.raises(BadInput, match="no Runs"):
        sweeps.submit(store, request(), [])
    with pytest.raises(UnknownName, match="Unknown exam 'demo/astronomy'"):
        sweeps.submit(store, request(), [spec()])
    submit(store, spec())
    with pytest.raises(BadInput, match="asks 7 questions of astronomy, which has 6"):
        sweeps.submit(store, request(), [replace(spec(), questions=7)])
    assert len(records.overview(store)) == 1
