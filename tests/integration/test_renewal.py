"""The leases of replies under way: renewed every quarter, lost ones told, and known to be held or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctor.nouns.conversations import History, Role, Sampling, Utterance
from proctor.nouns.models import Device, ModelRef, ModelSource, Quant
from proctor.store.conversations import conversations, turns
from proctor.store.conversations.filing import Filing, file_turn
from proctor.store.conversations.turns import Kept, TurnClaim
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests.integration.broker_settings import on_sqlite
from tests.integration.store_world import HandClock, card
from tests.support import wait_until
from workers.conversation.leases import ReplyLeases

LEASE_S = 30.0


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> Iterator[Store]:
    with open_store(on_sqlite(tmp_path), clock=clock) as opened:
        yield opened


def claimed(store: Store, *ids: str) -> list[TurnClaim]:
    for name in ids:
        filing = Filing(
            turn_id=name,
            conversation_id=f"of {name}",
            model=ModelRef("smollm2", ModelSource.DEMO, "r1"),
            quant=Quant.NONE,
            device=Device.CPU,
            sampling=Sampling(seed=7),
            history=History.SUMMARY,
            broker="b1",
            say=(Utterance(Role.USER, "Hello"),),
        )
        lane = file_turn(store, filing).lane
    return list(turns.claim(store, card("w1"), "b1", lane, len(ids), LEASE_S).claims)


def test_a_renewal_keeps_how_far_replies_are_and_tells_which_are_lost(store: Store, clock: HandClock) -> None:
    one, two = claimed(store, "t1", "t2")
    kept = [Kept(one, (5, 6), "Hi"), Kept(two, (7,), "Lo")]
    renewal = ReplyLeases(store, LEASE_S, lambda: kept)
    turns.hand_back(store, kept[1])
    clock.go_on(LEASE_S - 1)
    renewal.renew()
    assert renewal.lost == {"t2"}
    told = conversations.find_turn(store, "t1")
    assert told is not None
    assert (told.content, told.token_ids) == ("Hi", (5, 6))
    clock.go_on(LEASE_S - 1)
    (other,) = turns.claim(store, card("w2"), "b1", one.lane, 9, LEASE_S).claims
    assert other.turn_id == "t2"
    clock.go_on(2)  # renewed more than a lease ago, the first is over
    (again,) = turns.claim(store, card("w3"), "b1", one.lane, 9, LEASE_S).claims
    assert (again.turn_id, again.token_ids) == ("t1", (5, 6))
    renewal.renew()
    assert renewal.lost == {"t1", "t2"}


def test_leases_are_sure_for_their_time_after_a_claim_or_a_renewal_and_not_before(store: Store) -> None:
    kept: list[Kept] = []
    renewal, over = ReplyLeases(store, 3600.0, lambda: kept), ReplyLeases(store, 0.0, lambda: kept)
    sure = [renewal.sure]
    renewal.claimed()
    over.claimed()
    sure += [renewal.sure, over.sure]
    kept += [Kept(claim, (), "") for claim in claimed(store, "t1")]
    late = ReplyLeases(store, 3600.0, lambda: kept)
    late.claimed()  # others are under way, of which nobody knows whether they are held yet
    sure.append(late.sure)
    late.renew()
    sure.append(late.sure)
    assert sure == [False, True, False, False, True]
    assert late.lost == set()


def test_leases_of_replies_are_renewed_every_quarter(store: Store) -> None:
    asked: list[float | None] = []

    class Hurried(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            asked.append(timeout)
            return super().wait(None if timeout is None else timeout / 1000)

    renewal = ReplyLeases(store, LEASE_S, list)
    renewal._left = Hurried()
    renewal.start()
    wait_until(lambda: len(asked) > 3, "it was renewed three times")
    renewal.stop()
    renewal._thread.join()
    assert set(asked) == {LEASE_S / 4}
    assert renewal.sure
