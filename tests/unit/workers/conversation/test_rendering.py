"""Conversations to token ids, by templates of many families: what the model reads is what its template writes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
import transformers as hf

from chat.context.window import Exchange, Message, Policy, PromptRenderer, assemble
from proctor.errors import BadModel
from tests import templates, tiny
from tests.templates import AS_JSON, CHATML, DEEPSEEK, GEMMA, IGNORES_SYSTEM, MISTRAL, PARTS_ONLY, QWEN3, R1
from workers.conversation.rendering import TemplateRenderer
from workers.engines.hf.tokens import HfTokenizer

IN_PIECES = {"chatml": CHATML, "qwen3": QWEN3, "tiny": tiny.CHAT_TEMPLATE, "no system": IGNORES_SYSTEM}
AS_A_WHOLE = {"r1": R1, "deepseek": DEEPSEEK, "mistral": MISTRAL, "llama2": tiny.LLAMA2_TEMPLATE, "json": AS_JSON}
WITH_SYSTEM = {"chatml": CHATML, "qwen3": QWEN3, "tiny": tiny.CHAT_TEMPLATE, **AS_A_WHOLE}
POLICY = Policy(window_tokens=10_000, reserve_tokens=100)
PLAIN = ("It turns once", "twice, in  each orbit.", "0123456789 <|im_end|>")
SPACED = ("It turns once\n", " twice, in  each orbit.", "0123456789 <|im_end|>")
THOUGHT = ("I count.\n</think>\n\nIt turns once", "<think>\nHm. Twice?\n</think>\n\nTwice.", "No thought")


def reader(template: str | None, *, begin: bool = False) -> HfTokenizer:
    tokenizer = tiny.tokenizer(begin=begin)
    tokenizer.chat_template = template
    return HfTokenizer(tokenizer, 10_000, "tiny")


def prompts(renderer: PromptRenderer, system: str, replies: Sequence[str]) -> list[tuple[int, ...]]:
    """The prompts of a conversation, Turn by Turn."""
    earlier: list[Exchange] = []
    found = []
    for number, reply in enumerate(replies, 1):
        asked = f"What about number {number}?"
        found.append(assemble(renderer, POLICY, Message((asked,), system), earlier).ids)
        earlier.append(Exchange(number, (asked,), reply, tuple(renderer.text_ids(reply))))
    return found


def written(tokenizer: hf.PreTrainedTokenizerBase, system: str, *said: tuple[str, str]) -> str:
    """What the template itself writes; (role, content) each."""
    turns = [{"role": role, "content": content} for role, content in said]
    head = [{"role": "system", "content": system}] if system else []
    return str(tokenizer.apply_chat_template([*head, *turns], tokenize=False, add_generation_prompt=True))


def talk(replies: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [(("user", f"What about number {n}?"), ("assistant", reply)) for n, reply in enumerate(replies, 1)]
    return [message for pair in pairs for message in pair][:-1]


@pytest.mark.parametrize(
    ("template", "replies", "system"), list(product(WITH_SYSTEM, (PLAIN, SPACED, THOUGHT), ("", "Be brief.")))
)
def test_a_prompt_is_what_the_template_writes_of_the_whole_conversation(
    template: str, replies: tuple[str, ...], system: str
) -> None:
    ours = reader(WITH_SYSTEM[template], begin=True)
    ids = prompts(TemplateRenderer(ours), system, replies)[-1]
    expected = written(ours.library, system, *talk(replies))
    assert str(ours.library.decode(list(ids))).removeprefix("<s>") == expected.removeprefix("<s>")


@pytest.mark.parametrize(("template", "system"), list(product(IN_PIECES, ("", "Be brief."))))
def test_each_prompt_begins_with_the_one_before_it_and_its_reply(template: str, system: str) -> None:
    renderer = TemplateRenderer(reader(IN_PIECES[template], begin=True))
    found = prompts(renderer, system, SPACED)
    for before, reply, after in zip(found, SPACED, found[1:], strict=False):
        whole = (*before, *renderer.text_ids(reply))
        assert after[: len(whole)] == whole


def test_a_template_that_strips_replies_keeps_the_beginning_of_those_that_have_nothing_to_strip() -> None:
    renderer = TemplateRenderer(reader(GEMMA, begin=True))
    found = prompts(renderer, "Be brief.", PLAIN)
    for before, reply, after in zip(found, PLAIN, found[1:], strict=False):
        assert after[: len(before)] == before
        assert list(after[len(before) :])[: len(renderer.text_ids(reply))] == list(renderer.text_ids(reply))
    stripped = prompts(renderer, "Be brief.", SPACED)
    assert "It turns once<end_of_turn>" in str(tiny.tokenizer().decode(list(stripped[1])))


def test_replies_stand_as_the_tokens_that_were_generated_where_the_text_is_the_same() -> None:
    renderer = TemplateRenderer(reader(CHATML))
    letters = tuple(token for letter in "It turns" for token in renderer.text_ids(letter))
    assert letters != tuple(renderer.text_ids("It turns"))
    ids = tuple(renderer.prompt("", [Exchange(1, ("Why?",), "It turns", letters)], ["So?"]))
    assert any(ids[n : n + len(letters)] == letters for n in range(len(ids)))


def test_earlier_thoughts_are_left_out_and_no_answer_stands_inside_one() -> None:
    renderer = TemplateRenderer(reader(R1))
    earlier = [Exchange(1, ("Hi",), "Hm.\n</think>Hello there", (1, 2, 3))]
    text = tiny.tokenizer().decode(list(renderer.prompt("Be kind.", earlier, ["And now?"])))
    assert text == "<s>Be kind.<|User|>Hi<|Assistant|>Hello there</s><|User|>And now?<|Assistant|><think>\n"


def test_with_a_sentencepiece_tokenizer_the_tokens_are_those_of_the_whole_text() -> None:
    tokenizer = tiny.sentencepiece()
    renderer = TemplateRenderer(HfTokenizer(tokenizer, 10_000, "spm"))
    reply = "It is a nice city"
    ids = renderer.prompt("", [Exchange(1, ("What is Paris?",), reply, tuple(renderer.text_ids(reply)))], ["Why?"])
    text = written(tokenizer, "", ("user", "What is Paris?"), ("assistant", reply), ("user", "Why?"))
    assert list(ids) == tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("template", [GEMMA, IGNORES_SYSTEM])
def test_a_template_without_a_system_role_gets_it_in_front_of_the_user(template: str) -> None:
    renderer = TemplateRenderer(reader(template))
    text = str(tiny.tokenizer().decode(list(renderer.prompt("Be brief.", (), ["Why?"]))))
    assert "user\nBe brief.\n\nWhy?<" in text
    assert not renderer.has_system_role
    assert renderer.prompt("Be brief.", (), ["Why?"]) == renderer.prompt("", (), ["Be brief.\n\nWhy?"])
    context = assemble(renderer, POLICY, Message(("So?",), "Be brief."), [Exchange(1, ("Why?",), "It turns.", (5,))])
    assert context.system_in_user
    assert str(tiny.tokenizer().decode(list(context.ids))).count("Be brief.\n\nWhy?") == 1


@pytest.mark.parametrize("template", WITH_SYSTEM)
def test_a_template_with_a_system_role_is_known(template: str) -> None:
    assert TemplateRenderer(reader(WITH_SYSTEM[template])).has_system_role


def test_what_a_template_wants_as_parts_is_given_so() -> None:
    renderer = TemplateRenderer(reader(PARTS_ONLY))
    text = tiny.tokenizer().decode(
        list(renderer.prompt("Be brief.", [Exchange(1, ("Why?",), "So.", tuple(renderer.text_ids("So.")))], ["Oh?"]))
    )
    assert text == "<|system|>Be brief.<|end|><|user|>Why?<|end|><|assistant|>So.<|end|><|user|>Oh?<|end|><|assistant|>"


@pytest.mark.parametrize("template", [CHATML, R1, tiny.CHAT_TEMPLATE])
def test_a_greeting_and_messages_in_a_row_are_written_as_the_template_writes_them(template: str) -> None:
    ours = reader(template)
    earlier = [Exchange(1, (), "Welcome.", (5,)), Exchange(2, ("One.", "Two."), "Three.", (6,))]
    ids = TemplateRenderer(ours).prompt("", earlier, ["Four.", "Five."])
    said = [("assistant", "Welcome."), ("user", "One."), ("user", "Two."), ("assistant", "Three.")]
    said += [("user", "Four."), ("user", "Five.")]
    assert ours.library.decode(list(ids)) == written(ours.library, "", *said)


@pytest.mark.parametrize("template", [GEMMA, MISTRAL])
def test_where_turns_must_alternate_messages_in_a_row_are_one_and_a_greeting_answers_nothing(template: str) -> None:
    ours = reader(template)
    earlier = [Exchange(1, (), "Welcome.", (5,)), Exchange(2, ("One.", "Two."), "Three.", (6,))]
    ids = TemplateRenderer(ours).prompt("", earlier, ["Four."])
    said = [
        ("user", ""),
        ("assistant", "Welcome."),
        ("user", "One.\n\nTwo."),
        ("assistant", "Three."),
        ("user", "Four."),
    ]
    assert ours.library.decode(list(ids)) == written(ours.library, "", *said)


def test_a_greeting_that_is_gone_on_with_has_an_opening() -> None:
    renderer = TemplateRenderer(reader(CHATML))
    ids = assemble(renderer, POLICY, Message((), "Be brief.", tuple(renderer.text_ids("Once"))), ()).ids
    text = str(tiny.tokenizer().decode(list(ids)))
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>")
    assert text.endswith("<|im_start|>assistant\nOnce")
    assert str(tiny.tokenizer().decode(list(renderer.prompt("", (), ())))).endswith("<|im_start|>assistant\n")


def test_a_template_that_writes_the_time_is_told_the_day_alone() -> None:
    renderer = TemplateRenderer(reader(templates.DATED))
    text = str(tiny.tokenizer().decode(list(renderer.prompt("Be brief.", (), ["Why?"]))))
    assert " 00:00:00\nBe brief." in text


def test_the_beginning_of_sequence_stands_once() -> None:
    for template in (GEMMA, CHATML):
        ids = TemplateRenderer(reader(template, begin=True)).prompt("", (), ["Why?"])
        assert list(ids).count(1) == 1
        assert ids[0] == 1


def test_a_model_without_a_template_reads_raw_text_only() -> None:
    renderer = TemplateRenderer(reader(None, begin=True))
    assert list(renderer.raw("Once")) == [1, *renderer.text_ids("Once")]
    with pytest.raises(BadModel, match=r"no chat template.*Take an instruct model; /v1/completions takes any"):
        renderer.prompt("", (), ["Why?"])


def test_a_template_that_fails_or_leaves_the_user_out_is_a_bad_model() -> None:
    with pytest.raises(BadModel, match="its chat template fails"):
        TemplateRenderer(reader("{{ raise_exception('no') }}")).prompt("Be brief.", (), ["Why?"])
    with pytest.raises(BadModel, match="leaves out what it is given"):
        TemplateRenderer(reader(templates.SWALLOWS)).prompt("", (), ["Why?"])
