"""The main job on a device whose memory is too small for whole packs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from proctor.catalog.resolve import resolve
from proctor.nouns.exams import Pack, Prompt
from proctor.nouns.models import ModelRef, Quant
from proctor.settings import Settings
from proctor.store.database.session import Store
from tests import tiny
from tests.chaos.scene import assert_every_answer_once, recorded_scores, runs_of, submit
from tests.integration.desks import CountedLink, make_desk
from tests.models import of_hf, on
from workers.drain import drain
from workers.engines.base import Engine, LoadRequest
from workers.engines.scoring import PackScores, Prepared, Scorer
from workers.models.held import Models
from workers.models.loading import engine_loader
from workers.run.splitting import size_of

ROOM = 150  # tokens


class TightScorer:
    """A real scorer on a device that has memory for so many tokens at once."""

    def __init__(self, scorer: Scorer, tokens: int) -> None:
        self.scorer, self.tokens = scorer, tokens
        self.name = scorer.name
        self.refused = 0
        self.seen: list[tuple[int, ...]] = []

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        return self.scorer.prepare(prompts)

    def score(self, prepared: Prepared, pack: Pack) -> PackScores:
        with tiny.CPU.reporting_shortage("tiny"):
            if size_of(prepared, pack) > self.tokens:
                self.refused += 1
                raise torch.OutOfMemoryError(f"{size_of(prepared, pack)} tokens, as CUDA says it")
        self.seen.append(pack.members)
        return self.scorer.score(prepared, pack)


class TightModels(Models):
    """Models on such a device."""

    def __init__(self, cache: Path, tokens: int) -> None:
        whole = engine_loader(tiny.CPU, cache)

        def load(request: LoadRequest) -> Engine:
            engine = of_hf(whole(request))
            self.scorers.append(TightScorer(engine.scorer, tokens))
            return replace(engine, scorer=self.scorers[-1])

        super().__init__(tiny.CPU, load)
        self.scorers: list[TightScorer] = []

    @property
    def seen(self) -> list[tuple[int, ...]]:
        return [members for scorer in self.scorers for members in scorer.seen]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    return resolve(str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama")))


def test_a_pack_too_large_is_cut_the_run_goes_on_and_the_lane_remembers(
    store: Store, settings: Settings, model: ModelRef
) -> None:
    sweep = submit(store, model, subjects=2, questions=80)
    models = TightModels(settings.cache, ROOM)
    drain(make_desk(store, settings, models=models))
    assert_every_answer_once(store, sweep)
    first, second = (run.provenance for run in runs_of(store, sweep))
    assert first is not None
    assert second is not None
    assert first.cut_tokens is not None
    assert first.cut_tokens <= ROOM
    assert f"parts of at most {first.cut_tokens} tokens" in first.notes[-1]
    assert second.cut_tokens == first.cut_tokens
    assert [scorer.refused for scorer in models.scorers] == [1]


def test_a_run_cut_for_memory_and_resumed_elsewhere_is_cut_the_same_way(
    store: Store, settings: Settings, model: ModelRef
) -> None:
    """In 8 bit, where numbers depend on what goes through the model together."""
    undisturbed, tight = submit(store, model, 1, Quant.EIGHT_BIT, questions=80), TightModels(settings.cache, ROOM)
    drain(make_desk(store, settings, models=tight))
    disturbed = submit(store, model, 1, Quant.EIGHT_BIT, questions=80)
    before, after = TightModels(settings.cache, ROOM), TightModels(settings.cache, 10_000)
    drain(make_desk(store, settings, CountedLink(6), before))
    assert before.seen
    drain(make_desk(store, settings, models=after))
    assert [*before.seen, *after.seen] == tight.seen
    first, second = (
        {question: scores for (_, question), scores in recorded_scores(store, sweep).items()}
        for sweep in (undisturbed, disturbed)
    )
    assert first == second


def test_a_run_that_another_device_goes_on_with_says_so(store: Store, settings: Settings, model: ModelRef) -> None:
    sweep = submit(store, model, subjects=1, questions=80)
    drain(make_desk(store, settings, CountedLink(6)))
    (begun,) = runs_of(store, sweep)
    assert 0 < begun.answered < 40
    drain(make_desk(store, settings, models=on(replace(tiny.CPU, name="another CPU"), settings.cache)))
    assert_every_answer_once(store, sweep)
    (run,) = runs_of(store, sweep)
    assert (begun.provenance, run.provenance) != (None, None)
    assert run.provenance is not None
    assert run.provenance.device_name == "test CPU"
    assert run.provenance.notes[-1] == "continued on another CPU: packs since then may differ in rounding"
