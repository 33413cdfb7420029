"""Tokens of a vocabulary as texts, and as the bytes that no text tells: a token may be a part of a character."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence

_BROKEN = "\N{REPLACEMENT CHARACTER}"


class Vocabulary:
    """A model's tokens as bytes and texts; `raw` gives the bytes that a token adds to a text."""

    def __init__(self, raw: Callable[[int], bytes]) -> None:
        self._raw = raw

    def text(self, token: int) -> str:
        """A token by itself; what is no whole character in it is a replacement character."""
        return self._raw(token).decode(errors="replace").replace("\0", _BROKEN)

    def part(self, token: int, text: str) -> bytes:
        """The bytes of a token that `text` doesn't tell: a part of a character, or a NUL. Of all others none."""
        raw = self._raw(token)
        try:
            whole = raw.decode()
        except UnicodeDecodeError:
            return raw
        return raw if _BROKEN in text and _BROKEN not in whole else b""

    def texts(self, tokens: Sequence[int]) -> list[str]:
        """What each token adds to a text: "" where it ends inside a character, all of it where it ends one.

        No database and no terminal takes a NUL: it is a replacement character.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return [decoder.decode(self._raw(token)).replace("\0", _BROKEN) for token in tokens]
