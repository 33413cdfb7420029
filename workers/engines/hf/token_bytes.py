"""The bytes that tokens stand for. A token of byte-level BPE, or one of SentencePiece's for a byte, may be a part of a
character: no text says which, but its bytes do.

Byte-level BPE writes each byte as a letter (GPT-2, https://github.com/openai/gpt-2/blob/master/src/encoder.py);
SentencePiece writes a space as `▁` and a byte that its pieces don't cover as `<0xF0>`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


class TokenBytes:
    """The bytes of each token of a tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._added = {number: token.content for number, token in tokenizer.added_tokens_decoder.items()}
        self._read = _way_to_read(tokenizer)

    def of(self, token: int) -> bytes:
        """The bytes that a token adds to a text; those of its name where it is a special one."""
        if token in self._added:
            return self._added[token].encode()
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if isinstance(piece, str) and self._read is not None:
            return self._read(piece)
        return str(self._tokenizer.decode([token])).encode()


def _way_to_read(tokenizer: PreTrainedTokenizerBase) -> Callable[[str], bytes] | None:
    """How pieces of the vocabulary are written; None where it is known to the tokenizer alone."""
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        return _of_sentencepiece if hasattr(tokenizer, "sp_model") else None
    decoder = tokenizer.backend_tokenizer.decoder
    steps = _steps(json.loads(decoder.__getstate__())) if decoder is not None else []
    if any(step["type"] == "ByteLevel" for step in steps):
        return _of_bytes
    spaced = any(step["type"] == "Metaspace" or step.get("pattern") == {"String": _SPACE} for step in steps)
    return _of_sentencepiece if spaced or any(step["type"] == "ByteFallback" for step in steps) else None


def _steps(decoder: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for each in decoder["decoders"] for step in _steps(each)] if "decoders" in decoder else [decoder]


def _of_sentencepiece(piece: str) -> bytes:
    byte = _BYTE.fullmatch(piece)
    return bytes.fromhex(byte[1]) if byte else piece.replace(_SPACE, " ").encode()


def _of_bytes(piece: str) -> bytes:
    try:
        return bytes(_LETTERS[letter] for letter in piece)
    except KeyError:  # no piece of bytes: a token that was put beside them
        return piece.encode()


def _letters() -> dict[str, int]:
    """Which byte each letter is: printable ones are themselves, the others come in order behind them all."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_LETTERS = _letters()
