"""Messages to token ids, by templates of several families: each prompt begins with that of the Turn before it."""

from __future__ import annotations

import pytest

from chat.context import Exchange, Framing, Message, Policy, assemble
from proctor.errors import BadModel
from tests import tiny
from workers.engine.framing import TemplateFraming
from workers.engine.tokens import Reader

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are kind.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (  # no role for the system, and what is said is stripped
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA2 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token }}[INST] {{ m['content'] }} [/INST]"
    "{% elif m['role'] == 'system' %}<<SYS>>{{ m['content'] }}<</SYS>>"
    "{% else %} {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
)
TEMPLATES = {"chatml": CHATML, "gemma": GEMMA, "llama2": LLAMA2, "tiny": tiny.CHAT_TEMPLATE}
POLICY = Policy(window_tokens=10_000, reserve_tokens=100)
REPLIES = ("It turns once\n", " twice, in  each orbit.", "0123456789 <|im_end|>")


def reader(template: str | None, *, begin: bool = False) -> Reader:
    tokenizer = tiny.tokenizer(begin=begin)
    tokenizer.chat_template = template
    return Reader(tokenizer, 10_000, "tiny")


@pytest.fixture(params=TEMPLATES)
def framing(request: pytest.FixtureRequest) -> TemplateFraming:
    return TemplateFraming(reader(TEMPLATES[request.param], begin=True))


def prompts(framing: Framing, system: str) -> list[tuple[int, ...]]:
    """The prompts of a conversation, Turn by Turn."""
    earlier: list[Exchange] = []
    found = []
    for number, reply in enumerate(REPLIES, 1):
        asked = f"What about number {number}?"
        found.append(assemble(framing, POLICY, Message(asked, system), earlier).ids)
        earlier.append(Exchange(number, asked, reply, tuple(framing.text_ids(reply))))
    return found


@pytest.mark.parametrize("system", ["", "Be brief."])
def test_each_prompt_begins_with_the_one_before_it_and_its_reply(framing: TemplateFraming, system: str) -> None:
    found = prompts(framing, system)
    for before, reply, after in zip(found, REPLIES, found[1:], strict=False):
        whole = (*before, *framing.text_ids(reply))
        assert after[: len(whole)] == whole


def test_the_pieces_together_are_the_templates_own_text() -> None:
    ours = reader(CHATML)
    framing = TemplateFraming(ours)
    ids = prompts(framing, "Be brief.")[-1]
    turns = [{"role": "system", "content": "Be brief."}]
    for number, reply in enumerate(REPLIES, 1):
        turns += [
            {"role": "user", "content": f"What about number {number}?"},
            {"role": "assistant", "content": reply},
        ]
    text = ours.tokenizer.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
    assert ours.tokenizer.decode(list(ids)) == text


def test_a_template_without_a_system_role_gets_it_in_front_of_the_user() -> None:
    framing = TemplateFraming(reader(GEMMA))
    text = tiny.tokenizer().decode(list(framing.first("Be brief.", "Why?")))
    assert "<start_of_turn>user\nBe brief.\n\nWhy?<end_of_turn>" in text
    assert framing.first("Be brief.", "Why?") == framing.first("", "Be brief.\n\nWhy?")


def test_the_beginning_of_sequence_stands_once() -> None:
    for template in (GEMMA, CHATML):
        ids = TemplateFraming(reader(template, begin=True)).first("", "Why?")
        assert list(ids).count(1) == 1
        assert ids[0] == 1


def test_a_model_without_a_template_reads_raw_text_only() -> None:
    framing = TemplateFraming(reader(None, begin=True))
    assert list(framing.raw("Once")) == [1, *framing.text_ids("Once")]
    with pytest.raises(BadModel, match="no chat template"):
        framing.first("", "Why?")
    with pytest.raises(BadModel, match="no chat template"):
        framing.later("Why?")


def test_a_template_that_fails_is_a_bad_model() -> None:
    with pytest.raises(BadModel, match="its chat template fails"):
        TemplateFraming(reader("{{ raise_exception('no') }}")).first("Be brief.", "Why?")
