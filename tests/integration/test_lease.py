"""A worker's hold on its Run: how often it is renewed, and what the thread that renews it notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proctor.errors import LeaseLost
from proctor.nouns.runs import Claim, Cost, Measures
from proctor.retry import OutageRetry
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs import runs, steering
from tests.integration.broker_settings import on_sqlite
from tests.integration.store_world import LEASE_S, HandClock, card, claim, pack_of, provenance, record, spec, submit
from tests.support import wait_until
from workers.run.lease import Lease
from workers.run.liveness import Liveness


class Hurried(threading.Event):
    """Waits for a thousandth of the time that it is to wait, and keeps what that was."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        return super().wait(None if timeout is None else timeout / 1000)


class Lingering(threading.Event):
    """Whoever waits for it is held up for a moment after it is set, as by a renewal under way."""

    def wait(self, timeout: float | None = None) -> bool:
        found = super().wait(timeout)
        time.sleep(0.2)
        return found


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> Iterator[Store]:
    with open_store(on_sqlite(tmp_path), clock=clock) as opened:
        yield opened


def lease_of(store: Store, held: Claim) -> Lease:
    return Lease(store, held, OutageRetry(lambda _: False, 5.0), Liveness())


def test_a_lease_is_renewed_every_quarter_of_its_time_so_that_three_renewals_may_fail(
    store: Store, clock: HandClock
) -> None:
    submit(store, spec())
    lease = lease_of(store, claim(store))
    lease._left = hurried = Hurried()
    clock.go_on(LEASE_S + 1)
    with lease:
        wait_until(lambda: len(hurried.asked) > 4, "it was renewed four times")
    assert set(hurried.asked) == {LEASE_S / 4}
    assert runs.waiting(store, card("another")) == 0  # it isn't over any more


def test_a_renewal_notices_the_pause_and_the_loss(store: Store, clock: HandClock) -> None:
    made = submit(store, spec())
    held = claim(store, "one")
    lease = lease_of(store, held)
    lease._left = Hurried()
    with lease:
        assert not lease.paused
        steering.pause(store, made.sweep_id)
        wait_until(lambda: lease.paused, "the pause was noticed")
        runs.release(store, "one", "gone")
        wait_until(lambda: not lease._thread.is_alive(), "the loss was noticed")
        with pytest.raises(LeaseLost):
            lease.record(0, pack_of(held, 0), Cost())
        with pytest.raises(LeaseLost):
            lease.amend(provenance())
        with pytest.raises(LeaseLost):
            lease.finish(Measures())
        with pytest.raises(LeaseLost):
            lease.hand_back(Measures(), "")


def test_a_pack_that_was_recorded_at_a_try_without_an_answer_is_no_error(store: Store) -> None:
    submit(store, spec())
    held = claim(store)
    record(store, held, 0)
    lease_of(store, held).record(0, pack_of(held, 0), Cost())
    assert runs.committed_packs(store, held) == {0}


def test_a_run_that_is_begun_is_not_asked_for_packs(store: Store) -> None:
    submit(store, spec())
    first = claim(store, "one")
    assert lease_of(store, first).committed_packs() == frozenset()
    record(store, first, 1)
    runs.hand_back(store, first)
    assert lease_of(store, claim(store, "two")).committed_packs() == {1}


def test_a_lease_that_is_left_is_not_being_renewed_any_more(store: Store) -> None:
    submit(store, spec())
    lease = lease_of(store, claim(store))
    lease._left = Lingering()
    with lease:
        assert lease._thread.is_alive()
    assert not lease._thread.is_alive()


def test_a_lease_that_was_lost_writes_nothing_whatever_the_store_would_take(store: Store) -> None:
    submit(store, spec())
    held = claim(store)
    lease = lease_of(store, held)
    lease.begin(provenance())
    lease._lost.set()
    writes: tuple[Callable[[], None], ...] = (
        lambda: lease.record(0, pack_of(held, 0), Cost()),
        lambda: lease.amend(provenance()),
        lambda: lease.finish(Measures()),
        lambda: lease.hand_back(Measures(), ""),
    )
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    assert runs.committed_packs(store, held) == frozenset()
    assert runs.renew(store, held)  # it is still this worker's
