"""A real model on the questions of our exam `demo`: the engine's numbers against plain transformers, and its memory."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from proctor.catalog.demo import DEMO_MODELS, gguf_path
from proctor.catalog.memory import weight_bytes
from proctor.catalog.weights import read_folder, read_gguf
from proctor.exams.benchmarks.mmlu_prompts import fit
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.chat_prompts import Message
from proctor.exams.packs import compose
from proctor.nouns.conversations import Sampling
from proctor.nouns.exams import Conditions, Pack, Prompt
from proctor.nouns.models import DType, Quant
from tests import tiny
from tests.models import cache_folder, smollm2
from workers.engines.generation import GenerationRequest
from workers.engines.hf.generation.choose import end_tokens, generator_for
from workers.engines.hf.load import LoadedModel, load
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.plain import PlainScorer

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("smollm2")]

ASKED = Conditions(shots=2, limit=4)


@cache
def engine(quant: Quant, dtype: DType) -> LoadedModel:
    return load(smollm2(), "smollm2", quant, dtype, tiny.CPU)


def prompts(engine: LoadedModel, asked: Conditions = ASKED) -> list[Prompt]:
    exam, reader = load_benchmark("demo").exams["everyday_science"], engine.tokenizer
    return [fit(exam, one, asked, reader.count, reader.window) for one in exam.questions[: asked.limit]]


def score(engine: LoadedModel, asked: list[Prompt]) -> list[tuple[float, ...]]:
    scorer = PlainScorer(engine.model, engine.tokenizer, tiny.CPU)
    prepared = scorer.prepare(asked)
    found: dict[int, tuple[float, ...]] = {}
    for pack in compose(prepared.lengths, ASKED.pack_tokens):
        found |= dict(zip(pack.members, scorer.score(prepared, pack).options_logprob, strict=True))
    return [found[n] for n in range(len(asked))]


@torch.inference_mode()
def by_transformers_alone(asked: list[Prompt]) -> list[list[float]]:
    """What a reader of transformers' documentation would write: a forward pass a prompt, letters looked up."""
    model = AutoModelForCausalLM.from_pretrained(smollm2(), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(smollm2())
    rows = []
    for prompt in asked:
        logits = model(**tokenizer(prompt.text, return_tensors="pt")).logits[0, -1]
        letters = [tokenizer(option)["input_ids"] for option in prompt.options]
        assert all(len(letter) == 1 for letter in letters)
        rows.append([float(logits.log_softmax(-1)[letter[0]]) for letter in letters])
    return rows


def test_log_probabilities_are_those_of_transformers_alone() -> None:
    exact = engine(Quant.NONE, DType.FLOAT32)
    asked = prompts(exact)
    assert len(asked) == ASKED.limit
    for row, other in zip(score(exact, asked), by_transformers_alone(asked), strict=True):
        assert row == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize(("quant", "near"), [(Quant.NONE, 0.1), (Quant.EIGHT_BIT, 0.3), (Quant.FOUR_BIT, 0.7)])
def test_every_quantization_scores_near_the_exact_model_and_needs_the_predicted_memory(
    quant: Quant, near: float
) -> None:
    """Near is thrice the mean difference from float32 that was seen: 0.03 in bfloat16, 0.11 at 8 bit, 0.23 at 4 bit."""
    exact, other = engine(Quant.NONE, DType.FLOAT32), engine(quant, DType.BFLOAT16)
    asked = prompts(exact)[:2]
    pairs = [
        (x, y) for a, b in zip(score(exact, asked), score(other, asked), strict=True) for x, y in zip(a, b, strict=True)
    ]
    assert sum(abs(x - y) for x, y in pairs) / len(pairs) < near
    assert other.bytes == pytest.approx(weight_bytes(other.weights, quant, DType.BFLOAT16), rel=0.02)


def test_the_facts_of_the_demo_model_are_those_of_its_file_and_of_its_folder() -> None:
    folder = read_folder(smollm2())
    known = DEMO_MODELS[0].weights
    assert read_gguf(gguf_path(DEMO_MODELS[0], cache_folder())) == known
    assert (folder.parameters, folder.quantizable, folder.dtype) == (known.parameters, known.quantizable, known.dtype)


@pytest.mark.parametrize("shots", [0, 5])
def test_the_fast_way_gives_the_numbers_of_the_plain_one(shots: int) -> None:
    exact = engine(Quant.NONE, DType.FLOAT32)
    fast, reason = scorer_for(exact.model, exact.tokenizer, tiny.CPU)
    assert (fast.name, reason) == ("cascade", "")
    asked = prompts(exact, Conditions(shots=shots, limit=4))
    prepared = fast.prepare(asked)
    rows = fast.score(prepared, Pack(0, (0, 1, 2, 3))).options_logprob
    for row, other in zip(rows, score(exact, asked), strict=True):
        assert row == pytest.approx(other, abs=1e-4)
        assert row.index(max(row)) == other.index(max(other))


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.BFLOAT16])
def test_the_same_request_has_the_same_reply_the_first_time_and_later(dtype: DType) -> None:
    held = engine(Quant.NONE, dtype)
    generator = generator_for(held.model, tiny.CPU, end_tokens(held.model.model, held.tokenizer.library))
    for sampling in (Sampling(temperature=0), Sampling(temperature=1.0, seed=7)):
        for said in ("Say hi", "Repeat exactly: \U0001f600\U0001f389 na\u00efve"):
            prompt = tuple(held.tokenizer.ids(held.tokenizer.chat([Message("user", said)])))
            replies = []
            for _ in range(2):
                generator.add(GenerationRequest("a", prompt, sampling, 8))
                replies.append([token.token for _ in range(12) if generator.live for token in generator.step()])
                generator.cancel("a")
            assert replies[0] == replies[1]
            assert replies[0]
