"""A worker killed five times in the middle of a reply: the replies are those of an undisturbed Run, each once."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest

from proctor.catalog.resolve import resolve
from proctor.exams import packs
from proctor.exams.benchmarks import registry
from proctor.exams.benchmarks.registry import BUILT_IN
from proctor.nouns.models import ModelRef
from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads.export import export_rows
from tests import tiny
from tests.chaos.scene import assert_every_answer_once, runs_of
from tests.chaos.test_killed_five_times import exit_code_of
from tests.integration.desks import CountedLink, make_desk
from tests.integration.test_sit_writing import submit
from tests.made_up import SUMS
from workers.channel import Channel
from workers.drain import drain

KILLS = 5
LOOKS = 40  # of a life: before each pack, and before each token of its replies


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    return resolve(str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama")))


def live(settings: Settings, looks: int | None) -> None:
    """One worker's life: a reply a pack, killed in the middle of one, or to the end."""
    registry.BUILT_IN = (*BUILT_IN, SUMS)
    packs.REPLIES_A_PACK = 1
    die = partial(os.kill, os.getpid(), signal.SIGKILL)
    with open_store(settings) as store:
        drain(make_desk(store, settings, Channel() if looks is None else CountedLink(looks, then=die)))


def replies(store: Store, sweep: int) -> list[tuple[str, tuple[tuple[str, tuple[int, ...]], ...]]]:
    rows = export_rows(store, [sweep])
    return sorted((row.question, tuple((one.text, one.token_ids) for one in row.written)) for row in rows)


def test_replies_of_a_run_that_was_killed_five_times_are_those_of_an_undisturbed_one(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    undisturbed = submit(store, model)
    assert exit_code_of(live, settings, None) == 0
    disturbed, answered = submit(store, model), []
    for _ in range(KILLS):
        assert exit_code_of(live, settings, LOOKS) == -signal.SIGKILL
        answered.append(runs_of(store, disturbed)[0].answered)
    assert 0 < answered[0] < answered[-1] < 8
    assert exit_code_of(live, settings, None) == 0
    (run,) = runs_of(store, disturbed)
    assert (run.status, run.attempt) == (RunStatus.DONE, KILLS + 1)
    assert_every_answer_once(store, disturbed)
    assert replies(store, disturbed) == replies(store, undisturbed)
