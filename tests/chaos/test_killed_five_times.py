"""A Run whose process is killed again and again is, in the end, the Run that nobody disturbed: bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest

from proctor.nouns.exams import Pack, Prompt
from proctor.nouns.models import ModelRef, Quant
from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests import tiny
from tests.chaos.scene import FEW, assert_every_answer_once, recorded_scores, runs_of, submit_few
from tests.integration.desks import CountedLink, make_desk
from tests.models import of_hf
from workers.channel import Channel
from workers.drain import drain
from workers.engines.base import Engine, LoadRequest
from workers.engines.scoring import PackScores, Prepared, Scorer
from workers.models.held import Models
from workers.models.loading import engine_loader
from workers.run.noise import spread

KILLS = 5
PACKS = 3  # that each life records, before it is killed at the next

# Each life is a process of its own, forked from one that has imported everything.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__])


def live(settings: Settings, packs: int | None) -> None:
    """One worker's life: sit what there is to sit, killed after so many packs, or to the end."""
    die = partial(os.kill, os.getpid(), signal.SIGKILL)
    # `drain` looks before it claims, and once before each pack.
    channel = Channel() if packs is None else CountedLink(packs + 2, then=die)
    with open_store(settings) as store:
        drain(make_desk(store, settings, channel))


class MortalScorer:
    """A model's own scorer; the process is killed at the third pack of questions that were scored before."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.name = scorer, scorer.name
        self.scored: set[int] = set()
        self.again = 0

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        return self.scorer.prepare(prompts)

    def score(self, prepared: Prepared, pack: Pack) -> PackScores:
        self.again += self.scored.issuperset(pack.members)
        self.scored.update(pack.members)
        if self.again == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.scorer.score(prepared, pack)


def live_until_the_noise_pass(settings: Settings) -> None:
    """One worker's life that is killed in the middle of its first Run's noise check."""

    def load(request: LoadRequest) -> Engine:
        engine = of_hf(engine_loader(tiny.CPU, settings.cache)(request))
        return replace(engine, scorer=MortalScorer(engine.scorer))

    with open_store(settings) as store:
        drain(make_desk(store, settings, models=Models(tiny.CPU, load)))


def exit_code(settings: Settings, packs: int | None = None) -> int | None:
    return exit_code_of(live, settings, packs)


def exit_code_of(target: Callable[..., None], *arguments: object) -> int | None:
    life = processes.Process(target=target, args=arguments)
    life.start()
    life.join()
    return life.exitcode


def scores_of(store: Store, sweep: int) -> Sequence[tuple[str, tuple[float, ...]]]:
    return sorted((question, row) for (_, question), row in recorded_scores(store, sweep).items())


@pytest.mark.parametrize("quant", [Quant.NONE, Quant.EIGHT_BIT])
def test_a_run_killed_five_times_is_the_undisturbed_run_bit_for_bit(
    settings: Settings, store: Store, model: ModelRef, quant: Quant
) -> None:
    undisturbed = submit_few(store, model, 1, quant)
    assert exit_code(settings) == 0
    disturbed = submit_few(store, model, 1, quant)
    answered = []
    for _ in range(KILLS):
        assert exit_code(settings, PACKS) == -signal.SIGKILL
        answered.append(runs_of(store, disturbed)[0].answered)
    assert 0 < answered[0] < answered[1] < answered[2] < answered[3] < answered[4] < FEW
    assert exit_code(settings) == 0
    (run,) = runs_of(store, disturbed)
    assert (run.status, run.attempt, run.failures) == (RunStatus.DONE, KILLS + 1, 0)
    assert_every_answer_once(store, disturbed)
    assert scores_of(store, disturbed) == scores_of(store, undisturbed)


def test_a_run_killed_in_its_noise_check_has_the_noise_of_an_undisturbed_one_and_its_answers_once(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    undisturbed = submit_few(store, model, 1, Quant.EIGHT_BIT, check_noise=True)
    assert exit_code(settings) == 0
    disturbed = submit_few(store, model, 1, Quant.EIGHT_BIT, check_noise=True)
    assert exit_code_of(live_until_the_noise_pass, settings) == -signal.SIGKILL
    (killed,) = runs_of(store, disturbed)
    assert (killed.status, killed.answered, killed.noise) == (RunStatus.RUNNING, FEW, None)
    assert exit_code(settings) == 0
    (first,), (second,) = (runs_of(store, sweep) for sweep in (undisturbed, disturbed))
    assert (second.status, second.attempt, second.failures) == (RunStatus.DONE, 2, 0)
    assert_every_answer_once(store, disturbed)
    assert scores_of(store, disturbed) == scores_of(store, undisturbed)
    assert first.noise is not None
    assert second.noise is not None
    assert first.noise.questions == len(spread(FEW))
    assert first.noise.largest > 1e-3  # 8 bit: there is noise to see
    assert replace(second.noise, wall_s=0) == replace(first.noise, wall_s=0)
