"""Steering a sweep, and sharing workers between sweeps: what the next claim does, on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from proctor.errors import BadInput, LeaseLost, UnknownName
from proctor.nouns.runs import Cost, RunStatus
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import runs, steering, sweeps
from proctor.store.runs.steering import Left
from scheduler.choose import choose
from tests.integration.store_world import (
    LEASE_S,
    HandClock,
    card,
    claim,
    first_lane,
    pack_of,
    record,
    sit,
    spec,
    submit,
)


def claimed_sweep(store: Store, worker: str) -> int | None:
    """The sweep that a worker without a model is sent to by the real choice."""
    got = runs.claim_best(store, card(worker), None, choose, LEASE_S)
    return None if got is None else sweep_of(store, got.run_id)


def sweep_of(store: Store, run_id: int) -> int:
    return records.run(store, run_id).sweep_id


def test_nothing_of_a_paused_sweep_is_claimed(store: Store) -> None:
    made = submit(store, spec(subject="a"), spec(subject="b"))
    other = submit(store, spec("org/b"))
    assert steering.pause(store, made.sweep_id) == Left(pending=2, running=0)
    assert runs.waiting(store, card()) == 1
    assert claimed_sweep(store, "one") == other.sweep_id
    assert claimed_sweep(store, "two") is None
    assert steering.resume(store, made.sweep_id) == Left(pending=2, running=0)
    assert claimed_sweep(store, "two") == made.sweep_id


def test_a_lane_of_two_sweeps_goes_on_for_the_one_that_is_not_paused(store: Store) -> None:
    first, second = submit(store, spec()), submit(store, spec(), fresh=True)
    steering.pause(store, first.sweep_id)
    held = claim(store)
    assert sweep_of(store, held.run_id) == second.sweep_id


def test_a_worker_learns_of_the_pause_with_its_next_pack_and_what_it_kept_stays(store: Store) -> None:
    made = submit(store, spec())
    held = claim(store)
    assert runs.renew(store, held)
    assert runs.record(store, held, 0, pack_of(held, 0), Cost())
    assert steering.pause(store, made.sweep_id) == Left(pending=0, running=1)
    assert not runs.renew(store, held)
    assert not runs.record(store, held, 1, pack_of(held, 1), Cost())
    runs.hand_back(store, held, reason="its sweep was paused")
    (run,) = records.runs(store, [made.sweep_id])
    assert (run.status, run.failures, run.answered) == (RunStatus.PENDING, 0, held.spec.questions)
    assert run.attempts[0].reason == "its sweep was paused"


def test_a_dead_workers_run_of_a_paused_sweep_waits_until_it_goes_on(timed: Store, clock: HandClock) -> None:
    made = submit(timed, spec())
    claim(timed, "one")
    steering.pause(timed, made.sweep_id)
    clock.go_on(LEASE_S + 1)
    assert runs.waiting(timed, card("two")) == 0
    assert claimed_sweep(timed, "two") is None
    assert steering.resume(timed, made.sweep_id) == Left(pending=1, running=0)
    assert claimed_sweep(timed, "two") == made.sweep_id


def test_a_sweep_that_is_submitted_again_is_no_longer_paused(store: Store) -> None:
    made = submit(store, spec())
    assert not made.resumed
    steering.pause(store, made.sweep_id)
    again = submit(store, spec())
    assert (again.sweep_id, again.resumed) == (made.sweep_id, True)
    assert sweeps.find(store, str(made.sweep_id)).paused_at is None


def test_pausing_twice_keeps_the_first_time_and_is_shown(timed: Store, clock: HandClock) -> None:
    made = submit(timed, spec())
    steering.pause(timed, made.sweep_id)
    paused_at = clock.now
    clock.go_on(60)
    steering.pause(timed, made.sweep_id)
    assert sweeps.find(timed, None).paused_at == paused_at
    assert records.progress(timed, made.sweep_id).paused_at == paused_at
    assert [each.paused_at for each in records.overview(timed)] == [paused_at]


def test_a_cancelled_sweep_is_not_paused_and_a_paused_one_that_was_cancelled_goes_on_by_retry(store: Store) -> None:
    made = submit(store, spec())
    steering.pause(store, made.sweep_id)
    sweeps.cancel(store, made.sweep_id)
    for steer in (steering.pause, steering.resume):
        with pytest.raises(BadInput, match="is cancelled") as refused:
            steer(store, made.sweep_id)
        assert f"proctor retry {made.sweep_id}" in refused.value.next_step
    sweeps.retry(store, made.sweep_id)
    assert claimed_sweep(store, "one") == made.sweep_id


def test_a_priority_that_is_changed_while_running_holds_from_the_next_claim_on(store: Store) -> None:
    early = submit(store, spec("org/a"), spec("org/a", "zoology"))
    late = submit(store, spec("org/b"))
    first = runs.claim_best(store, card("one"), None, choose, LEASE_S)
    assert first is not None
    sit(store, first)
    assert steering.prioritize(store, late.sweep_id, 3) == 0
    got = runs.claim_best(store, card("one"), first.spec.lane, choose, LEASE_S)
    assert got is not None
    assert sweep_of(store, got.run_id) == late.sweep_id
    assert steering.prioritize(store, early.sweep_id, 4) == 0
    assert records.progress(store, early.sweep_id).priority == 4


@pytest.mark.parametrize("priority", [-10, 10])
def test_the_highest_and_the_lowest_priority_are_taken(store: Store, priority: int) -> None:
    made = submit(store, spec())
    steering.prioritize(store, made.sweep_id, priority)
    assert records.progress(store, made.sweep_id).priority == priority


def test_a_priority_out_of_range_and_an_unknown_sweep_are_named(store: Store) -> None:
    made = submit(store, spec())
    for priority in (-11, 11):
        with pytest.raises(BadInput, match=f"Priority {priority}"):
            steering.prioritize(store, made.sweep_id, priority)
    for steer in (steering.pause, steering.resume):
        with pytest.raises(UnknownName, match="'77'"):
            steer(store, 77)
    with pytest.raises(UnknownName, match="'77'"):
        steering.prioritize(store, 77, 1)


def test_a_cancelled_run_takes_no_answer_and_a_retried_one_goes_on_with_what_it_has(store: Store) -> None:
    made = submit(store, spec())
    held = claim(store)
    record(store, held, 0)
    sweeps.cancel(store, made.sweep_id)
    with pytest.raises(LeaseLost):
        runs.record(store, held, 1, pack_of(held, 1), Cost())
    assert sweeps.retry(store, made.sweep_id) == 1
    again = claim(store)
    assert runs.committed_packs(store, again) == {0}


def test_a_sweep_that_nobody_serves_gets_one_of_several_workers_at_its_next_run(store: Store) -> None:
    large = submit(store, *(spec("org/a", subject) for subject in "abcdef"))
    held = spec("org/a").lane
    first = runs.claim_best(store, card("one"), None, choose, LEASE_S)
    second = runs.claim_best(store, card("two"), None, choose, LEASE_S)
    assert first is not None
    assert second is not None
    small = submit(store, spec("org/z", "a"), spec("org/z", "b"))
    sit(store, first)
    moved = runs.claim_best(store, card("one"), held, choose, LEASE_S)
    sit(store, second)
    stayed = runs.claim_best(store, card("two"), held, choose, LEASE_S)
    assert moved is not None
    assert stayed is not None
    assert [sweep_of(store, got.run_id) for got in (moved, stayed)] == [small.sweep_id, large.sweep_id]
    sit(store, moved)
    went_on = runs.claim_best(store, card("one"), moved.spec.lane, choose, LEASE_S)
    assert went_on is not None
    assert went_on.spec.lane == moved.spec.lane


def test_sweeps_take_turns_with_a_single_worker_lane_by_lane(timed: Store, clock: HandClock) -> None:
    large = submit(timed, *(spec(f"org/{name}", subject) for name in "abc" for subject in ("x", "y")))
    small = submit(timed, spec("org/y"), spec("org/z"))
    held, order = None, []
    for _ in range(8):
        clock.go_on(1)
        got = runs.claim_best(timed, card("one"), held, choose, LEASE_S)
        assert got is not None
        held = got.spec.lane
        order.append(sweep_of(timed, got.run_id))
        sit(timed, got)
    one, two = large.sweep_id, small.sweep_id
    assert order == [one, one, two, one, one, two, one, one]


def test_the_simplest_choice_never_sees_what_is_paused(store: Store) -> None:
    made = submit(store, spec())
    steering.pause(store, made.sweep_id)
    assert runs.claim_best(store, card(), spec().lane, first_lane, LEASE_S) is None


def test_a_download_that_moves_is_not_taken_for_hung_and_a_silent_one_is(timed: Store, clock: HandClock) -> None:
    submit(timed, spec())
    held = claim(timed, "one")
    for _ in range(5):
        clock.go_on(LEASE_S - 1)
        runs.renew(timed, held, moved=True)
    assert runs.overdue(timed, "one", limit_s=60.0) is None
    for _ in range(5):
        clock.go_on(LEASE_S - 1)
        runs.renew(timed, held)
    late = runs.overdue(timed, "one", limit_s=60.0)
    assert late is not None
    assert late.silent_s == 5 * (LEASE_S - 1)
