"""A worker that was started for one sweep: it serves that sweep only, and nobody of another counts on it."""

from __future__ import annotations

from proctor.store.database.session import Store
from proctor.store.runs import runs, workers
from tests.integration.store_world import LEASE_S, card, first_lane, seen_loads, spec, submit


def test_it_claims_of_its_own_sweep_only(store: Store) -> None:
    first = submit(store, spec(subject="tides"), name="first").sweep_id
    second = submit(store, spec(subject="birds"), name="second").sweep_id
    mine = card(sweep_id=second)
    assert runs.waiting(store, mine) == 1

    got = runs.claim_best(store, mine, None, first_lane, LEASE_S)

    assert got is not None
    assert got.spec.subject == "birds"
    assert runs.waiting(store, mine) == 0
    assert runs.claim_best(store, card("cpu@host:2", sweep_id=second), None, first_lane, LEASE_S) is None
    assert runs.waiting(store, card(sweep_id=first)) == 1


def test_a_lane_held_for_another_sweep_has_no_worker_for_this_one(store: Store) -> None:
    first = submit(store, spec(subject="tides"), name="first").sweep_id
    second = submit(store, spec(subject="birds"), name="second").sweep_id
    lane = spec(subject="tides").lane
    workers.heartbeat(store, card("cpu@host:1", sweep_id=first), lane)

    assert [load.workers for load in seen_loads(store, second)] == [0]
    assert [load.workers for load in seen_loads(store, first)] == [1]
    assert [load.workers for load in seen_loads(store, None)] == [0]

    workers.heartbeat(store, card("cpu@host:2"), lane)
    assert [load.workers for load in seen_loads(store, second)] == [1]
