"""A model's reading of text: special tokens, boundaries between prompt and option, the window, the chat template."""

from __future__ import annotations

import pytest

from proctor.errors import CantBeAsked
from proctor.exams.chat_prompts import Message
from tests import templates, tiny
from workers.engines.hf.tokens import HfTokenizer

BEGIN = 1


def reader(*, begin: bool = False, window: int = tiny.WINDOW) -> HfTokenizer:
    return HfTokenizer(tiny.tokenizer(begin=begin), window, "tiny")


def reader_with(template: str | None) -> HfTokenizer:
    library = tiny.tokenizer()
    library.chat_template = template
    return HfTokenizer(library, tiny.WINDOW, "tiny")


def test_the_tokenizers_own_special_tokens_come_first() -> None:
    assert reader(begin=True).ids("Answer:")[0] == BEGIN
    assert BEGIN not in reader(begin=False).ids("Answer:")


def test_a_text_that_begins_with_the_begin_token_gets_no_second_one() -> None:
    assert reader(begin=True).ids("<s>Answer:").count(BEGIN) == 1
    assert reader(begin=True).ids("<s>Answer:") == reader(begin=True).ids("Answer:")


def test_special_tokens_count() -> None:
    assert reader(begin=True).count("Answer:") == reader().count("Answer:") + 1


def test_an_option_is_what_follows_the_prompts_own_tokens() -> None:
    model = reader(begin=True)
    (encoded,) = model.encode([tiny.prompt("Why?\nAnswer:", (" A", " the moon"))])
    for option, text in zip(encoded.options, (" A", " the moon"), strict=True):
        assert model.library.decode(list(option.line[-option.scored :])) == text
        assert list(option.line[: -option.scored]) == model.ids("Why?\nAnswer:")


def test_prompts_are_encoded_together_as_each_alone_counted_before_or_not() -> None:
    prompts = [tiny.prompt(f"{text}\nAnswer:", (" A", " the moon")) for text in ("Why?", "How?", "Why?")]
    together, counted = reader(begin=True), reader(begin=True)
    assert together.encode(prompts) == tuple(reader(begin=True).encode([prompt])[0] for prompt in prompts)
    assert [counted.count(prompt.text + " A") for prompt in prompts] == [
        len(one.options[0].line) for one in counted.encode(prompts)
    ]
    assert counted.encode(prompts) == together.encode(prompts)
    assert counted.encode([]) == ()


def test_ids_are_what_the_tokenizers_own_call_gives_whatever_it_was_told_to_cut_or_fill() -> None:
    model = reader()
    text = "Why does the moon show the same face? \u00e9\u4e00 <s>" * 20
    expected = model.library(text, add_special_tokens=False)["input_ids"]
    model.library(["a", text], truncation=True, max_length=5, padding=True)
    assert model.ids(text) == expected


def test_white_space_at_the_prompts_end_is_scored_with_the_option() -> None:
    model = reader()
    (encoded,) = model.encode([tiny.prompt("<|assistant|>\n", ("A", "B"))])
    assert [model.library.decode(list(o.line[-o.scored :])) for o in encoded.options] == ["\nA", "\nB"]


def test_the_last_token_of_an_option_takes_no_place_in_the_window() -> None:
    text = "A. One\nB. Two\nAnswer:"
    exact = reader().count(text)
    assert reader(window=exact).encode([tiny.prompt(text)])[0].length == exact + 1
    with pytest.raises(CantBeAsked, match=f"question 0 has {exact} tokens and the window {exact - 1}"):
        reader(window=exact - 1).encode([tiny.prompt(text)])


def test_an_option_that_adds_no_token_is_refused() -> None:
    with pytest.raises(CantBeAsked, match=r"can't be asked this: .* no token of its own for an option of question 7"):
        reader().encode([tiny.prompt("Answer:", (" A", ""), index=7)])


def test_a_chat_is_written_by_the_models_own_template() -> None:
    text = reader().chat([Message("system", "Be brief."), Message("user", "Why?")])
    assert text == "<s><|system|>Be brief.\n<|user|>Why?\n<|assistant|>"


def test_a_chat_gets_its_begin_token_once() -> None:
    model = reader(begin=True)
    assert model.ids(model.chat([Message("user", "Why?")])).count(BEGIN) == 1


def test_a_model_without_a_template_says_so() -> None:
    with pytest.raises(CantBeAsked, match="no chat template"):
        reader_with(None).chat([Message("user", "Why?")])


def test_a_chat_without_the_words_it_was_given_is_refused() -> None:
    with pytest.raises(CantBeAsked, match="leaves out what it is given"):
        reader_with(templates.SWALLOWS).chat([Message("user", "Why?")])


def test_a_template_that_refuses_a_role_says_so() -> None:
    refuses = "{{ raise_exception('no system role here') }}"
    with pytest.raises(CantBeAsked, match="its chat template fails: no system role here"):
        reader_with(refuses).chat([Message("system", "Be brief.")])
