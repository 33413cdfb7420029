"""A prompt that is echoed: its log-probabilities are those of one pass over all of it, whatever was kept before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
import transformers as hf

from proctor.errors import BadScores
from proctor.nouns.conversations import Sampling
from tests import tiny
from tests.unit.workers.engines.hf.generation.replies import run
from workers.engines.generation import GenerationRequest, Generator, PromptLogprob
from workers.engines.hf.generation.continuous import ContinuousBatcher
from workers.engines.hf.generation.plain import PlainGenerator
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.options import score_options

GREEDY = Sampling(temperature=0, rivals=2)
ENDS = frozenset({2})
Way = Callable[[CausalModel], Generator]


def plain(model: CausalModel) -> Generator:
    return PlainGenerator(model, tiny.CPU, ENDS)


def rows(model: CausalModel) -> Generator:
    return ContinuousBatcher(model, tiny.CPU, ENDS, room_bytes=1 << 30, portion=48)


def load(folder: Path) -> CausalModel:
    return CausalModel(hf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), 0)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> CausalModel:
    return load(tiny.make(tmp_path_factory.mktemp("llama")))


@pytest.fixture(params=[plain, rows])
def way(request: pytest.FixtureRequest) -> Way:
    made: Way = request.param
    return made


def prompt(length: int, seed: int = 0) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(20, 300, (length,), generator=generator).tolist())


def scores(generator: Generator, tokens: Sequence[int], sampling: Sampling = GREEDY) -> tuple[PromptLogprob, ...]:
    return run(generator, GenerationRequest("a", tuple(tokens), sampling, 1, echo=True))["a"][0].prompt


def check(model: CausalModel, tokens: Sequence[int], found: Sequence[PromptLogprob], rivals: int = 2) -> None:
    """Hold the scores against one plain pass over the whole prompt."""
    with torch.inference_mode():
        whole = model.model(input_ids=torch.tensor([list(tokens)])).logits[0, :-1].log_softmax(-1)  # (T - 1, V)
    assert [score.token for score in found] == list(tokens[1:])
    own = whole.gather(1, torch.tensor(list(tokens[1:]))[:, None])[:, 0]
    assert [score.logprob for score in found] == pytest.approx(own.tolist(), abs=1e-4)
    best = whole.topk(rivals)
    assert [[rank.token for rank in score.rivals] for score in found] == best.indices.tolist()
    for score, row in zip(found, best.values.tolist(), strict=True):
        assert [rank.logprob for rank in score.rivals] == pytest.approx(row, abs=1e-4)


@pytest.mark.parametrize("length", [1, 2, 47, 48, 49, 50, 300])
def test_the_numbers_are_those_of_one_pass(way: Way, llama: CausalModel, length: int) -> None:
    check(llama, prompt(length), scores(way(llama), prompt(length)))


@pytest.mark.parametrize("architecture", ["mistral", "gemma2", "gemma3", "gpt_oss"])
def test_they_are_in_layers_with_a_window_too(way: Way, tmp_path: Path, architecture: str) -> None:
    model = load(tiny.make(tmp_path, architecture))
    check(model, prompt(120), scores(way(model), prompt(120)))


@pytest.mark.parametrize("architecture", ["mamba", "lfm2"])
def test_they_are_of_models_with_a_state_too(tmp_path: Path, architecture: str) -> None:
    model = load(tiny.make(tmp_path, architecture))
    check(model, prompt(300), scores(plain(model), prompt(300)))


def test_behind_a_state_that_was_kept_the_numbers_are_the_same(tmp_path: Path) -> None:
    model = load(tiny.make(tmp_path, "mamba"))
    generator, further = plain(model), prompt(9, 1)
    first = [token.token for token in run(generator, GenerationRequest("a", prompt(40), GREEDY, 6))["a"]]
    request = GenerationRequest("b", (*prompt(40), *first[:-1], *further), GREEDY, 4)
    kept, fresh = run(generator, request)["b"], run(plain(model), request)["b"]
    assert [token.token for token in kept] == [token.token for token in fresh]
    assert [token.logprob for token in kept] == pytest.approx([token.logprob for token in fresh], abs=1e-4)


def test_an_option_has_the_number_that_a_probe_gives_it(way: Way, llama: CausalModel) -> None:
    context, option = prompt(40), prompt(7, seed=1)
    (wanted,) = score_options(llama, context, [option])
    found = scores(way(llama), (*context, *option))
    assert sum(score.logprob for score in found[len(context) - 1 :]) == pytest.approx(wanted, abs=1e-4)


def test_what_was_kept_changes_nothing(way: Way, llama: CausalModel) -> None:
    generator = way(llama)
    shared = prompt(90)
    run(generator, GenerationRequest("chat", shared, Sampling(temperature=0), 8))  # read without being scored
    for number, end in enumerate([prompt(5, 1), prompt(9, 2), (), prompt(5, 1)]):
        found = scores(generator, (*shared, *end))
        check(llama, (*shared, *end), found)
        assert number or len(found) == 94


def test_options_of_one_question_share_its_prompt(llama: CausalModel) -> None:
    generator, shared = rows(llama), prompt(90)
    scores(generator, (*shared, 21, 22))
    assert generator.add(GenerationRequest("b", (*shared, 23, 24), GREEDY, 1, echo=True)) == 63  # but for a last piece
    (token,) = [token for _ in range(9) for token in generator.step()][:1]
    check(llama, (*shared, 23, 24), token.prompt)


def test_more_rivals_than_were_kept_are_computed(way: Way, llama: CausalModel) -> None:
    generator = way(llama)
    check(llama, prompt(60), scores(generator, prompt(60)))
    check(llama, prompt(60), scores(generator, prompt(60), Sampling(temperature=0, rivals=5)), rivals=5)
    check(llama, prompt(60), scores(generator, prompt(60), Sampling(temperature=0, rivals=1)), rivals=1)


def test_echoes_and_replies_go_together(way: Way, llama: CausalModel) -> None:
    plainly = GenerationRequest("plain", prompt(33, 3), GREEDY, 12)
    alone = [token.token for token in run(way(llama), plainly)["plain"]]
    echoes = [GenerationRequest(f"e{n}", prompt(20 + 17 * n, n), GREEDY, 1 + n, echo=True) for n in range(6)]
    said = run(way(llama), echoes[0], plainly, *echoes[1:])
    assert [token.token for token in said["plain"]] == alone
    for request in echoes:
        first, *rest = said[request.id]
        check(llama, request.prompt, first.prompt)
        assert all(token.prompt == () for token in rest)


def test_an_interrupted_echo_tells_its_prompt_again(way: Way, llama: CausalModel) -> None:
    whole = [token.token for token in run(way(llama), GenerationRequest("a", prompt(60), GREEDY, 6, echo=True))["a"]]
    rest = run(way(llama), GenerationRequest("a", prompt(60), GREEDY, 6, tuple(whole[:3]), echo=True))["a"]
    assert whole[:3] + [token.token for token in rest] == whole
    check(llama, prompt(60), rest[0].prompt)


def test_numbers_that_are_no_logits_are_an_error(way: Way, tmp_path: Path) -> None:
    broken = load(tiny.make(tmp_path))
    with torch.no_grad():
        next(broken.model.parameters()).fill_(float("nan"))
    with pytest.raises(BadScores):
        scores(way(broken), prompt(60))
