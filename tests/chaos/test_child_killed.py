"""A worker's child, which holds the model and the Run, is killed or hangs."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import psutil

from proctor.broker.embedded import Embedded, embedded
from proctor.nouns import ModelRef, RunStatus
from proctor.settings import Settings
from proctor.store.session import Store, open_store
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


def test_a_sweep_whose_worker_child_is_killed_ends_with_every_answer_once_and_bit_for_bit(
    each_database: str, tmp_path: Path, model: ModelRef
) -> None:
    settings = Settings(
        tmp_path, tmp_path / "cache", each_database, lease_s=300.0
    )  # not the lease: it outlasts the test
    with open_store(settings) as store:
        sweep = submit(store, model, subjects=3)
        with embedded(settings, "cpu") as crew:
            wait_for_middle(store, sweep)
            worker_child(crew).kill()
            wait_for_end(store, sweep)
        assert_every_answer_once(store, sweep)
        assert sorted(len(run.attempts) for run in runs_of(store, sweep)) == [1, 1, 2]
        assert outcomes(store, sweep).count("lost") == 1
        assert recorded_scores(store, sweep) == recompute(store, sweep)


def test_a_run_that_kills_its_worker_three_times_is_failed_and_the_sweep_goes_on(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    sweep = submit(store, model, subjects=2)
    with embedded(settings, "cpu") as crew:
        for attempt in (1, 2, 3):
            poison, _ = runs_of(store, sweep)
            wait_until(lambda: _is_at(store, sweep, attempt), f"attempt {attempt} of the first Run")  # noqa: B023 -- within this turn
            worker_child(crew).kill()
            wait_until(lambda: runs_of(store, sweep)[0].failures == attempt, "the loss was counted")  # noqa: B023 -- within this turn
        wait_for_end(store, sweep)
    poison, other = runs_of(store, sweep)
    assert (poison.status, other.status) == (RunStatus.FAILED, RunStatus.DONE)
    assert "killed its worker three times" in poison.reason


def test_a_child_that_hangs_is_killed_and_its_run_goes_on(settings: Settings, store: Store, model: ModelRef) -> None:
    settings = replace(settings, lease_s=60.0, pack_limit_s=2.0)
    sweep = submit(store, model, subjects=1)
    with embedded(settings, "cpu") as crew:
        wait_for_middle(store, sweep)
        worker_child(crew).suspend()
        wait_for_end(store, sweep)
    assert_every_answer_once(store, sweep)
    lost, done = runs_of(store, sweep)[0].attempts
    assert (lost.outcome, done.outcome) == ("lost", "done")
    assert "taken for hung" in lost.reason


def test_a_worker_paused_for_longer_than_its_lease_writes_nothing_more(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    sweep = submit(store, model, subjects=1)
    with embedded(settings, "cpu") as first:
        wait_for_middle(store, sweep)
        paused = _pause(first)
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


def _is_at(store: Store, sweep: int, attempt: int) -> bool:
    run = runs_of(store, sweep)[0]
    return run.status == RunStatus.RUNNING and run.attempt == attempt


def _pause(crew: Embedded) -> list[psutil.Process]:
    """Stop a worker's parent and child, as a suspended machine would."""
    child = worker_child(crew)
    stopped = [child, psutil.Process(child.ppid())]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    return stopped


def _says(crew: Embedded, words: str) -> bool:
    return any(words in path.read_text() for path in crew.log_path.parent.glob("cpu-*.log"))
