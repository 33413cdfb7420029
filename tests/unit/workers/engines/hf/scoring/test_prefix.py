"""The fast way against the plain one: the same log-probabilities and picks, for every architecture it serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from proctor.errors import BadScores
from proctor.exams.packs import compose
from proctor.nouns.exams import Choose, Pack, Prompt
from proctor.nouns.models import DType, Quant
from tests import tiny
from tests.support import ROOT
from workers.engines.hf.load import LoadedModel, load
from workers.engines.hf.scoring import cascade as attention
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.layout import CascadeLayout, Prefix, Segment
from workers.engines.hf.scoring.packing import common_length, length_of, row_of
from workers.engines.hf.scoring.plain import PlainScorer
from workers.engines.hf.scoring.prefix import PrefixScorer
from workers.engines.scoring import Continuation, EncodedPrompt, Scorer

TOLERANCE = 1e-4  # in log-probability, float32
LETTERS = (" A", " B", " C", " D")
WORDS = (" One", " the moon", " zyx", " A")
QUESTIONS = ("Why?\nAnswer:", "What is the largest planet of the solar system?\nAnswer:", "A. One\nB. Two\nAnswer:" * 9)
# Longer than the window of 32 tokens that some of the tiny models have.
SHOTS = "The following are multiple choice questions (with answers) about astronomy.\n\nWhy?\nAnswer: A\n\n" * 2
PLAIN = {"lfm2", "mamba"}


def asked(beginning: str, options: tuple[str, ...], questions: tuple[str, ...] = QUESTIONS) -> tuple[Prompt, ...]:
    return tuple(tiny.prompt(beginning + text, options, index) for index, text in enumerate(questions))


def in_contexts(beginning: str, *sentences: tuple[str, str, str]) -> tuple[Prompt, ...]:
    """The same ending behind a context an option: two names, of which one fits."""
    asks = (
        Choose(f"{beginning}{start}{names[0]}", (end,) * 2, contexts=tuple(beginning + start + name for name in names))
        for start, end, *names in ((start, end, *pair.split("/")) for start, pair, end in sentences)
    )
    return tuple(replace(tiny.prompt(ask.text, ask.options, index), ask=ask) for index, ask in enumerate(asks))


SENTENCES = (
    ("The moon turns because the ", "earth/largest planet", " pulls it."),
    ("The ", "sun/earth", " is larger than the moon, and so it pulls."),
)
CASES = {
    "a context an option": in_contexts(SHOTS, *SENTENCES),
    "a context an option, no shots": in_contexts("", *SENTENCES),
    "nothing before the option": asked("", WORDS, ("",) * 2),
    "shots": asked(SHOTS, LETTERS),
    "no shots": asked("", LETTERS),
    "words": asked(SHOTS, WORDS),
    "words, no shots": asked("", WORDS),
    "one question": asked(SHOTS, LETTERS, QUESTIONS[:1]),
    "identical": asked(SHOTS, WORDS, QUESTIONS[:1] * 3),
    "prefix of one token": asked("W", LETTERS, ("hy?\nAnswer:", "ish\nAnswer:", "W" * 9)),
}


@pytest.fixture(scope="module", params=tiny.ARCHITECTURES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tiny.make(tmp_path_factory.mktemp("tiny"), request.param)
    return load(folder, request.param, Quant.NONE, DType.FLOAT32, tiny.CPU)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def llama(folder: Path) -> LoadedModel:
    return load(folder, "llama", Quant.NONE, DType.FLOAT32, tiny.CPU)


def scores(scorer: Scorer, prompts: tuple[Prompt, ...]) -> torch.Tensor:
    """(questions, options)"""
    pack = Pack(0, tuple(range(len(prompts))))
    return torch.tensor(scorer.score(scorer.prepare(prompts), pack).options_logprob)


def largest_difference(engine: LoadedModel, scorer: Scorer, prompts: tuple[Prompt, ...]) -> float:
    plain, fast = scores(PlainScorer(engine.model, engine.tokenizer, tiny.CPU), prompts), scores(scorer, prompts)
    assert plain.argmax(1).tolist() == fast.argmax(1).tolist()
    return float((plain - fast).abs().max())


@pytest.mark.parametrize("case", ["words", "nothing before the option", "a context an option"])
def test_an_option_is_greedy_where_all_its_tokens_are_the_likeliest(llama: LoadedModel, case: str) -> None:
    prompts = tuple(with_the_likeliest(llama, prompt) for prompt in CASES[case])
    pack = Pack(0, tuple(range(len(prompts))))
    plain, fast = (
        PlainScorer(llama.model, llama.tokenizer, tiny.CPU),
        PrefixScorer(llama.model, llama.tokenizer, tiny.CPU),
    )
    lines = [[greedy(llama, option) for option in one.options] for one in plain.prepare(prompts).encoded]
    assert any(row[-1] for row in lines)
    assert not any(all(row) for row in lines)
    for scorer in (plain, fast):
        assert [list(row) for row in scorer.score(scorer.prepare(prompts), pack).greedy] == lines
        assert scorer.score(scorer.prepare(CASES[case]), pack).greedy == ()


def with_the_likeliest(llama: LoadedModel, prompt: Prompt) -> Prompt:
    """The prompt with the likeliest of the words as one more option, and asked whether options are greedy."""
    assert isinstance(prompt.ask, Choose)
    ids = llama.tokenizer.ids(prompt.text) or [llama.tokenizer.library.bos_token_id]
    logits = llama.model.model(torch.tensor([ids])).logits[0, -1]
    best = llama.tokenizer.decode([int(logits.argmax())])
    contexts = (*prompt.ask.contexts, prompt.ask.text) if prompt.ask.contexts else ()
    return replace(prompt, ask=replace(prompt.ask, options=(*prompt.options, best), contexts=contexts, greedy=True))


def greedy(llama: LoadedModel, option: Continuation) -> bool:
    """Whether each scored token is the likeliest behind those before it."""
    likeliest: list[int] = llama.model.model(torch.tensor([option.line[:-1]])).logits[0].argmax(-1).tolist()
    return likeliest[-option.scored :] == list(option.line[-option.scored :])


@pytest.mark.parametrize("case", CASES)
def test_a_row_scores_as_full_prompts_do(engine: LoadedModel, case: str) -> None:
    scorer, _ = scorer_for(engine.model, engine.tokenizer, tiny.CPU)
    assert largest_difference(engine, scorer, CASES[case]) < TOLERANCE


def test_the_table_of_architectures_says_which_way_each_goes(engine: LoadedModel) -> None:
    scorer, reason = scorer_for(engine.model, engine.tokenizer, tiny.CPU)
    name = engine.tokenizer.model
    assert (scorer.name == "plain", bool(reason)) == (name in PLAIN, name in PLAIN)
    rows = [
        line for line in (ROOT / "docs/model-families.md").read_text().splitlines() if line.startswith(f"| {name} |")
    ]
    _, _, path, difference, *_ = (cell.strip() for cell in rows[0].split("|"))
    assert path == scorer.name
    worst = max(largest_difference(engine, scorer, prompts) for prompts in CASES.values())
    assert worst <= float(difference)


def test_layers_without_a_kernel_are_spelled_out_to_the_same_numbers(
    llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spelled(
        way: attention.AttentionRule,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        causal: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return attention.explicit(query, key, value, way, mask=mask, causal=causal)

    monkeypatch.setattr(attention.AttentionRule, "attend", spelled)
    scorer = PrefixScorer(llama.model, llama.tokenizer, tiny.CPU)
    assert largest_difference(llama, scorer, CASES["words"]) < TOLERANCE


@pytest.mark.parametrize("architecture", ["gemma2", "gemma3"])
def test_a_models_own_scaling_of_attention_is_the_rows_too(tmp_path: Path, architecture: str) -> None:
    engine = load(tiny.make(tmp_path, architecture), architecture, Quant.NONE, DType.FLOAT32, tiny.CPU)
    assert engine.model.model.config.query_pre_attn_scalar != engine.model.model.config.head_dim
    assert (
        largest_difference(engine, PrefixScorer(engine.model, engine.tokenizer, tiny.CPU), CASES["shots"]) < TOLERANCE
    )


def test_nan_from_the_shared_way_names_the_model_and_the_question(tmp_path: Path) -> None:
    engine = load(tiny.make(tmp_path), "broken", Quant.NONE, DType.FLOAT32, tiny.CPU)
    scorer = PrefixScorer(engine.model, engine.tokenizer, tiny.CPU)
    prepared = scorer.prepare(CASES["shots"])
    with torch.no_grad():
        engine.model.model.get_parameter("model.norm.weight").fill_(torch.nan)
    with pytest.raises(BadScores, match=r"'broken' gives question 2 the scores \[nan"):
        scorer.score(prepared, Pack(0, (2, 1)))


def test_a_model_whose_rotary_angles_depend_on_length_goes_the_plain_way(llama: LoadedModel, tmp_path: Path) -> None:
    other = load(tiny.make(tmp_path), "dynamic", Quant.NONE, DType.FLOAT32, tiny.CPU)
    other.model.model.config.rope_parameters = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    scorer, reason = scorer_for(other.model, other.tokenizer, tiny.CPU)
    assert scorer.name == "plain"
    assert "depend on the line's length (dynamic)" in reason


@pytest.mark.parametrize("quant", [Quant.NONE, Quant.EIGHT_BIT, Quant.FOUR_BIT])
def test_a_run_killed_between_packs_equals_an_undisturbed_one_bit_for_bit(folder: Path, quant: Quant) -> None:
    """Each pack in a life of its own: loaded, tokenized, prefilled anew, as a worker does that takes a Run over."""
    prompts = asked(SHOTS, LETTERS, QUESTIONS * 4)

    def begin() -> tuple[Scorer, tuple[Pack, ...]]:
        engine = load(folder, "llama", quant, DType.BFLOAT16, tiny.CPU)
        scorer, _ = scorer_for(engine.model, engine.tokenizer, tiny.CPU)
        assert scorer.name == "cascade"
        return scorer, compose(scorer.prepare(prompts).lengths, 160, padded=False)

    scorer, packs = begin()
    prepared = scorer.prepare(prompts)
    undisturbed = [scorer.score(prepared, pack).options_logprob for pack in packs]
    assert len(packs) >= 5
    for pack, expected in zip(reversed(packs), reversed(undisturbed), strict=True):
        again, same = begin()
        assert same == packs
        assert again.score(again.prepare(prompts), pack).options_logprob == expected


def test_tokens_computed_and_saved_add_up_to_what_the_plain_way_computes(llama: LoadedModel) -> None:
    prompts, pack = CASES["words"], Pack(0, (0, 1, 2))
    plain, fast = (kind(llama.model, llama.tokenizer, tiny.CPU) for kind in (PlainScorer, PrefixScorer))
    prepared = fast.prepare(prompts)
    scored = fast.score(prepared, pack)
    assert scored.tokens_computed == sum(prepared.lengths)
    whole = plain.score(plain.prepare(prompts), pack).tokens_computed
    assert scored.tokens_computed + scored.tokens_saved == whole


def encoded(own: list[int], *options: list[int]) -> EncodedPrompt:
    return EncodedPrompt(tiny.prompt("x"), tuple(Continuation((*own, *o), len(o)) for o in options))


def test_the_common_beginning_leaves_every_prompt_a_token_of_its_own() -> None:
    assert common_length([encoded([1, 2, 3, 4], [9]), encoded([1, 2, 5], [9])]) == 2
    assert common_length([encoded([1, 2, 3], [9]), encoded([1, 2, 3, 4], [9])]) == 2
    assert common_length([encoded([1], [9]), encoded([1], [9])]) == 0


def test_options_of_several_tokens_are_branches_behind_their_question() -> None:
    members = [encoded([1, 2, 3], [7], [8, 9], [8, 5, 6]), encoded([1, 4], [7], [8])]
    row = row_of(members, shared=1)
    assert row.tokens == (2, 3, 8, 8, 5, 4)
    assert row.positions == (1, 2, 3, 3, 4, 1)
    assert row.segments == (Segment(2, (1, 2)), Segment(1))
    assert row.reads == (1, 2, 3, 4, 5)
    assert [(w.member, w.option, w.read, w.token) for w in row.wanted] == [
        (0, 0, 0, 7), (0, 1, 0, 8), (0, 1, 1, 9), (0, 2, 0, 8), (0, 2, 2, 5), (0, 2, 3, 6), (1, 0, 4, 7), (1, 1, 4, 8)
    ]  # fmt: skip
    assert [length_of(member, 1) for member in members] == [5, 1]


def test_no_branch_sees_another_and_no_token_past_the_window() -> None:
    cascade = CascadeLayout([Segment(3, (1, 2))], Prefix(4), torch.device("cpu"))
    mask = cascade.own_mask(0, None)
    assert mask is not None
    assert (mask[0, 0] == 0).int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 0, 1, 0],
        [1, 1, 1, 0, 1, 1],
    ]
    narrow = cascade.own_mask(0, 3)
    assert narrow is not None
    assert (narrow[0, 0, 5] == 0).int().tolist() == [0, 0, 1, 0, 1, 1]
    # Positions 4 to 8 behind a prefix of 0 to 3; of its last two tokens, those less than 3 back are seen.
    assert (cascade.prefix_mask(3)[0, 0] == 0).int().tolist() == [[1, 1], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]


def test_questions_of_about_one_length_share_a_call() -> None:
    cascade = CascadeLayout([Segment(n) for n in (40, 38, 37, 36, 12, 11, 3)], Prefix(0), torch.device("cpu"))
    assert [group.index.shape[0] for group in cascade.groups] == [4, 2, 1]
