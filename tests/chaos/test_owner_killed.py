"""The command that owns the embedded broker and the workers is killed, or one of the processes between."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from proctor.embedded.command import Embedded, embedded
from proctor.errors import BrokerUnavailable, WorkersUnavailable
from proctor.nouns.models import ModelRef
from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.session import Store
from tests.chaos.scene import (
    assert_every_answer_once,
    below,
    of_crew,
    outcomes,
    runs_of,
    submit,
    wait_for_end,
    wait_for_middle,
)
from tests.support import wait_until

GONE_S = 300.0  # a bound for hangs only: the guard promises 2 s, and bench/killed_command.py measures it
STARTED = 4  # guard, broker, launcher, worker's parent; and its child


@contextmanager
def owner(settings: Settings, sweep: int) -> Iterator[subprocess.Popen[bytes]]:
    """What `submit-sweep` does once the sweep is in the database, as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "scheduler.local", str(sweep)], env={**os.environ, **settings.environ()}
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def check_until_it_fails(crew: Embedded) -> None:
    for _ in range(1000):
        crew.check()
        time.sleep(0.01)


def test_a_killed_command_leaves_nothing_running_and_the_next_one_ends_its_sweep(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    sweep = submit(store, model, subjects=2)
    with owner(settings, sweep) as command:
        wait_for_middle(store, sweep)
        started = below(command.pid)
        assert len(started.recorded) > STARTED
        command.kill()
        command.wait()
        wait_until(lambda: started.running == [], "all that the command started was gone", GONE_S)
    # Its Run is given back at once where the launcher has the time for it, else when its lease is over; the next
    # command goes on either way, and the killed one is nobody's failure.
    assert set(outcomes(store, sweep)) <= {"done", "handed back", "running"}
    assert [run.failures for run in runs_of(store, sweep)] == [0, 0]
    with owner(settings, sweep) as command:
        assert command.wait(timeout=300) == 0
    assert_every_answer_once(store, sweep)


def test_an_interrupted_command_keeps_the_pack_and_hands_the_run_back(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    sweep = submit(store, model, subjects=1)
    with contextlib.suppress(KeyboardInterrupt), embedded(settings, "cpu") as crew:
        wait_for_middle(store, sweep)
        started = of_crew(crew)
        raise KeyboardInterrupt
    assert started.running == []
    (run,) = runs_of(store, sweep)
    assert (run.status, run.failures, outcomes(store, sweep)) == (RunStatus.PENDING, 0, ["handed back"])
    assert run.answered > 0


def test_a_killed_guard_takes_everything_with_it_and_the_command_is_told(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    sweep = submit(store, model, subjects=1)
    with embedded(settings, "cpu") as crew:
        wait_for_middle(store, sweep)
        started = of_crew(crew)
        guard = psutil.Process(crew.groups["launcher"]).parent()
        assert guard is not None
        guard.kill()
        wait_until(lambda: started.running == [], "all that the guard started was gone", GONE_S)
        with pytest.raises(BrokerUnavailable, match="guard"):
            check_until_it_fails(crew)


def test_a_killed_launcher_takes_its_workers_with_it_and_the_command_is_told(settings: Settings, store: Store) -> None:
    with embedded(settings, "cpu") as crew:
        wait_until(lambda: bool(crew.workers_up), "a worker was up")
        launcher = psutil.Process(crew.groups["launcher"])
        started = below(launcher.pid)
        assert len(started.recorded) == 2
        launcher.kill()
        wait_until(lambda: started.running == [], "parent and child of its worker were gone", GONE_S)
        with pytest.raises(WorkersUnavailable, match="launcher"):
            check_until_it_fails(crew)


def test_two_commands_at_once_do_not_disturb_each_other(settings: Settings, store: Store, model: ModelRef) -> None:
    mine, theirs = submit(store, model, subjects=1), submit(store, model, subjects=1)
    with owner(settings, theirs) as command, embedded(settings, "cpu") as crew:
        wait_until(lambda: bool(crew.workers_up), "a worker of ours was up")
        wait_for_middle(store, theirs)
        command.kill()
        wait_for_end(store, mine)
        wait_for_end(store, theirs)  # our worker takes over what they left
        crew.check()
    assert_every_answer_once(store, mine)
    assert_every_answer_once(store, theirs)
