"""What a worker is given: only what its device, its memory and its libraries can do; and what nobody can."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proctor.errors import LeaseLost
from proctor.nouns.models import Device, Lane, Quant
from proctor.nouns.runs import RunStatus
from proctor.nouns.workers import WorkerCard
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import eligibility, runs, sweeps, workers
from proctor.store.runs.exams import save_exam
from tests.integration.store_world import LEASE_S, HandClock, card, claim, exam, first_lane, request, spec, submit

GB = 1_000_000_000
SMALL = replace(card("small"), memory_bytes=4 * GB)
LARGE = replace(card("large"), memory_bytes=16 * GB)


def submit_needing(store: Store, needs: dict[str, int], fresh: bool = False) -> int:
    """A sweep of one Run a model, with the memory that each needs; returns its number."""
    save_exam(store, exam())
    specs = [spec(model) for model in needs]
    made = sweeps.submit(store, request(), specs, {one.lane: needs[one.model.name] for one in specs}, fresh=fresh)
    return made.sweep_id


def models_given(store: Store, me: WorkerCard) -> list[str]:
    """The models of all the Runs that a worker is given, one after the other."""
    given = []
    while (got := runs.claim_best(store, me, None, first_lane, LEASE_S)) is not None:
        given.append(got.spec.model.name)
        runs.fail(store, got, "not sat in this test", final=True)
    return given


def test_a_worker_is_given_only_what_fits_into_its_memory(store: Store) -> None:
    submit_needing(store, {"org/a": 3 * GB, "org/b": 12 * GB, "org/c": 4 * GB})
    assert runs.waiting(store, SMALL) == 2
    assert models_given(store, SMALL) == ["org/a", "org/c"]
    assert models_given(store, LARGE) == ["org/b"]


def test_what_is_not_known_to_be_too_large_is_tried(store: Store) -> None:
    submit(store, spec("org/a"))
    assert models_given(store, SMALL) == ["org/a"]


def test_one_lane_may_hold_runs_that_fit_and_runs_that_do_not(store: Store) -> None:
    large = submit_needing(store, {"org/a": 12 * GB})
    small = submit_needing(store, {"org/a": 3 * GB}, fresh=True)
    assert models_given(store, SMALL) == ["org/a"]
    assert records.progress(store, small).count(RunStatus.FAILED) == 1
    assert records.progress(store, large).count(RunStatus.PENDING) == 1


def test_a_worker_without_bitsandbytes_is_given_no_quantized_model(store: Store) -> None:
    submit(store, spec("org/a", quant=Quant.FOUR_BIT), spec("org/b"))
    plain = replace(card("plain"), quants=(Quant.NONE,))
    assert runs.waiting(store, plain) == 1
    assert models_given(store, plain) == ["org/b"]
    assert models_given(store, card("able")) == ["org/a"]


def test_what_a_worker_refused_it_is_not_given_again(store: Store) -> None:
    made = submit(store, spec("org/a", "x"), spec("org/a", "y"))
    held = claim(store, "one")
    assert runs.refuse(store, held, card("one"), "it needs 9 GB", whole_lane=True) is RunStatus.PENDING
    assert runs.waiting(store, card("one")) == 0
    assert models_given(store, card("one")) == []
    (run, _other) = records.runs(store, [made.sweep_id])
    assert (run.failures, run.attempts[0].outcome, run.attempts[0].reason) == (0, "handed back", "it needs 9 GB")
    assert models_given(store, card("two")) == ["org/a", "org/a"]


def test_a_single_run_may_be_refused_and_its_lane_goes_on(store: Store) -> None:
    submit(store, spec("org/a", "x"), spec("org/a", "y"))
    held = claim(store, "one")
    runs.refuse(store, held, card("one"), "it was begun in another type", whole_lane=False)
    assert runs.waiting(store, card("one")) == 1
    assert models_given(store, card("one")) == ["org/a"]
    assert models_given(store, card("two")) == ["org/a"]


def test_a_refusal_is_fenced_like_any_write(timed: Store, clock: HandClock) -> None:
    submit(timed, spec())
    held = claim(timed, "one")
    clock.go_on(LEASE_S + 1)
    claim(timed, "two")
    with pytest.raises(LeaseLost):
        runs.refuse(timed, held, card("one"), "too late", whole_lane=True)
    assert runs.waiting(timed, card("one")) == 0  # the other has it
    runs.release(timed, "two", "gone", counted=False)
    assert runs.waiting(timed, card("one")) == 1


def test_a_worker_started_for_one_sweep_fails_a_run_that_nobody_else_could_take(store: Store) -> None:
    made = submit(store, spec("org/a"))
    me = card("one", sweep_id=made.sweep_id)
    held = runs.claim_best(store, me, None, first_lane, LEASE_S)
    assert held is not None
    assert runs.refuse(store, held, me, "it needs 9 GB", whole_lane=True) is RunStatus.FAILED
    (run,) = records.runs(store, [made.sweep_id])
    assert (run.status, run.reason) == (RunStatus.FAILED, "it needs 9 GB")


def test_a_worker_started_for_one_sweep_leaves_a_run_to_another_that_can_take_it(store: Store) -> None:
    made = submit(store, spec("org/a"))
    me, other = card("one", sweep_id=made.sweep_id), card("two", sweep_id=made.sweep_id)
    workers.register(store, other)
    held = runs.claim_best(store, me, None, first_lane, LEASE_S)
    assert held is not None
    assert runs.refuse(store, held, me, "it needs 9 GB", whole_lane=True) is RunStatus.PENDING
    assert models_given(store, other) == ["org/a"]


def test_several_runs_that_another_refused_one_by_one_are_failed_where_nobody_else_could_take_them(
    store: Store,
) -> None:
    made = submit(store, spec("org/a", "x"), spec("org/a", "y"))
    me, other = card("one", sweep_id=made.sweep_id), card("two", sweep_id=made.sweep_id)
    workers.register(store, me)
    for worker, left in ((other, RunStatus.PENDING), (me, RunStatus.FAILED)):
        for _ in range(2):
            held = runs.claim_best(store, worker, None, first_lane, LEASE_S)
            assert held is not None
            assert runs.refuse(store, held, worker, "begun in another type", whole_lane=False) is left


def test_a_run_that_nobody_alive_can_take_is_told_with_what_it_needs(store: Store) -> None:
    made = submit_needing(store, {"org/a": 40 * GB, "org/b": 12 * GB})
    lane = spec("org/a").lane
    nobody = eligibility.unservable(store)
    assert [(each.lane, each.runs, each.needs_bytes) for each in nobody] == [
        (lane, 1, 40 * GB),
        (spec("org/b").lane, 1, 12 * GB),
    ]
    assert nobody[0].reasons == ("no worker for cpu is alive",)
    workers.register(store, LARGE)
    workers.register(store, replace(card("gpu0"), device=Device.GPU, memory_bytes=80 * GB))
    (left,) = eligibility.unservable(store, made)
    assert left == eligibility.Unservable(lane, 1, 40 * GB, ("large has 16.0 GB (two cores)",))
    workers.register(store, replace(card("huge"), memory_bytes=64 * GB))
    assert eligibility.unservable(store) == []


def test_what_every_worker_refused_is_told_with_their_reasons_until_one_comes_that_may_take_it(store: Store) -> None:
    submit(store, spec("org/a"))
    held = claim(store, "one")
    runs.refuse(store, held, card("one"), "transformers 5.24 knows no such architecture", whole_lane=True)
    (told,) = eligibility.unservable(store)
    assert told.reasons == ("one tried: transformers 5.24 knows no such architecture",)
    workers.register(store, card("two"))
    assert eligibility.unservable(store) == []
    workers.leave(store, "one")
    workers.register(store, card("one"))  # its libraries may be others now
    assert models_given(store, card("one")) == ["org/a"]


def test_patterns_and_quantizations_are_among_the_reasons(store: Store) -> None:
    submit(store, spec("org/a", quant=Quant.EIGHT_BIT))
    workers.register(store, card("picky", lanes=("cpu/org/b/*",)))
    workers.register(store, replace(card("plain"), quants=(Quant.NONE,)))
    (told,) = eligibility.unservable(store)
    assert set(told.reasons) == {
        "picky serves cpu/org/b/* only",
        "plain can't do 8bit: its bitsandbytes is missing, or its device too old",
    }


def test_a_card_comes_back_from_the_database_as_it_was_registered(store: Store) -> None:
    mine = replace(card("one"), quants=(Quant.NONE, Quant.FOUR_BIT), versions={"torch": "2.13"})
    workers.heartbeat(store, mine, Lane(Device.CPU, "org/a", Quant.NONE), "the hub can't be reached")
    (record,) = workers.listing(store)
    assert (record.card, record.waits_for) == (mine, "the hub can't be reached")
