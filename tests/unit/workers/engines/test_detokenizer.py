"""Tokens to text as they come: whole characters, nothing of a stop string, and in the end all that there is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import tiny
from workers.engines.detokenizer import Detokenizer
from workers.engines.hf.tokens import HfTokenizer

TOKENIZER = tiny.tokenizer()
OURS = HfTokenizer(TOKENIZER, tiny.WINDOW, "tiny")
SAID = "Die Größe der Sonne: 🌞🌍 – “weit” über\n100 000 km, 太陽系。"


def ids(text: str) -> list[int]:
    found: list[int] = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    return found


def pieces(text: str, stops: Sequence[str] = ()) -> tuple[list[str], Detokenizer]:
    detokenizer = Detokenizer(OURS.decode, stops)
    said = [detokenizer.push([token]) for token in ids(text)]
    return [*said, detokenizer.end()], detokenizer


def test_characters_of_several_tokens_come_whole() -> None:
    said, detokenizer = pieces(SAID)
    assert "".join(said) == detokenizer.text == SAID
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in said)
    assert "" in said  # a character took several tokens, and nothing was shown of it before its last


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_any_text_comes_as_it_is(text: str) -> None:
    said, _ = pieces(text)
    assert "".join(said) == TOKENIZER.decode(ids(text))


@pytest.mark.parametrize("stop", ["der", "Sonne:", "🌍", "“weit", "\n", "km, 太", "Die"])
def test_a_stop_string_over_several_tokens_is_never_shown(stop: str) -> None:
    said, detokenizer = pieces(SAID, [stop])
    assert detokenizer.stopped
    assert "".join(said) == detokenizer.text == SAID[: SAID.index(stop)]


@given(st.text("abc", max_size=20), st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_reply_ends_before_the_first_of_its_stop_strings(text: str, stops: list[str]) -> None:
    said, detokenizer = pieces(text, stops)
    ends = [text.index(stop) for stop in stops if stop in text]
    assert detokenizer.stopped == bool(ends)
    if ends:  # of two that come up, the one that is whole first ends the reply
        assert detokenizer.text in {text[:end] for end in ends}
        assert not any(stop in detokenizer.text for stop in stops)
    else:
        assert detokenizer.text == text
    assert "".join(said) == detokenizer.text


def test_what_only_began_like_a_stop_string_is_shown_in_the_end() -> None:
    said, detokenizer = pieces("one two\n", ["\n\n"])
    assert (detokenizer.text, detokenizer.stopped, said[-1]) == ("one two\n", False, "\n")


def test_the_tokens_of_a_reply_that_was_cut_are_those_of_its_text() -> None:
    _, detokenizer = pieces(SAID, ["weit"])
    assert TOKENIZER.decode(detokenizer.tokens[: detokenizer.whole_tokens]) == detokenizer.text
    _, whole = pieces(SAID)
    assert whole.whole_tokens == len(whole.tokens)


def test_bytes_that_are_no_text_are_replaced_and_hold_nothing_up() -> None:
    detokenizer = Detokenizer(OURS.decode)
    broken = ids("太")[0]
    said = "".join(detokenizer.push([broken]) for _ in range(40)) + detokenizer.end()
    assert set(said) == {"\N{REPLACEMENT CHARACTER}"}
    assert "\0" not in Detokenizer(OURS.decode).push(ids("a\0b"))


SPM = tiny.sentencepiece()
OURS_SPM = HfTokenizer(SPM, tiny.WINDOW, "tiny")


def spm(text: str) -> list[int]:
    """The tokens of a text as they stand behind another one: without the beginning, with a space before it."""
    found: list[int] = SPM(text, add_special_tokens=False)["input_ids"]
    return found


def said_behind(
    prompt: Sequence[int], reply: Sequence[int], stops: Sequence[str] = ()
) -> tuple[list[str], Detokenizer]:
    detokenizer = Detokenizer(OURS_SPM.decode, stops, prompt)
    pieces = [detokenizer.push([token]) for token in reply]
    return [*pieces, detokenizer.end()], detokenizer


def test_the_first_word_behind_a_prompt_keeps_its_space() -> None:
    prompt, reply = SPM("Paris is the")["input_ids"], spm("capital of France")
    pieces, detokenizer = said_behind(prompt, reply)
    assert "Paris is the" + detokenizer.text == "Paris is the capital of France" == SPM.decode(prompt[1:] + reply)
    assert "".join(pieces) == detokenizer.text == " capital of France"
    assert Detokenizer(OURS_SPM.decode).push(reply) == "capital of France"  # as the beginning of a text


@given(st.text(max_size=12), st.text(st.characters(codec="utf-8", exclude_characters="\0\u2581"), max_size=12))
def test_a_prompt_and_its_reply_together_are_the_text_of_their_tokens(before: str, after: str) -> None:
    before = before.replace("\0", "").replace("\u2581", "").encode("utf-8", "ignore").decode()
    for tokenizer in (SPM, TOKENIZER):
        prompt = tokenizer(f"The moon{before}", add_special_tokens=False)["input_ids"]
        reply = tokenizer(after, add_special_tokens=False)["input_ids"]
        detokenizer = Detokenizer(HfTokenizer(tokenizer, 512, "tiny").decode, behind=prompt)
        said = "".join(detokenizer.push([token]) for token in reply) + detokenizer.end()
        assert f"{tokenizer.decode(prompt)}{said}" == tokenizer.decode(prompt + reply)


def test_what_each_token_adds_is_the_text_together_and_a_part_of_a_character_adds_nothing() -> None:
    reply = spm("nice \U0001f389 city")
    detokenizer = Detokenizer(OURS_SPM.decode, behind=SPM("A")["input_ids"])
    added = []
    for token in reply:
        spelled = detokenizer.spell(token)
        detokenizer.push([token])
        added.append(detokenizer.added)
        assert detokenizer.added in (spelled, "")
    assert "".join(added) == " nice \U0001f389 city"
    assert added.count("") == 3  # the emoji has four bytes, each a token
    assert added[added.index("") + 3] == "\U0001f389"


def test_a_token_that_could_have_come_is_spelled_with_its_space_or_by_its_name() -> None:
    detokenizer = Detokenizer(OURS_SPM.decode, behind=SPM("A nice city")["input_ids"])
    (does,) = spm("is")
    assert detokenizer.spell(does) == " is"
    assert detokenizer.spell(SPM.eos_token_id) == "</s>"
    assert detokenizer.text == ""


def test_behind_a_prompt_that_ends_inside_a_character_a_word_keeps_its_space() -> None:
    party = spm("\U0001f389")[1:]  # without the space
    for behind in ([*SPM("A")["input_ids"], *party[:2]], [*party[2:], *spm("is a nice city " * 9), *party[:3]]):
        detokenizer = Detokenizer(OURS_SPM.decode, behind=behind)
        assert detokenizer.push(spm("nice")) == " nice"
    assert Detokenizer(OURS_SPM.decode, behind=party[:2]).push(spm("nice")) == "nice"


def test_the_tokens_of_a_cut_reply_behind_a_prompt_are_those_of_its_text() -> None:
    prompt, reply = SPM("Paris is the")["input_ids"], spm("capital of France")
    _, detokenizer = said_behind(prompt, reply, [" France"])
    assert (detokenizer.text, detokenizer.stopped) == (" capital of", True)
    assert SPM.decode(prompt[1:] + detokenizer.tokens[: detokenizer.whole_tokens]) == "Paris is the capital of"


def test_what_is_decoded_for_a_token_is_as_little_behind_a_long_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    decode = SPM.decode

    def counted(tokens: list[int], **more: bool) -> object:
        asked.append(len(tokens))
        return decode(tokens, **more)

    prompt, reply = spm("the moon of a city") * 200, spm("is nice") * 20
    assert len(prompt) >= 1000
    monkeypatch.setattr(SPM, "decode", counted)
    detokenizer = Detokenizer(OURS_SPM.decode, behind=prompt)
    assert max(asked) <= 64
    asked.clear()
    for token in reply:
        detokenizer.push([token])
    assert max(asked) <= 9  # the eight that it is written behind, and itself
    assert detokenizer.text == " is nice" * 20
