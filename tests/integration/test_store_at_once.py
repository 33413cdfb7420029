"""Many processes and threads on one database: nothing is claimed twice, nobody is told that it is locked."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from sqlalchemy import text

from proctor.errors import LeaseLost
from proctor.nouns.models import Quant
from proctor.nouns.runs import Measures, RunStatus
from proctor.store.database.session import Store
from proctor.store.reads import records as reads
from proctor.store.reads import shown_answers
from proctor.store.reads.columns import answer_columns
from proctor.store.runs import runs, sweeps
from proctor.store.runs.exams import load_exam, save_exam
from scheduler.choose import choose
from tests.integration.store_world import LEASE_S, card, claim, exam, record, sit, spec, submit
from tests.support import wait_until

PROCESSES = 4


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """What `work` gives for 0, 1, …, called by `count` threads that start together."""
    start = threading.Barrier(count)

    def wait_and_work(number: int) -> object:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_work, range(count)))


def drain(url: str, name: str) -> list[int]:
    """Work as a worker does until nothing is left; the Runs that were done."""
    done = []
    held = None
    with Store(url) as store:
        while (got := runs.claim_best(store, card(name), held, choose, LEASE_S)) is not None:
            held = got.spec.lane
            sit(store, got)
            done.append(got.run_id)
    return done


def test_four_processes_claim_every_run_once(store: Store, database_url: str) -> None:
    sweep = submit(
        store,
        *(spec(f"org/{model}", subject, quant) for model in "ab" for subject in "cdefghij" for quant in Quant),
    )

    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        by_worker = list(pool.map(drain, [database_url] * PROCESSES, [f"worker {n}" for n in range(PROCESSES)]))

    claimed = Counter(run_id for done in by_worker for run_id in done)
    records = reads.runs(store, [sweep.sweep_id])
    assert claimed == Counter({run.run_id: 1 for run in records})
    assert {(run.status, run.attempt, run.answered) for run in records} == {(RunStatus.DONE, 1, 6)}
    assert len(answer_columns(store, list(claimed)).run_id) == 6 * len(records)


def test_workers_that_start_together_take_a_model_each(store: Store) -> None:
    submit(store, *(spec(f"org/{model}", subject) for model in "abcd" for subject in "xy"))

    def load(number: int) -> str:
        got = runs.claim_best(store, card(f"worker {number}"), None, choose, LEASE_S)
        assert got is not None
        return got.spec.model.name

    assert sorted(map(str, at_once(4, load))) == ["org/a", "org/b", "org/c", "org/d"]


def test_more_workers_than_runs_share_them_out(store: Store) -> None:
    submit(store, spec(subject="a"), spec(subject="b"), spec(subject="c"))

    def try_one(number: int) -> int | None:
        lane = spec().lane
        got = runs.claim_best(store, card(f"worker {number}"), lane, choose, LEASE_S)
        return None if got is None else got.run_id

    got = Counter(at_once(8, try_one))
    assert got.pop(None) == 5
    assert sorted(got.values()) == [1, 1, 1]


def test_two_who_submit_the_same_at_once_make_one_sweep(store: Store) -> None:
    specs = [spec(subject=subject) for subject in "abc"]
    submit(store, *specs, fresh=True)  # the exams are there; this one has another set of specs than the next
    made = at_once(6, lambda _: submit(store, *specs[:2]))

    assert len({one.sweep_id for one in made if isinstance(one, sweeps.Submission)}) == 1
    assert sum(one.continued for one in made if isinstance(one, sweeps.Submission)) == 5
    assert len(reads.overview(store)) == 2


def test_two_who_save_the_same_exam_at_once_keep_one(store: Store) -> None:
    at_once(6, lambda _: save_exam(store, exam()))
    assert load_exam(store, "demo", "astronomy", exam().content_hash) == exam()


def test_packs_come_in_the_order_of_their_commits_and_none_is_missed(store: Store) -> None:
    sweep = submit(store, *(spec(subject=subject) for subject in "abcdefgh"))
    held = [claim(store, f"worker {number}") for number in range(8)]
    working = threading.Event()
    seen: list[shown_answers.ShownAnswer] = []

    def watch() -> None:
        cursor = 0
        last = False
        while not last:
            last = working.is_set()  # one more look after the last commit
            batch = shown_answers.answers_after(store, sweep.sweep_id, cursor, 4)
            last = last and not batch.answers
            seen.extend(batch.answers)
            cursor = batch.cursor

    watcher = threading.Thread(target=watch)
    watcher.start()
    at_once(8, lambda number: record(store, held[number], 0, 1))
    working.set()
    watcher.join()

    assert Counter((shown.run_id, shown.question_index) for shown in seen) == Counter(
        {(one.run_id, index): 1 for one in held for index in range(6)}
    )


def test_cancelling_while_workers_record_leaves_what_was_committed(store: Store) -> None:
    sweep = submit(store, *(spec(subject=subject) for subject in "abcdef"))
    held = [claim(store, f"worker {number}") for number in range(6)]

    def work(number: int) -> bool:
        if number == 6:
            sweeps.cancel(store, sweep.sweep_id)
            return False
        try:
            record(store, held[number], 0, 1)
        except LeaseLost:
            return False
        return True

    at_once(7, work)

    for run in reads.runs(store, [sweep.sweep_id]):
        assert run.status is RunStatus.CANCELLED
        assert run.attempts[-1].outcome == "cancelled"
        assert len(answer_columns(store, [run.run_id]).run_id) == run.answered


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_a_release_while_its_worker_finishes_leaves_a_done_run_done(store: Store) -> None:
    made = submit(store, spec(subject="a"), spec(subject="b"))
    sit(store, claim(store, "one"))  # the lane has its row, for whose lock the next finish waits
    held = claim(store, "one")
    record(store, held, 0, 1)
    with ThreadPoolExecutor(2) as pool:
        with store.write() as session:
            session.connection().execute(text("UPDATE lane SET runs = runs"))
            finishing = pool.submit(runs.finish, store, held, Measures())
            wait_until(lambda: waiting_for_a_lock(store) == 1, "the worker waited in the middle of its last write")
            releasing = pool.submit(runs.release, store, "one", "killed by signal 9")
            wait_until(lambda: waiting_for_a_lock(store) == 2, "the launcher waited for the Run")
        assert (finishing.result(), releasing.result()) == (None, 0)
    assert [(run.status, run.failures) for run in reads.runs(store, [made.sweep_id])] == [(RunStatus.DONE, 0)] * 2


def waiting_for_a_lock(store: Store) -> int:
    """Transactions on this PostgreSQL database that wait for another."""
    asked = text(
        "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND datname = current_database()"
    )
    with store.read() as session:
        return int(session.connection().execute(asked).scalar_one())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_store_may_be_used_before_and_after_a_fork_on_both_sides(store: Store) -> None:
    submit(store, spec(), spec(subject="zoology"))
    claim(store, "parent")

    child = os.fork()
    if child == 0:
        status = 1
        try:
            sit(store, claim(store, "child"))
            status = 0
        finally:
            os._exit(status)
    runs.waiting(store, card())
    assert os.waitpid(child, 0)[1] == 0

    outcomes = [run.attempts[-1].outcome for run in reads.runs(store, [sweeps.find(store, None).id])]
    assert outcomes == ["running", "done"]
