"""Rolling log-likelihood against one forward pass a token: packing, windows and parts change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from proctor.errors import BadScores, CantBeAsked
from proctor.nouns.exams import Pack, Prompt, Question, Roll
from proctor.nouns.models import DType, ModelRef, ModelSource, Quant
from tests import tiny
from workers.engines.base import LoadRequest
from workers.engines.hf.engine import HfEngine, load_engine
from workers.engines.hf.scoring import rolling
from workers.engines.hf.scoring.prefix import PrefixScorer
from workers.engines.hf.scoring.rolling import Roller

TOLERANCE = 1e-3  # of a sum over hundreds of tokens, float32
LONG = tiny.TEXT * 11  # of several windows
PAGES = ("The moon shows one face.", LONG, "Why?", LONG[: len(LONG) // 3])


def page(text: str, index: int = 0) -> Prompt:
    return Prompt(Question(f"{index:016x}", index, text), Roll(text), "0" * 64)


PROMPTS = tuple(page(text, index) for index, text in enumerate(PAGES))


@pytest.fixture(scope="module", params=["llama", "mistral", "gemma2", "gpt2", "mamba"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HfEngine:
    return loaded(tiny.make(tmp_path_factory.mktemp("tiny"), request.param), request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> HfEngine:
    return loaded(tiny.make(tmp_path_factory.mktemp("llama")), "llama")


def loaded(folder: Path, name: str) -> HfEngine:
    ref = ModelRef(name, ModelSource.FOLDER)
    return load_engine(LoadRequest(ref, Quant.NONE, DType.FLOAT32), lambda: folder, tiny.CPU)


def rolled(engine: HfEngine, *members: int) -> list[float]:
    rows = engine.answer(engine.prepare(PROMPTS), Pack(0, members)).options_logprob
    return [total for (total,) in rows]


@torch.inference_mode()
def spelled_out(engine: HfEngine, text: str) -> list[float]:
    """The sum of each window, cut by the rule in words: as many tokens as the model reads, none scored twice."""
    tokens = [1, *engine.tokenizer.text_ids(text)]
    size = engine.tokenizer.window
    sums = []
    for start in range(1, len(tokens), size):
        end = min(start + size, len(tokens))
        read = tokens[max(0, end - size - 1) : end - 1]
        logprobs = engine.model.model(input_ids=torch.tensor([read])).logits[0].float().log_softmax(-1)
        sums.append(sum(float(logprobs[place - end, tokens[place]]) for place in range(start, end)))
    return sums


def test_pages_together_and_alone_are_scored_window_by_window(engine: HfEngine) -> None:
    expected = [spelled_out(engine, text) for text in PAGES]
    assert [len(windows) for windows in expected] == [1, 3, 1, 1]
    together = rolled(engine, 2, 1, 0, 3)
    assert together == pytest.approx([sum(expected[member]) for member in (2, 1, 0, 3)], abs=TOLERANCE)
    for member, windows in enumerate(expected):
        assert rolled(engine, member) == pytest.approx([sum(windows)], abs=TOLERANCE)


def test_windows_stand_in_one_row_where_the_model_takes_it(engine: HfEngine) -> None:
    prepared = engine.prepare(PROMPTS)
    assert isinstance(engine.scorer, PrefixScorer) == (engine.ref.name != "mamba")
    assert not prepared.padded
    assert prepared.lengths[0] == len(engine.tokenizer.ids(PAGES[0]))
    found = engine.answer(prepared, Pack(0, (0, 2)))
    assert found.tokens_computed == prepared.lengths[0] + prepared.lengths[2]
    assert (found.tokens_saved, found.greedy) == (0, ())


def test_each_window_goes_alone_where_a_row_has_no_kernel(llama: HfEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Roller(llama.model, llama.tokenizer, tiny.CPU, packed=False)
    monkeypatch.setattr(llama.model, "row_logits", lambda *_: pytest.fail("a row"))
    found = alone.score(alone.prepare(PROMPTS), Pack(0, (0, 1))).options_logprob
    assert found[1][0] == pytest.approx(sum(spelled_out(llama, LONG)), abs=TOLERANCE)


def test_a_window_with_too_many_logits_is_read_in_parts(llama: HfEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rolled(llama, 0, 1)
    seen: list[int] = []
    real = llama.model.row_logits

    def counted(*args: torch.Tensor) -> torch.Tensor:
        seen.append(len(args[2]))
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(rolling, "LOGITS", 100 * tiny.VOCAB)
    monkeypatch.setattr(llama.model, "row_logits", counted)
    assert rolled(llama, 0, 1) == pytest.approx(whole, abs=TOLERANCE)
    assert max(seen) <= 100


def test_a_token_that_stands_before_every_text_is_scored_too(tmp_path: Path) -> None:
    plain = loaded(tiny.make(tmp_path / "plain"), "plain")
    begun = loaded(tiny.make(tmp_path / "begun", begin=True), "begun")
    (bare,), (doubled,) = rolled(plain, 0), rolled(begun, 0)
    ids = [1, 1, *plain.tokenizer.text_ids(PAGES[0])]
    assert doubled == pytest.approx(begun.score_options(ids[:1], [ids[1:]])[0], abs=TOLERANCE)
    assert doubled != pytest.approx(bare, abs=0.1)


def test_an_empty_page_is_refused_by_its_place(llama: HfEngine) -> None:
    with pytest.raises(CantBeAsked, match="page 4 is empty"):
        llama.prepare([page("a", 3), page("", 4)])


def test_numbers_that_are_none_are_named_with_model_and_page(tmp_path: Path) -> None:
    broken = loaded(tiny.make(tmp_path), "broken")
    with torch.no_grad():
        broken.model.model.get_output_embeddings().weight.fill_(float("nan"))  # type: ignore[no-untyped-call]
    with pytest.raises(BadScores, match="'broken' gives question 2"):
        rolled(broken, 2)
