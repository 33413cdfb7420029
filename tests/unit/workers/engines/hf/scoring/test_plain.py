"""The plain scorer against one forward pass a line: padding, order and packing change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from proctor.errors import BadScores, OutOfMemory
from proctor.nouns.exams import Pack, Prompt
from proctor.nouns.models import DType, Quant
from tests import tiny
from workers.engines.hf.load import LoadedModel, load
from workers.engines.hf.scoring.plain import PlainScorer, lines_of
from workers.engines.scoring import Continuation, EncodedPrompt, PackScores

TOLERANCE = 1e-5  # in log-probability, float32
TEXTS = ("Why?\nAnswer:", "What is the largest planet of the solar system?\nAnswer:", "A. One\nB. Two\nAnswer:" * 9)
LETTERS = tuple(tiny.prompt(text, index=index) for index, text in enumerate(TEXTS))
WORDS = tuple(tiny.prompt(text, (" One", " the moon", " zyx", " A"), index) for index, text in enumerate(TEXTS))


@pytest.fixture(scope="module", params=tiny.ARCHITECTURES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tiny.make(tmp_path_factory.mktemp("tiny"), request.param)
    return load(folder, request.param, Quant.NONE, DType.FLOAT32, tiny.CPU)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load(tiny.make(tmp_path_factory.mktemp("llama")), "tiny llama", Quant.NONE, DType.FLOAT32, tiny.CPU)


def scorer(engine: LoadedModel) -> PlainScorer:
    return PlainScorer(engine.model, engine.tokenizer, tiny.CPU)


def score(engine: LoadedModel, prompts: tuple[Prompt, ...], *members: int) -> PackScores:
    plain = scorer(engine)
    return plain.score(plain.prepare(prompts), Pack(0, members or tuple(range(len(prompts)))))


@torch.inference_mode()
def one_by_one(engine: LoadedModel, prompt: Prompt) -> list[float]:
    """Log-probabilities by the shortest way there is: each option a forward pass of its own, nothing left out."""
    sums = []
    for option in prompt.options:
        before = engine.tokenizer.ids(prompt.text)
        whole = torch.tensor([engine.tokenizer.ids(prompt.text + option)])
        logprobs = engine.model.model(input_ids=whole).logits[0].float().log_softmax(-1)
        sums.append(sum(float(logprobs[n - 1, whole[0, n]]) for n in range(len(before), whole.shape[1])))
    return sums


@pytest.mark.parametrize("prompts", [LETTERS, WORDS], ids=["letters", "words"])
def test_a_padded_pack_scores_as_each_line_alone(engine: LoadedModel, prompts: tuple[Prompt, ...]) -> None:
    packed = score(engine, prompts).options_logprob
    for prompt, row in zip(prompts, packed, strict=True):
        assert row == pytest.approx(one_by_one(engine, prompt), abs=TOLERANCE)


def test_members_come_back_in_the_order_of_the_pack(llama: LoadedModel) -> None:
    forth, back = score(llama, LETTERS, 0, 1, 2).options_logprob, score(llama, LETTERS, 2, 1, 0).options_logprob
    for row, again in zip(forth, reversed(back), strict=True):
        assert row == pytest.approx(again, abs=TOLERANCE)


def test_a_pack_of_some_members_leaves_the_others_out(llama: LoadedModel) -> None:
    whole, part = score(llama, LETTERS), score(llama, LETTERS, 2)
    assert len(part.options_logprob) == 1
    assert part.options_logprob[0] == pytest.approx(whole.options_logprob[2], abs=TOLERANCE)
    assert part.tokens_computed < whole.tokens_computed


def test_the_same_pack_gives_the_same_bits(llama: LoadedModel) -> None:
    assert score(llama, WORDS).options_logprob == score(llama, WORDS).options_logprob


def test_letters_cost_one_line_a_question(llama: LoadedModel) -> None:
    prepared = scorer(llama).prepare(LETTERS)
    counts = [llama.tokenizer.count(prompt.text) for prompt in LETTERS]
    assert list(prepared.lengths) == counts
    assert score(llama, LETTERS).tokens_computed == sum(counts)


def test_options_of_several_tokens_need_lines_of_their_own(llama: LoadedModel) -> None:
    prepared = scorer(llama).prepare(WORDS)
    assert len(lines_of(prepared.encoded[:1])) > 1
    assert prepared.lengths[0] > llama.tokenizer.count(WORDS[0].text)


def test_scores_that_are_no_numbers_name_the_model_and_the_question(tmp_path: Path) -> None:
    engine = load(tiny.make(tmp_path), "broken", Quant.NONE, DType.FLOAT32, tiny.CPU)
    with torch.no_grad():
        next(engine.model.model.parameters()).fill_(torch.nan)
    with pytest.raises(BadScores, match=r"'broken' gives question 1 .*nan"):
        score(engine, LETTERS, 1)


def test_a_device_without_memory_is_reported_as_such() -> None:
    with pytest.raises(OutOfMemory, match="'big' ran out of memory on test CPU"), tiny.CPU.reporting_shortage("big"):
        torch.empty(1 << 55)


def test_other_failures_of_the_device_keep_their_own_error() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), tiny.CPU.reporting_shortage("m"):
        torch.ones(2, 3) @ torch.ones(2, 3)


tokens = st.lists(st.integers(0, 5), min_size=1, max_size=4)


@given(st.lists(tokens, min_size=1, max_size=4), st.lists(tokens, min_size=2, max_size=4))
def test_every_scored_token_is_a_target_of_just_one_line(contexts: list[list[int]], endings: list[list[int]]) -> None:
    members = [
        EncodedPrompt(tiny.prompt("x"), tuple(Continuation(tuple(c + e), len(e)) for e in endings)) for c in contexts
    ]
    lines = lines_of(members)
    targets = [(target, line) for line in lines for target in line.targets]
    assert len({(t.member, t.option, t.position) for t, _ in targets}) == len(targets)
    for target, line in targets:
        whole = members[target.member].options[target.option].line
        assert line.tokens == whole[:-1]
        assert whole[target.position + 1] == target.token
    assert len(targets) == sum(option.scored for member in members for option in member.options)
