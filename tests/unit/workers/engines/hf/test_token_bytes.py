"""Which bytes tokens are: joined they are the text, and only parts of characters are none by themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from tests import tiny
from workers.conversation.vocabulary import Vocabulary
from workers.engines.hf.token_bytes import TokenBytes

WORDS = {"bytes": tiny.tokenizer(), "sentencepiece": tiny.sentencepiece()}
BYTES = {name: TokenBytes(words).of for name, words in WORDS.items()}
VOCABULARIES = {name: Vocabulary(raw) for name, raw in BYTES.items()}
PARTY = "\N{PARTY POPPER}"
NAMES = pytest.mark.parametrize("name", WORDS)


def ids(words: PreTrainedTokenizerBase, text: str) -> list[int]:
    found: list[int] = words(text, add_special_tokens=False)["input_ids"]
    return found


@NAMES
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_joined_they_are_the_text(name: str, text: str) -> None:
    tokens, vocabulary = ids(WORDS[name], text), VOCABULARIES[name]
    put_in_front = " " if name == "sentencepiece" and text else ""
    assert b"".join(BYTES[name](token) for token in tokens).decode() == put_in_front + text
    assert "".join(vocabulary.texts(tokens)) == put_in_front + text


@NAMES
def test_the_parts_of_a_character_have_their_own_bytes(name: str) -> None:
    tokens, vocabulary = ids(WORDS[name], f"a{PARTY}b"), VOCABULARIES[name]
    parts = [vocabulary.part(token, "") for token in tokens]
    assert b"".join(parts) == PARTY.encode()
    assert len([part for part in parts if part]) == 4
    assert [text for text in vocabulary.texts(tokens) if text][-2:] == [PARTY, "b"]


@NAMES
def test_a_special_token_is_its_name(name: str) -> None:
    words, vocabulary = WORDS[name], VOCABULARIES[name]
    end = words.eos_token_id
    assert isinstance(end, int)
    assert (BYTES[name](end), vocabulary.part(end, ""), vocabulary.text(end)) == (b"</s>", b"", "</s>")


def test_a_piece_of_bytes_is_no_letter_that_it_is_written_with() -> None:
    words = WORDS["bytes"]
    written = {words.convert_ids_to_tokens(token): BYTES["bytes"](token) for token in range(len(words))}
    assert (written["\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"], written["\N{LATIN SMALL LETTER ETH}"]) == (
        b" ",
        b"\xf0",
    )


def test_a_nul_is_no_text() -> None:
    words, vocabulary = WORDS["bytes"], VOCABULARIES["bytes"]
    (nul,) = ids(words, "\0")
    assert vocabulary.text(nul) == "\N{REPLACEMENT CHARACTER}"
    assert vocabulary.part(nul, vocabulary.text(nul)) == b"\0"
