"""Both generators: greedy tokens are those of transformers' `generate`, alone and in company; nothing is computed
twice; a reply that was interrupted goes on as if it had not been."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
import transformers as hf

from proctor.errors import BadScores
from proctor.nouns.conversations import Finish, Sampling
from tests import tiny
from tests.unit.workers.engines.hf.generation.replies import run
from workers.engines.generation import GenerationRequest, Generator, NextToken
from workers.engines.hf.generation.attention import BatchLayout, BatchPart
from workers.engines.hf.generation.choose import generator_for
from workers.engines.hf.generation.continuous import ContinuousBatcher
from workers.engines.hf.generation.kv_cache import KVCache, token_bytes
from workers.engines.hf.generation.plain import PlainGenerator
from workers.engines.hf.model import CausalModel

GREEDY = Sampling(temperature=0)
PROMPT = tuple(range(40, 64))
LONG = tuple(n * 7 % 300 + 20 for n in range(100))  # three pieces and four tokens
END = 2
ENDS = frozenset({END})
ATTENDING = tuple(name for name in tiny.ARCHITECTURES if name not in ("lfm2", "mamba"))
Way = Callable[..., Generator]


def plain(model: CausalModel, ends: frozenset[int] = ENDS) -> Generator:
    return PlainGenerator(model, tiny.CPU, ends)


def rows(model: CausalModel, ends: frozenset[int] = ENDS) -> Generator:
    return ContinuousBatcher(model, tiny.CPU, ends, room_bytes=1 << 30, portion=48)


WAYS: dict[str, Way] = {"plain": plain, "rows": rows}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def folder(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = tiny.make(tmp_path_factory.mktemp(architecture), architecture)
        return made[architecture]

    return folder


def load(folder: Path) -> CausalModel:
    return CausalModel(hf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), 0)


@pytest.fixture
def llama(folders: Callable[[str], Path]) -> CausalModel:
    return load(folders("llama"))


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def ids(tokens: Sequence[NextToken]) -> list[int]:
    return [token.token for token in tokens if token.finish is not Finish.STOP]


def reply(generator: Generator, request: GenerationRequest) -> list[int]:
    return ids(run(generator, request)[request.id])


def drain(generator: Generator) -> list[NextToken]:
    tokens: list[NextToken] = []
    while generator.live:
        tokens += generator.step()
    return tokens


def theirs(model: CausalModel, prompt: Sequence[int], count: int) -> list[int]:
    """What transformers' own `generate` says, greedily."""
    config = hf.GenerationConfig(max_new_tokens=count, do_sample=False, pad_token_id=0, eos_token_id=END)  # type: ignore[no-untyped-call]
    row = torch.tensor([list(prompt)])
    out = model.model.generate(row, attention_mask=torch.ones_like(row), generation_config=config)  # type: ignore[operator]
    found: list[int] = out[0, len(prompt) :].tolist()
    return found[:-1] if found[-1] == END else found


@pytest.mark.parametrize("architecture", ATTENDING)
def test_greedy_tokens_are_those_of_transformers(way: Way, folders: Callable[[str], Path], architecture: str) -> None:
    model = load(folders(architecture))
    long = tuple(n % 300 + 20 for n in range(70))  # beyond the windows of 32 tokens
    expected = {"a": theirs(model, PROMPT, 24), "b": theirs(model, long, 24)}
    said = run(way(model), GenerationRequest("a", PROMPT, GREEDY, 24), GenerationRequest("b", long, GREEDY, 24))
    assert {name: ids(tokens) for name, tokens in said.items()} == expected


def test_a_reply_is_the_same_alone_and_in_company(way: Way, llama: CausalModel) -> None:
    requests = [
        GenerationRequest(
            f"r{n}", PROMPT[n:] + tuple(range(90, 90 + 5 * n)), Sampling(temperature=0 if n % 2 else 1.0, seed=n), 20
        )
        for n in range(8)
    ]
    alone = {request.id: reply(way(llama), request) for request in requests}
    generator = way(llama)
    said: dict[str, list[int]] = {request.id: [] for request in requests}
    waiting = list(requests)
    while waiting or generator.live:
        if waiting:  # one joins at each step, and each leaves when it has ended
            generator.add(waiting.pop(0))
        for token in generator.step():
            said[token.id] += ids([token])
    assert said == alone


def test_an_interrupted_reply_goes_on_as_if_it_had_not_been(way: Way, llama: CausalModel) -> None:
    for sampling in (GREEDY, Sampling(temperature=1.2, top_p=0.9, top_k=50, repetition_penalty=1.3, seed=11)):
        whole = reply(way(llama), GenerationRequest("a", PROMPT, sampling, 30))
        for place in (1, 7, 29):
            rest = reply(way(llama), GenerationRequest("a", PROMPT, sampling, 30, tuple(whole[:place])))
            assert whole[:place] + rest == whole


def test_a_seed_repeats_a_reply_and_another_seed_does_not(way: Way, llama: CausalModel) -> None:
    replies = [
        reply(way(llama), GenerationRequest("a", PROMPT, Sampling(temperature=1.5, seed=seed), 30))
        for seed in (1, 1, 2)
    ]
    assert replies[0] == replies[1] != replies[2]


def test_what_was_computed_is_kept_and_changes_nothing(way: Way, llama: CausalModel) -> None:
    generator = way(llama)
    first = reply(generator, GenerationRequest("a", LONG, GREEDY, 12))
    second = (*LONG, *first, *range(100, 150))
    fresh = reply(way(llama), GenerationRequest("b", second, GREEDY, 12))
    assert generator.add(GenerationRequest("b", second, GREEDY, 12)) == len(LONG) + 11  # the last token was never read
    assert ids(drain(generator)) == fresh


def test_a_prompt_that_differs_in_the_middle_uses_what_comes_before(way: Way, llama: CausalModel) -> None:
    generator = way(llama)
    reply(generator, GenerationRequest("a", LONG, GREEDY, 12))
    other = (*LONG[:70], 7, *LONG[71:])
    fresh = reply(way(llama), GenerationRequest("b", other, GREEDY, 12))
    assert generator.add(GenerationRequest("b", other, GREEDY, 12)) == 70
    assert ids(drain(generator)) == fresh


def test_the_same_prompt_again_computes_its_last_piece_only(way: Way, llama: CausalModel) -> None:
    for length in (96, 97, 98, 100):
        generator = way(llama)
        first = reply(generator, GenerationRequest("a", LONG[:length], GREEDY, 4))
        assert generator.add(GenerationRequest("b", LONG[:length], GREEDY, 4)) == (64 if length == 96 else 96)
        assert ids(drain(generator)) == first


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_request_made_again_has_the_same_numbers_to_the_bit(
    way: Way, folders: Callable[[str], Path], dtype: torch.dtype
) -> None:
    model = CausalModel(hf.AutoModelForCausalLM.from_pretrained(folders("llama"), dtype=dtype), 0)
    generator = way(model)
    for sampling in (Sampling(temperature=0, rivals=0), Sampling(temperature=1.0, seed=7, rivals=0)):
        for length in (20, 64, 65, 100):
            first, second, third = (
                run(generator, GenerationRequest(name, LONG[:length], sampling, 24))[name] for name in ("a", "b", "c")
            )
            assert [(token.token, token.logprob) for token in first] == [
                (token.token, token.logprob) for token in second
            ]
            assert ids(first) == ids(third)


def test_in_float32_a_reply_is_the_same_whatever_part_of_it_is_kept(way: Way, llama: CausalModel) -> None:
    for sampling in (GREEDY, Sampling(temperature=1.0, seed=7), Sampling(temperature=0.7, top_p=0.9, seed=1)):
        request = GenerationRequest("a", LONG, sampling, 30)
        fresh = reply(way(llama), request)
        for beginning in (LONG[:20], LONG[:50], LONG, (*LONG, *fresh[:9]), (*LONG, 5, 6, 7), (*LONG[:97], 1, 2)):
            generator = way(llama)
            reply(generator, GenerationRequest("before", beginning, GREEDY, 5))
            assert reply(generator, request) == fresh


def test_a_model_without_attention_is_served_the_plain_way(folders: Callable[[str], Path]) -> None:
    model = load(folders("mamba"))
    generator = generator_for(model, tiny.CPU, ENDS)
    assert isinstance(generator, PlainGenerator)
    said = run(generator, GenerationRequest("a", PROMPT, GREEDY, 24), GenerationRequest("b", PROMPT[4:], GREEDY, 24))
    assert [ids(said["a"]), ids(said["b"])] == [theirs(model, PROMPT, 24), theirs(model, PROMPT[4:], 24)]
    for prompt in ((*PROMPT, *ids(said["a"]), 5, 6), (*PROMPT[:10], 9, 9)):  # its state can't be cut back
        assert reply(generator, GenerationRequest("b", prompt, GREEDY, 8)) == theirs(model, prompt, 8)


@pytest.mark.parametrize("architecture", ATTENDING)
def test_models_with_attention_are_served_in_rows(folders: Callable[[str], Path], architecture: str) -> None:
    assert isinstance(generator_for(load(folders(architecture)), tiny.CPU, ENDS), ContinuousBatcher)


@pytest.mark.parametrize("architecture", ["mistral", "gemma3"])
def test_keeping_is_right_where_a_cache_cannot_be_cut(
    way: Way, folders: Callable[[str], Path], architecture: str
) -> None:
    model = load(folders(architecture))
    long = tuple(n % 300 + 20 for n in range(70))
    generator = way(model)
    first = reply(generator, GenerationRequest("a", long, GREEDY, 8))
    for prompt in ((*long, *first, 5, 6), (*long[:50], 9, 9, 9), (*long[:50], 9, 9, 9, 10)):
        assert reply(generator, GenerationRequest("b", prompt, GREEDY, 8)) == theirs(model, prompt, 8)


def test_a_cancelled_reply_is_kept_and_the_others_go_on(way: Way, llama: CausalModel) -> None:
    generator = way(llama)
    expected = theirs(llama, PROMPT[4:], 10)
    generator.add(GenerationRequest("a", PROMPT, GREEDY, 50))
    generator.add(GenerationRequest("b", PROMPT[4:], GREEDY, 10))
    said = [token for _ in range(3) for token in generator.step()]
    generator.cancel("a")
    generator.cancel("a")
    generator.cancel("nobody")
    said += drain(generator)
    assert [token.token for token in said if token.id == "b"] == expected
    assert len([token for token in said if token.id == "a"]) == 3
    longer = (*PROMPT, *(token.token for token in said if token.id == "a"), *range(90, 100))
    assert generator.add(GenerationRequest("c", longer, GREEDY, 1)) >= len(PROMPT)


def test_an_end_token_ends_a_reply_and_is_no_part_of_it(way: Way, llama: CausalModel) -> None:
    whole = theirs(llama, PROMPT, 10)
    place = next(n for n, token in enumerate(whole) if token not in whole[:n] and n >= 3)
    tokens = run(way(llama, frozenset({whole[place]})), GenerationRequest("a", PROMPT, GREEDY, 10))["a"]
    assert (ids(tokens), tokens[-1].finish) == (whole[:place], Finish.STOP)


def test_the_limit_ends_a_reply(way: Way, llama: CausalModel) -> None:
    tokens = run(way(llama), GenerationRequest("a", PROMPT, GREEDY, 5))["a"]
    assert [token.finish for token in tokens] == [None] * 4 + [Finish.LENGTH]


def test_logprobs_are_the_models_own(way: Way, llama: CausalModel) -> None:
    sampling = Sampling(temperature=2.0, repetition_penalty=1.5, top_k=40, seed=5, rivals=3)
    tokens = run(way(llama), GenerationRequest("a", PROMPT, sampling, 6))["a"]
    row = torch.tensor([[*PROMPT, *ids(tokens)]])
    with torch.inference_mode():
        whole = llama.model(input_ids=row).logits[0, len(PROMPT) - 1 : -1].log_softmax(-1)
    for place, token in enumerate(tokens):
        assert token.logprob == pytest.approx(float(whole[place, token.token]), abs=1e-4)
        best = whole[place].topk(3)
        assert [rank.token for rank in token.rivals] == best.indices.tolist()
        assert [rank.logprob for rank in token.rivals] == pytest.approx(best.values.tolist(), abs=1e-4)


def test_a_long_prompt_and_short_ones_go_together(way: Way, llama: CausalModel) -> None:
    long = tuple(n % 300 + 20 for n in range(400))
    expected = [theirs(llama, long, 20), theirs(llama, PROMPT, 20)]
    said = run(way(llama), GenerationRequest("a", long, GREEDY, 20), GenerationRequest("b", PROMPT, GREEDY, 20))
    assert [ids(said["a"]), ids(said["b"])] == expected


def test_a_last_piece_goes_in_one_pass_also_beside_others(llama: CausalModel) -> None:
    rows: list[list[tuple[int, int]]] = []  # of each pass: where a part begins, and its tokens

    class Watched(CausalModel):
        def line_logits(
            self, tokens: torch.Tensor, places: torch.Tensor, reads: torch.Tensor, lines_: BatchLayout
        ) -> torch.Tensor:
            rows.append([(part.start, part.count) for part in lines_.parts])
            return super().line_logits(tokens, places, reads, lines_)

    generator = ContinuousBatcher(Watched(llama.model, 0), tiny.CPU, ENDS, room_bytes=1 << 30, portion=48)
    run(generator, *(GenerationRequest(name, LONG[n:], GREEDY, 2) for n, name in enumerate("abc")))
    parts = [part for row in rows for part in row if part[1] > 1]
    assert [count for start, count in parts if start == 96] == [4, 3, 2]
    assert all(start + count <= 96 for start, count in parts if start < 96)
    assert all(sum(count for _, count in row) <= 48 + 3 for row in rows)


def test_a_request_larger_than_the_room_fits_where_nothing_else_is_live(llama: CausalModel) -> None:
    generator = ContinuousBatcher(llama, tiny.CPU, ENDS, room_bytes=1)
    assert generator.fits(GenerationRequest("a", PROMPT, GREEDY, 4))
    assert len(reply(generator, GenerationRequest("a", PROMPT, GREEDY, 4))) == 4
    generator.add(GenerationRequest("b", PROMPT, GREEDY, 4))
    assert not generator.fits(GenerationRequest("c", PROMPT, GREEDY, 4))


def test_what_is_kept_makes_room_and_what_is_live_does_not(llama: CausalModel) -> None:
    each = (len(LONG) + 10) * token_bytes(llama.model)
    generator = ContinuousBatcher(llama, tiny.CPU, ENDS, room_bytes=2 * each)
    reply(generator, GenerationRequest("kept", LONG, GREEDY, 10))
    generator.add(GenerationRequest("a", (*LONG[:99], 1), GREEDY, 10))
    assert generator.fits(GenerationRequest("b", LONG, GREEDY, 10))
    generator.add(GenerationRequest("b", LONG, GREEDY, 10))
    assert not generator.fits(GenerationRequest("c", LONG[:1], GREEDY, 1))


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "phi"])
def test_token_bytes_is_what_a_line_takes_for_each_of_its_tokens(
    folders: Callable[[str], Path], architecture: str
) -> None:
    model = load(folders(architecture))
    line = KVCache()
    with torch.inference_mode():
        model.line_logits(
            torch.tensor(LONG),
            torch.arange(len(LONG)),
            torch.tensor([len(LONG) - 1]),
            BatchLayout([BatchPart(line, 0, 0, 100)]),
        )
    assert line.copy(len(LONG)).bytes == len(LONG) * token_bytes(model.model)


def test_forgetting_ends_everything(way: Way, llama: CausalModel) -> None:
    generator = way(llama)
    reply(generator, GenerationRequest("a", PROMPT, GREEDY, 3))
    generator.add(GenerationRequest("b", PROMPT, GREEDY, 3))
    generator.forget()
    assert (generator.live, generator.step()) == (0, [])
    assert generator.add(GenerationRequest("c", PROMPT, GREEDY, 3)) == 0


def test_numbers_that_are_no_logits_are_an_error(way: Way, llama: CausalModel) -> None:
    with torch.no_grad():
        next(llama.model.parameters()).fill_(float("nan"))
    generator = way(llama)
    generator.add(GenerationRequest("a", PROMPT, dataclasses.replace(GREEDY, rivals=1), 3))
    with pytest.raises(BadScores):
        generator.step()
    assert generator.live == 0
