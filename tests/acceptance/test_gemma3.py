"""Gemma 3 270M, the second real family: windows of 512 tokens, two rotary bases, 262,144 tokens of vocabulary.

For measurements only: it is a quarter of a gigabyte, under terms of use of its own, so nothing fetches it. It is tested
where somebody did (`submit-sweep -m gemma3-270m`) and its weights lie in the cache.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from proctor.exams.benchmarks.mmlu_prompts import fit
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.nouns.exams import Conditions, Pack, Scoring
from proctor.nouns.models import DType, Quant
from tests import tiny
from tests.models import cache_folder
from tests.support import shared_data
from workers.engines.hf.load import LoadedModel, load
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.plain import PlainScorer, own

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("gemma3")]


def gemma3() -> Path:
    found = sorted((cache_folder() / "models").glob("gemma3-270m-*/config.json"))
    if not found:
        pytest.skip("gemma3-270m is not in the cache: submit-sweep -m gemma3-270m fetches it")
    return found[-1].parent


@pytest.fixture(scope="module")
def engine() -> LoadedModel:
    return load(gemma3(), "gemma3-270m", Quant.NONE, DType.FLOAT32, tiny.CPU)


@pytest.mark.parametrize("scoring", [Scoring.LETTERS, Scoring.TEXT])
def test_gemma_scores_the_fast_way_as_by_full_prompts_beyond_its_window_too(
    engine: LoadedModel, scoring: Scoring
) -> None:
    exam = load_benchmark(str(shared_data("mmlu")), ["astronomy"]).exams["astronomy"]
    asked = Conditions(shots=5, limit=3, scoring=scoring)
    reader = engine.tokenizer
    prompts = [fit(exam, question, asked, reader.count, reader.window) for question in exam.questions[: asked.limit]]
    rows = []
    for scorer in (scorer_for(engine.model, reader, tiny.CPU)[0], PlainScorer(engine.model, reader, tiny.CPU)):
        prepared = scorer.prepare(prompts)
        rows.append(torch.tensor(scorer.score(prepared, Pack(0, (0, 1, 2))).options_logprob))
        assert scorer.name == ("plain" if rows[1:] else "cascade")
    assert max(one.length for one in own(prepared).encoded) > 512 or scoring is Scoring.TEXT
    assert float((rows[0] - rows[1]).abs().max()) < 1e-4
    assert rows[0].argmax(1).tolist() == rows[1].argmax(1).tolist()
