"""The tokens of a model that a server has: by the model's own tokenizer where its files lie here, else characters.

With the tokenizer, prompts go out as token ids, so that the server adds nothing to them and changes nothing. Without
it they go out as text, or as messages; what stands for tokens is then the characters of that text, so that prompts,
windows and broken-off replies are handled as everywhere. Nobody is told these as tokens (`Tokenizer.own_ids`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as RustTokenizer

from proctor.catalog.template import render
from proctor.catalog.tokenizer import read_tokenizer, specials_in_front
from proctor.catalog.weights import folder_chat_template
from proctor.errors import BadModel, first_line
from proctor.exams.chat_prompts import Turns
from workers.engines.chat_template import ChatTemplate
from workers.engines.lines import no_beginning

CHARACTERS_A_TOKEN = 3  # what a text has of them at least, on average: English has 4, code 3
NO_WINDOW = 1 << 30  # of a server that doesn't tell: it refuses what is too long
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
_HEAD = '{"messages": ['  # what messages begin with, as they stand in a prompt


class FileTokenizer:
    """The `Tokenizer` of a model's tokenizer.json, without torch and transformers. `beginning` may raise."""

    own_ids = True

    def __init__(self, folder: Path, model: str, window: int | None) -> None:
        self.model = model
        self._rust = _read(folder, model)
        config = _json(folder / "tokenizer_config.json")
        self.special = {name: text for name in _SPECIAL if (text := _text_of(config.get(name)))}
        self.window = window or _number(_json(folder / "config.json"), "max_position_embeddings") or NO_WINDOW
        self.vocabulary_size = self._rust.get_vocab_size()
        source = folder_chat_template(folder, model)
        self.template = ChatTemplate(partial(_rendered, source, self.special) if source else None, model, source)
        self._leading = specials_in_front(self._rust)

    def ids(self, text: str) -> list[int]:
        return self.many([text])[0]

    def many(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts, special tokens in front, as `Tokenizer.ids`."""
        begin = self.special.get("bos_token")
        rows = [row.ids for row in self._rust.encode_batch_fast(list(texts), add_special_tokens=False)]
        return [
            row if begin and text.startswith(begin) else [*self._leading, *row]
            for text, row in zip(texts, rows, strict=True)
        ]

    def text_ids(self, text: str) -> list[int]:
        found: list[int] = self._rust.encode(text, add_special_tokens=False).ids
        return found

    def count(self, text: str) -> int:
        return len(self.ids(text))

    def size(self, tokens: Sequence[int]) -> int:
        return len(tokens)

    def decode(self, tokens: Sequence[int], *, specials: bool = True) -> str:
        return str(self._rust.decode(list(tokens), skip_special_tokens=not specials))

    def token_bytes(self, token: int) -> bytes:
        return self.decode([token]).encode()

    @cached_property
    def beginning(self) -> list[int]:
        """The token that begins or else ends texts. Raises `CantBeAsked` where there is none."""
        named = (self.special.get(name) for name in ("bos_token", "eos_token"))
        found = next((token for name in named if name and (token := self._rust.token_to_id(name)) is not None), None)
        if found is None:
            raise no_beginning(self.model)
        return [found]

    def joins(self) -> bool:
        """Whether texts that are tokenized apart, put one behind the other, are the text: a reply comes in pieces."""
        pieces = ("The moon", " turns", " on", "ce in", " each orbit,", " so")
        return self.decode([token for piece in pieces for token in self.text_ids(piece)]) == "".join(pieces)


class Characters:
    """The `Tokenizer` of a model of which only the server has one: characters stand for tokens."""

    own_ids = False
    vocabulary_size = 0x110000

    def __init__(self, model: str, window: int | None) -> None:
        self.window = min(NO_WINDOW, window * CHARACTERS_A_TOKEN) if window else NO_WINDOW
        self.template = ChatTemplate(_as_messages, model)

    def ids(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    text_ids = ids

    def count(self, text: str) -> int:
        return len(text)

    def size(self, tokens: Sequence[int]) -> int:
        return -(-len(tokens) // CHARACTERS_A_TOKEN)

    def decode(self, tokens: Sequence[int], *, specials: bool = True) -> str:  # noqa: ARG002 -- the protocol's
        return "".join(map(chr, tokens))

    def token_bytes(self, token: int) -> bytes:
        return chr(token).encode(errors="replace")


WireTokenizer = FileTokenizer | Characters


def messages_of(text: str) -> list[dict[str, str]] | None:
    """The messages that a prompt is; None for one that is a text."""
    if not text.startswith(_HEAD):
        return None
    try:
        told = json.loads(text)["messages"]
        return [{"role": str(one["role"]), "content": str(one["content"])} for one in told]
    except (ValueError, KeyError, TypeError):
        return None


def _as_messages(turns: Turns, _moment: object) -> str:
    """What stands for a conversation where the server has the chat template: the messages that it is sent."""
    return json.dumps({"messages": [dict(turn) for turn in turns]}, ensure_ascii=False)


def _rendered(source: str, special: Mapping[str, str], turns: Turns, moment: Any) -> str:
    return render(source, turns, moment, special)


def _read(folder: Path, model: str) -> RustTokenizer:
    try:
        return read_tokenizer(folder)
    except Exception as error:
        cause = f"{folder / 'tokenizer.json'} is no tokenizer: {first_line(error)}"
        raise BadModel(model, cause, "Name a folder that has one with --tokenizer.") from error


def _json(path: Path) -> Mapping[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _text_of(token: Any) -> str:
    """A special token as configs write it: its text, or an object with it."""
    return str(token.get("content") or "") if isinstance(token, Mapping) else str(token or "")


def _number(config: Mapping[str, Any], name: str) -> int | None:
    nested = config.get("text_config")
    value = config.get(name, nested.get(name) if isinstance(nested, Mapping) else None)
    return value if isinstance(value, int) and value > 0 else None
