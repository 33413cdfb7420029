"""A worker's child, which holds the model and the Run, is killed or hangs."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from dataclasses import replace
from pathlib import Path

import psutil

from chat.client.client import Client
from proctor.embedded.command import Embedded, embedded
from proctor.errors import StoreUnavailable
from proctor.nouns.conversations import Finish
from proctor.nouns.models import Device, ModelRef
from proctor.nouns.runs import RunStatus
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs import runs
from tests.chaos.replies import attempts, ended, stored, struck, turn
from tests.chaos.scene import (
    assert_every_answer_once,
    outcomes,
    recompute,
    recorded_scores,
    runs_of,
    submit,
    wait_for_end,
    wait_for_middle,
    worker_child,
)
from tests.support import wait_until
from workers.engines.devices import own_device

WRITERS = "120"  # SQLite's lock of writers: a byte of the file beside the database ("WAL-mode file format", 2.3.1)
# Makes each tenth write of a pack count to a million and a half first, with the lock in its hands.
LONG_WRITE = """
    CREATE VIEW long_count AS
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500000)
        SELECT count(*) AS counted FROM n;
    CREATE TRIGGER long_write AFTER INSERT ON pack WHEN (SELECT count(*) FROM pack) % 10 = 0
        BEGIN SELECT counted FROM long_count; END;
"""
# Makes each claim count to fifteen million first: there is one before the child is to hang, and it must be met.
LONG_CLAIM = """
    CREATE VIEW long_count AS
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000000)
        SELECT count(*) AS counted FROM n;
    CREATE TRIGGER long_claim AFTER UPDATE ON run WHEN NEW.status = 'running' AND OLD.status = 'pending'
        BEGIN SELECT counted FROM long_count; END;
"""
EARLIER = WorkerCard("cpu@gone:1", "gone", Device.CPU, "a CPU", 1 << 30)


def test_a_sweep_whose_worker_child_is_killed_ends_with_every_answer_once_and_bit_for_bit(
    empty_url: str, tmp_path: Path, model: ModelRef
) -> None:
    settings = Settings(tmp_path, tmp_path / "cache", empty_url, lease_s=300.0)  # it outlasts the test
    with open_store(settings) as store:
        sweep = submit(store, model, subjects=2)
        with embedded(settings, "cpu") as crew:
            wait_for_middle(store, sweep)
            worker_child(crew).kill()
            wait_for_end(store, sweep)
        assert_every_answer_once(store, sweep)
        assert sorted(len(run.attempts) for run in runs_of(store, sweep)) == [1, 2]
        assert outcomes(store, sweep).count("lost") == 1
        assert recorded_scores(store, sweep) == recompute(store, sweep, own_device(Device.CPU))


def test_a_run_that_kills_its_worker_a_third_time_is_failed_and_the_work_goes_on(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    poison = submit(store, model, subjects=1)
    for _ in range(2):
        assert runs.claim_best(store, EARLIER, None, lambda _held, loads: loads[0].lane, lease_s=60.0) is not None
        runs.release(store, EARLIER.name, "killed for memory")
    with embedded(settings, "cpu") as crew:
        wait_until(lambda: runs_of(store, poison)[0].attempt == 3, "a worker was at the Run for the third time")
        worker_child(crew).kill()
        wait_for_end(store, poison)
        later = submit(store, model, subjects=1)
        wait_for_end(store, later)
    (failed,) = runs_of(store, poison)
    assert failed.status == RunStatus.FAILED
    assert "killed its worker three times" in failed.reason
    assert_every_answer_once(store, later)


def test_a_child_that_hangs_is_killed_and_its_run_goes_on(settings: Settings, store: Store, model: ModelRef) -> None:
    settings = replace(settings, lease_s=300.0, pack_limit_s=30.0)  # a load counts too
    sweep = submit(store, model, subjects=1)
    with contextlib.closing(sqlite3.connect(str(store.url.database))) as connection:
        connection.executescript(LONG_WRITE)
    with embedded(settings, "cpu") as crew:
        wait_for_middle(store, sweep)
        _hang_in_a_write(crew, store)
        wait_for_end(store, sweep)
    assert_every_answer_once(store, sweep)
    attempts = runs_of(store, sweep)[0].attempts
    assert [each.outcome for each in attempts] == ["lost", "done"], [each.reason for each in attempts]
    assert "taken for hung" in attempts[0].reason


def test_a_child_that_hangs_in_its_first_claim_is_killed_and_the_next_one_does_the_work(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    settings = replace(settings, lease_s=300.0, pack_limit_s=30.0)
    sweep = submit(store, model, subjects=1)
    with contextlib.closing(sqlite3.connect(str(store.url.database))) as connection:
        connection.executescript(LONG_CLAIM)
    with embedded(settings, "cpu") as crew:
        wait_until(lambda: any("@" in name for name in crew.groups), "a worker was started")
        _hang_in_a_write(crew, store)
        assert runs_of(store, sweep)[0].attempts == ()
        wait_for_end(store, sweep)
        assert _says(crew, "no sign of life for 3")
        assert _says(crew, "taken for hung")
    assert_every_answer_once(store, sweep)


def test_a_child_that_hangs_in_a_reply_is_killed_and_the_reply_goes_on(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    settings = replace(settings, lease_s=300.0, pack_limit_s=30.0)
    with embedded(settings, "cpu") as crew, Client(crew.broker_url) as client:
        client.on_silence = crew.check
        reply = struck(
            client, turn(model), lambda _: worker_child(crew).suspend(), lambda one: 2 in attempts(client, one)
        )
        assert _says(crew, "taken for hung")
    assert ended(reply) is not Finish.FAILED
    assert stored(store, reply) == (reply.text, reply.reader.tokens)


def test_a_worker_paused_for_longer_than_its_lease_writes_nothing_more(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    sweep = submit(store, model, subjects=1)
    with embedded(settings, "cpu") as first:
        wait_for_middle(store, sweep)
        paused = _pause(first, store)
        with embedded(settings, "cpu"):
            wait_for_end(store, sweep)
            before = recorded_scores(store, sweep)
            for process in paused:
                process.resume()
            wait_until(lambda: _says(first, "no longer holds"), "the paused worker found that its lease is lost")
    assert_every_answer_once(store, sweep)
    assert recorded_scores(store, sweep) == before
    assert outcomes(store, sweep) == ["lost", "done"]
    assert runs_of(store, sweep)[0].worker not in first.workers_up


def _pause(crew: Embedded, store: Store) -> list[psutil.Process]:
    """Stop a worker's parent and child, as a suspended machine would.

    Not in the middle of a write: on SQLite a stopped process would keep everybody out until it is killed.
    """
    child = worker_child(crew)
    stopped = [child, psutil.Process(child.ppid())]

    def paused_between_writes() -> bool:
        for process in stopped:
            process.send_signal(signal.SIGSTOP)
        if _can_be_written(store):
            return True
        for process in stopped:
            process.send_signal(signal.SIGCONT)
        return False

    wait_until(paused_between_writes, "the worker was paused between two writes")
    return stopped


def _hang_in_a_write(crew: Embedded, store: Store) -> None:
    """Stop a worker's child with SQLite's one lock in its hands: the hardest moment to hang in."""
    child = worker_child(crew)

    def hangs_in_a_write() -> bool:
        if not _is_writing(child.pid, store):
            return False
        child.suspend()
        wait_until(lambda: child.status() == psutil.STATUS_STOPPED, "the child was stopped")
        if _is_writing(child.pid, store):
            return True
        child.resume()
        return False

    wait_until(hangs_in_a_write, "the child hung in a write")


def _is_writing(pid: int, store: Store) -> bool:
    """Whether a process holds the lock of writers, by the kernel's list: trying to write would keep it waiting."""
    inode = Path(f"{store.url.database}-shm").stat().st_ino
    held = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(
        (words[3], int(words[4]), words[6]) == ("WRITE", pid, WRITERS) and words[5].endswith(f":{inode}")
        for words in held
        if words[1] == "POSIX"
    )


def _can_be_written(store: Store) -> bool:
    try:
        with Store(store.url.render_as_string(hide_password=False), timeout_s=0.2) as impatient, impatient.write():
            return True
    except StoreUnavailable:
        return False


def _says(crew: Embedded, words: str) -> bool:
    return any(words in path.read_text() for path in crew.log_path.parent.glob("cpu-*.log"))
