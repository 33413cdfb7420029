"""A Run whose process is killed again and again is, in the end, the Run that nobody disturbed: bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from functools import partial

import pytest

from proctor.nouns import ModelRef, Quant, RunStatus
from proctor.settings import Settings
from proctor.store.session import Store, open_store
from tests.chaos.scene import QUESTIONS, assert_every_answer_once, recorded_scores, runs_of, submit
from tests.integration.desks import CountedLink, make_desk
from workers.link import Link
from workers.sit import drain

KILLS = 5
PACKS = 3  # that each life records, before it is killed at the next

# Each life is a process of its own, forked from one that has imported everything.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__])


def live(settings: Settings, packs: int | None) -> None:
    """One worker's life: sit what there is to sit, killed after so many packs, or to the end."""
    die = partial(os.kill, os.getpid(), signal.SIGKILL)
    # `drain` looks before it claims, and once before each pack.
    link = Link() if packs is None else CountedLink(packs + 2, then=die)
    with open_store(settings) as store:
        drain(make_desk(store, settings, link))


def exit_code(settings: Settings, packs: int | None = None) -> int | None:
    life = processes.Process(target=live, args=(settings, packs))
    life.start()
    life.join()
    return life.exitcode


def scores_of(store: Store, sweep: int) -> Sequence[tuple[str, tuple[float, ...]]]:
    return sorted((question, row) for (_, question), row in recorded_scores(store, sweep).items())


@pytest.mark.parametrize("quant", [Quant.NONE, Quant.EIGHT_BIT])
def test_a_run_killed_five_times_is_the_undisturbed_run_bit_for_bit(
    settings: Settings, store: Store, model: ModelRef, quant: Quant
) -> None:
    undisturbed = submit(store, model, 1, quant)
    assert exit_code(settings) == 0
    disturbed = submit(store, model, 1, quant)
    answered = []
    for _ in range(KILLS):
        assert exit_code(settings, PACKS) == -signal.SIGKILL
        answered.append(runs_of(store, disturbed)[0].answered)
    assert 0 < answered[0] < answered[1] < answered[2] < answered[3] < answered[4] < QUESTIONS
    assert exit_code(settings) == 0
    (run,) = runs_of(store, disturbed)
    assert (run.status, run.attempt, run.failures) == (RunStatus.DONE, KILLS + 1, 0)
    assert_every_answer_once(store, disturbed)
    assert scores_of(store, disturbed) == scores_of(store, undisturbed)
