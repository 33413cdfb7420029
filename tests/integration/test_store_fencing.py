"""Nothing twice, nothing by halves, nothing from a worker whose time is over: on SQLite and PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert
from sqlalchemy.exc import IntegrityError

from proctor.errors import LeaseLost
from proctor.nouns.runs import Claim, Cost, Measures, RunStatus
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.reads.columns import answer_columns
from proctor.store.runs import runs, sweeps
from proctor.store.runs.tables import AnswerRow, PackRow
from tests.integration.store_world import LEASE_S, HandClock, card, claim, pack_of, provenance, record, spec, submit

WRITES: dict[str, Callable[[Store, Claim], Any]] = {
    "renew": runs.renew,
    "begin": lambda store, held: runs.begin(store, held, provenance()),
    "committed_packs": runs.committed_packs,
    "record": lambda store, held: record(store, held, 1),
    "finish": lambda store, held: runs.finish(store, held, Measures()),
    "fail": lambda store, held: runs.fail(store, held, "late"),
    "hand_back": runs.hand_back,
}


def snapshot(store: Store) -> list[records.RunRecord]:
    return records.runs(store, [sweeps.find(store, None).id])


@pytest.mark.parametrize("write", WRITES)
def test_a_stale_worker_writes_nothing(timed: Store, clock: HandClock, write: str) -> None:
    submit(timed, spec())
    stale = claim(timed, "stale")
    clock.go_on(LEASE_S + 1)
    claim(timed, "next")
    before = snapshot(timed)

    with pytest.raises(LeaseLost) as lost:
        WRITES[write](timed, stale)

    assert (lost.value.run_id, lost.value.attempt) == (stale.run_id, 1)
    assert snapshot(timed) == before
    assert len(answer_columns(timed, [stale.run_id]).run_id) == 0


@pytest.mark.parametrize("write", WRITES)
def test_after_cancel_no_answer_is_written(store: Store, write: str) -> None:
    sweep = submit(store, spec())
    held = claim(store)
    record(store, held, 0)
    sweeps.cancel(store, sweep.sweep_id)
    before = snapshot(store)

    with pytest.raises(LeaseLost):
        WRITES[write](store, held)

    assert snapshot(store) == before
    assert before[0].status is RunStatus.CANCELLED
    assert before[0].answered == 3


@pytest.mark.parametrize("write", WRITES)
def test_a_run_that_was_handed_back_takes_nothing_more(store: Store, write: str) -> None:
    submit(store, spec())
    held = claim(store)
    runs.hand_back(store, held)
    with pytest.raises(LeaseLost):
        WRITES[write](store, held)


def test_a_worker_that_only_was_slow_goes_on_if_nobody_took_its_run(timed: Store, clock: HandClock) -> None:
    submit(timed, spec())
    slow = claim(timed)
    clock.go_on(10 * LEASE_S)
    record(timed, slow, 0, 1)
    runs.finish(timed, slow, Measures())


def test_a_pack_is_recorded_once(store: Store) -> None:
    submit(store, spec())
    first = claim(store)
    record(store, first, 0)

    with pytest.raises(runs.AlreadyRecorded, match=r"Pack 0 .* by attempt 1"):
        record(store, first, 0)
    runs.hand_back(store, first)
    second = claim(store)
    with pytest.raises(runs.AlreadyRecorded):
        record(store, second, 0)

    (run,) = snapshot(store)
    assert (run.answered, len(answer_columns(store, [run.run_id]).run_id)) == (3, 3)


@pytest.mark.parametrize("row", [PackRow, AnswerRow])
def test_the_database_itself_refuses_a_second_copy(store: Store, row: type[PackRow | AnswerRow]) -> None:
    sweep = submit(store, spec())
    held = claim(store)
    record(store, held, 0)
    question = int(answer_columns(store, [held.run_id]).question[0])
    copies: dict[type[PackRow | AnswerRow], dict[str, object]] = {
        PackRow: {
            "run_id": held.run_id, "pack_index": 0, "sweep_id": sweep.sweep_id, "position": 99, "attempt": 1,
            "questions": 3, "recorded_at": store_now(store), "wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0,
        },
        AnswerRow: {
            "run_id": held.run_id, "question_id": question, "pack_index": 0, "shots": 1, "picked": 0, "correct": True,
            "prompt_hash": "ab" * 32, "options_logprob": (0.0,),
        },
    }  # fmt: skip

    with pytest.raises(IntegrityError), store.write() as session:
        session.connection().execute(insert(row), [copies[row]])


def store_now(store: Store) -> object:
    with store.read() as session:
        return store.now(session)


def test_a_pack_with_a_question_of_another_exam_is_refused_whole(store: Store) -> None:
    submit(store, spec(), spec(subject="zoology"))
    held, other = claim(store, "one"), claim(store, "other")
    with pytest.raises(KeyError):
        runs.record(store, held, 0, [*pack_of(held, 0), *pack_of(other, 0)], Cost())
    assert runs.committed_packs(store, held) == frozenset()
    assert [run.answered for run in snapshot(store)] == [0, 0]


def die_before(url: str, held: Claim, statement: str) -> None:
    """Record a pack, but be killed when the transaction comes to `statement`."""

    @event.listens_for(Engine, "before_cursor_execute")
    def kill(*given: Any) -> None:
        if str(given[2]).startswith(statement):
            os.kill(os.getpid(), signal.SIGKILL)

    with Store(url) as store:
        record(store, held, 0)


@pytest.mark.parametrize("statement", ["INSERT INTO answer", "UPDATE sweep", "INSERT INTO pack"])
def test_a_worker_killed_in_mid_transaction_leaves_nothing(store: Store, database_url: str, statement: str) -> None:
    submit(store, spec())
    held = claim(store)
    before = snapshot(store)

    process = multiprocessing.get_context("spawn").Process(target=die_before, args=(database_url, held, statement))
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL
    assert snapshot(store) == before
    assert len(answer_columns(store, [held.run_id]).run_id) == 0
    assert runs.committed_packs(store, held) == frozenset()
    record(store, held, 0)


def test_a_claim_that_fails_halfway_changes_nothing(store: Store) -> None:
    submit(store, spec())
    before = snapshot(store)

    def broken(*_given: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runs.claim_best(store, card(), None, broken, LEASE_S)
    assert snapshot(store) == before
